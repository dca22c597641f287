//! What the monitor's root holds, against the plan.

use super::compare::Differences;
use crate::bundle::Bundle;
use crate::container::Container;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use urunc_plan::LaunchPlan;
use urunc_plan::launch::{Exec, ImageFile, Ready, Root};

/// Paths below `dir` of the root at `place`; what is bound or mounted is not looked into.
fn walk(place: &str, dir: &str, closed: &[&str], found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(format!("{place}{dir}/")).into_iter().flatten().flatten() {
        let path = format!("{dir}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().is_ok_and(|t| t.is_dir()) && !closed.contains(&path.as_str()) {
            walk(place, &path, closed, found);
        }
        found.insert(path);
    }
}

/// Every path that the plan names exactly.
fn exact(plan: &LaunchPlan) -> BTreeSet<String> {
    let root = &plan.root;
    let mut paths = BTreeSet::from(["/".to_owned()]);
    paths.extend(root.dirs.iter().map(|d| d.path.clone()));
    paths.extend(root.devices.iter().cloned());
    paths.extend(root.links.iter().map(|(_, path)| path.clone()));
    paths.extend(root.files.iter().map(|f| f.path.clone()));
    if let Exec::Program(program) = &plan.exec {
        paths.insert(program.path.clone());
        paths.extend(root.image_files.iter().map(|f| f.target.clone()));
        if let Ready::Api { socket: path, .. } = &program.ready {
            paths.insert(path.clone());
        }
    }
    paths
}

/// Every path that the runtime makes in a private root: by the plan, and the monitor's log.
pub(crate) fn generated(plan: &LaunchPlan) -> BTreeSet<String> {
    let mut paths = exact(plan);
    paths.extend(below(&plan.root).into_iter().map(str::to_owned));
    paths.insert(urunc_plan::MONITOR_LOG.to_owned());
    paths.remove("/");
    paths
}

fn below(root: &Root) -> Vec<&str> {
    let binds = root.binds.iter().map(|b| b.path.as_str());
    binds.chain(root.mounts.iter().map(|m| m.target.as_str())).collect()
}

impl Differences {
    pub(super) fn tree(&mut self, plan: &LaunchPlan, bundle: &Bundle, c: &Container<'_>) {
        self.paths(plan, c);
        self.objects(plan, bundle, c);
        self.readonly(plan, c);
        self.mounts(plan, c);
    }

    /// Nothing is mounted but what the plan names, and one root: the host's is gone.
    fn mounts(&mut self, plan: &LaunchPlan, c: &Container<'_>) {
        let (mut planned, below) = (exact(plan), below(&plan.root));
        for line in c.proc("mountinfo").lines() {
            let point = line.split(' ').nth(4).unwrap_or_default();
            // What is below a bound directory of the host came with it.
            if !planned.remove(point) && !below.iter().any(|bind| Path::new(point).starts_with(bind)) {
                self.add(format!("mount: {point} is there but not planned, or twice"));
            }
        }
    }

    /// Every path of the plan exists, and nothing else does.
    fn paths(&mut self, plan: &LaunchPlan, c: &Container<'_>) {
        let (mut exact, below) = (exact(plan), below(&plan.root));
        let mut found = BTreeSet::from(["/".to_owned()]);
        walk(&format!("/proc/{}/root", c.pid()), "", &below, &mut found);
        for path in exact.iter().map(String::as_str).chain(below.iter().copied()) {
            if !found.contains(path) {
                self.add(format!("tree: {path} is planned but not there"));
            }
        }
        if matches!(plan.exec, Exec::Program(_)) {
            exact.insert(urunc_plan::MONITOR_LOG.to_owned());
        }
        let planned: Vec<&str> = exact.iter().map(String::as_str).chain(below.iter().copied()).collect();
        for path in &found {
            let inside = below.iter().any(|bind| Path::new(path).starts_with(bind));
            let leads = planned.iter().any(|planned| Path::new(planned).starts_with(path));
            if !inside && !leads {
                self.add(format!("tree: {path} is there but not planned"));
            }
        }
    }

    /// Modes, owners, device numbers, link targets, contents, and that each image file is the image's own.
    fn objects(&mut self, plan: &LaunchPlan, bundle: &Bundle, c: &Container<'_>) {
        let root = &plan.root;
        let inside = |path: &str| format!("/proc/{}/root{path}", c.pid());
        let stat = |path: &str| std::fs::symlink_metadata(inside(path));
        let owner = |owned: bool| if owned { (plan.identity.uid, plan.identity.gid) } else { (0, 0) };
        let mut permissions = |path: &str, mode: u32, owner: (u32, u32)| match stat(path) {
            Ok(meta) => {
                let seen = (meta.mode() & 0o7777, (meta.uid(), meta.gid()));
                self.same(&format!("mode and owner of {path}"), &json!(seen), &json!((mode, owner)));
            }
            Err(error) => self.add(format!("tree: {path}: {error}")),
        };
        for dir in &root.dirs {
            permissions(&dir.path, dir.mode, owner(dir.owned));
        }
        for file in &root.files {
            permissions(&file.path, file.mode, owner(file.owned));
        }
        if !matches!(plan.exec, Exec::Program(_)) {
            return;
        }
        for file in &root.files {
            let content = crate::sandbox::text(Path::new(&inside(&file.path)));
            self.same(&file.path, &json!(content), &json!(file.content));
        }
        let number = |meta: &Metadata| (meta.file_type().is_char_device(), meta.rdev());
        for device in &root.devices {
            let planned = std::fs::metadata(device).as_ref().map(number).ok();
            self.same(device, &json!(stat(device).as_ref().map(number).ok()), &json!(planned));
        }
        for (target, path) in &root.links {
            let seen = std::fs::read_link(inside(path)).ok();
            self.same(path, &json!(seen), &json!(target));
        }
        let identity = |meta: Metadata| (meta.dev(), meta.ino());
        for ImageFile { source, target, .. } in root.image_files.iter().filter(|file| file.member.is_none()) {
            let image = std::fs::metadata(bundle.rootfs().join(source.trim_start_matches('/')));
            self.same(target, &json!(stat(target).map(identity).ok()), &json!(image.map(identity).ok()));
        }
    }

    /// What may not be written to is a read-only mount of its own.
    fn readonly(&mut self, plan: &LaunchPlan, c: &Container<'_>) {
        let root = &plan.root;
        let mounts = c.proc("mountinfo");
        let options = |path: &str| {
            let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
            fields.find(|f| f[4] == path).map(|f| f[5].to_owned()).unwrap_or_default()
        };
        let mut readonly: Vec<&str> = root.binds.iter().map(|b| b.path.as_str()).collect();
        if matches!(plan.exec, Exec::Program(_)) {
            // A copy with a member more belongs to the private root.
            let files = root.image_files.iter().filter(|file| file.member.is_none());
            for file in files {
                let seen = options(&file.target).split(',').any(|option| option == "ro");
                self.same(&format!("{} is read-only", file.target), &json!(seen), &json!(!file.writable));
            }
        }
        readonly.extend(root.readonly.then_some("/"));
        for path in readonly {
            if !options(path).split(',').any(|option| option == "ro") {
                self.add(format!("tree: {path} is no read-only mount"));
            }
        }
    }
}
