//! What `doctor --security` looks at. Judged in `urunc_plan::security`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use urunc_plan::security::{PathFacts, SecurityFacts};
use urunc_plan::settings::Settings;
use urunc_sys::measures;

use super::monitor;
use crate::settings::DEFAULT_FILE;

/// Programs that are asked for their version, if they are installed.
const MONITORS: [&str; 3] = ["qemu", "firecracker", "cloud-hypervisor"];

/// Looks at the host; `root` is the state root.
pub fn gather(root: &Path, settings: &Settings) -> SecurityFacts {
    let kernel = rustix::system::uname();
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    SecurityFacts {
        smt: line("/sys/devices/system/cpu/smt/active").map(|text| text == "1"),
        vulnerabilities: directory("/sys/devices/system/cpu/vulnerabilities"),
        ksm: line("/sys/kernel/mm/ksm/run").map(|text| text == "1"),
        swaps: swaps(&fs::read_to_string("/proc/swaps").unwrap_or_default()),
        nested: ["kvm_intel", "kvm_amd"]
            .iter()
            .find_map(|module| parameter(module, "nested"))
            .map(|text| is_on(&text)),
        nx_huge_pages: parameter("kvm", "nx_huge_pages"),
        kernel_release: kernel.release().to_string_lossy().into_owned(),
        kernel_build: kernel.version().to_string_lossy().into_owned(),
        monitors: MONITORS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), version(name, settings)?)))
            .collect(),
        umask: mask.bits(),
        paths: paths(root),
        store_bypass: measures::store_bypass(),
        indirect_branch: measures::indirect_branch(),
        core_scheduling: measures::core_scheduling(),
        landlock_abi: measures::landlock_abi(),
    }
}

fn line(path: impl AsRef<Path>) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn parameter(module: &str, name: &str) -> Option<String> {
    line(format!("/sys/module/{module}/parameters/{name}"))
}

fn is_on(text: &str) -> bool {
    matches!(text, "Y" | "1")
}

/// Names and content of the files of a directory.
fn directory(path: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, line(entry.path())?))).collect()
}

/// Names in `/proc/swaps`, whose first line is a heading (proc(5)).
fn swaps(text: &str) -> Vec<String> {
    text.lines().skip(1).filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

/// What the program says of itself; a monitor that is not trusted is not run.
fn version(name: &str, settings: &Settings) -> Option<String> {
    let program = monitor::find(name, settings).ok().flatten()?.path;
    let output =
        Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

/// The state root, the settings and our own program, with every directory above them.
fn paths(root: &Path) -> Vec<PathFacts> {
    let mut found = BTreeMap::new();
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    for path in [root, Path::new(DEFAULT_FILE), &program] {
        let above = path.ancestors().filter(|part| !part.as_os_str().is_empty());
        for (depth, part) in above.enumerate() {
            let Ok(meta) = part.metadata() else { continue };
            // Where anybody may make files but not exchange those of others, the sticky bit protects what is below.
            let sticky = if meta.is_dir() && meta.mode() & 0o1000 != 0 { 0o022 } else { 0 };
            let private = path == root && depth == 0;
            let facts = PathFacts {
                path: part.display().to_string(),
                uid: meta.uid(),
                mode: meta.mode() & 0o777 & !sticky,
                private,
            };
            found.insert(part.to_owned(), facts);
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn swaps_are_the_first_words_after_the_heading() {
        let text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/dm-1 partition\t8388604\t0\t-2\n/swap\\040file file 1 0 -3\n";
        assert_eq!(swaps(text), ["/dev/dm-1", "/swap\\040file"]);
        assert!(swaps("Filename Type\n").is_empty());
        assert!(swaps("").is_empty());
    }

    #[test]
    fn the_state_root_is_private_and_what_is_above_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("above/root");
        fs::create_dir_all(&root).unwrap();
        fs::set_permissions(root.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
        let found = paths(&root);
        let of = |path: &Path| found.iter().find(|facts| Path::new(&facts.path) == path).unwrap();
        assert!(of(&root).private);
        assert_eq!((of(root.parent().unwrap()).mode, of(root.parent().unwrap()).private), (0o777, false));
        assert!(of(Path::new("/")).mode & 0o022 == 0);
        assert!(found.iter().any(|facts| Path::new(&facts.path) == std::env::current_exe().unwrap()));
    }

    #[test]
    fn this_host_is_seen() {
        let facts = gather(Path::new("/nonexistent"), &Settings::default());
        assert_eq!(facts.kernel_release, line("/proc/sys/kernel/osrelease").unwrap());
        assert_eq!(facts.kernel_build, line("/proc/sys/kernel/version").unwrap());
        assert!(facts.paths.iter().all(|path| path.path != "/nonexistent"));
    }
}
