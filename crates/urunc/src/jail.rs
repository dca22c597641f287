//! The jail: `create` opens everything by descriptor, init puts it together and enters it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::Context;
use urunc_plan::LaunchPlan;
use urunc_plan::launch::{Base, Exec, FsMount, Root};
use urunc_sys::root;
use urunc_sys::{atomic, cover, fdpass, identity, inroot, process, pty};

mod materials;

use materials::Device;
pub use materials::{KVM, Materials};

/// Builds the private root from the materials and enters it. The caller is in the container's mount namespace.
///
/// # Errors
/// The step that failed.
pub fn enter(plan: &LaunchPlan, materials: &mut Materials, no_pivot: bool) -> anyhow::Result<()> {
    let plan_root = &plan.root;
    // The mask of the caller must not decide the modes of our directories.
    rustix::process::umask(rustix::fs::Mode::empty());
    if plan_root.base == Base::Chroot {
        return enter_in_place(plan, materials);
    }
    let outer = match materials.base.take() {
        Some(base) => base,
        None => {
            root::file_system("tmpfs", &[("size", &plan_root.tmpfs_bytes.to_string()), ("mode", "0755")])?
        }
    };
    root::stack(outer.as_fd())?;
    // The image's own tree stays the root of its namespace: profiles of AppArmor name paths from there.
    let inner = (plan_root.base == Base::Tmpfs).then(|| root::below(outer.as_fd())).transpose()?;
    let root = inner.as_ref().unwrap_or(&outer);
    let ours = furnish(plan, materials, root.as_fd())?;
    for path in &plan_root.readonly_paths {
        cover::make_readonly(root.as_fd(), path).context("linux.readonlyPaths")?;
    }
    for (path, null) in plan_root.masked.iter().zip(&materials.nulls) {
        cover::mask(root.as_fd(), path, null.as_fd()).context("linux.maskedPaths")?;
    }
    if let Some(socket) = materials.console.take() {
        open_console(plan, &ours, socket.as_fd())?;
    }
    root::enter(outer.as_fd(), no_pivot)?;
    if inner.is_some() {
        root::enter_below()?;
    } else if let Some(kind) = root::propagation_of_root(&plan_root.propagation) {
        root::set_propagation(kind)?;
    }
    if plan_root.readonly {
        root::make_readonly(root.as_fd(), "/")?;
    }
    Ok(())
}

/// The root in a mount namespace of others: what root.path means there, if that is the directory that was judged.
fn enter_in_place(plan: &LaunchPlan, materials: &mut Materials) -> anyhow::Result<()> {
    if let Some(socket) = materials.console.take() {
        open_console(plan, &[], socket.as_fd())?;
    }
    let judged = materials.base.take().context("no root")?;
    let there = inroot::open_root(&materials.rootfs).context("root.path")?;
    if !atomic::same_inode(judged.as_fd(), there.as_fd())? {
        anyhow::bail!("root.path: another directory in the mount namespace that is joined");
    }
    Ok(root::enter(there.as_fd(), true)?)
}

/// A file system that we mounted, by descriptor: names in an image's tree may mean something else a moment later.
struct Own {
    path: String,
    kind: String,
    readonly: bool,
    fd: OwnedFd,
}

/// The deepest of our tmpfs mounts that `path` is below, and the rest of the path.
fn place<'a>(ours: &'a [Own], path: &'a str) -> Option<(BorrowedFd<'a>, &'a str)> {
    let below =
        |own: &'a Own| Some((own.fd.as_fd(), Path::new(path).strip_prefix(&own.path).ok()?.to_str()?));
    ours.iter().rev().filter(|own| own.kind == "tmpfs").find_map(below)
}

fn furnish(plan: &LaunchPlan, materials: &mut Materials, root: BorrowedFd<'_>) -> anyhow::Result<Vec<Own>> {
    let (plan_root, who) = (&plan.root, &plan.identity);
    let ours = mount_file_systems(plan_root, root)?;
    for dir in &plan_root.dirs {
        root::make_dirs(root, &dir.path, dir.mode)?;
        if dir.owned {
            root::give(root, &dir.path, who.uid, who.gid)?;
        }
    }
    for (mount, target) in materials.mounts.drain(..) {
        make_target(mount.as_fd(), root, &target)?;
        root::attach(mount.as_fd(), root, &target)?;
    }
    for (path, device) in materials.devices.drain(..) {
        let Some((own, path)) = place(&ours, &path) else { continue };
        match device {
            Device::Number(rdev) => root::make_device(own, path, rdev)?,
            Device::Mount(mount) => {
                root::make_file(own, path, 0o666, b"")?;
                root::attach(mount.as_fd(), own, path)?;
            }
        }
    }
    for node in &plan_root.nodes {
        let (own, path) = place(&ours, &node.path)
            .with_context(|| format!("linux.devices: {}: the image lacks its mount point", node.path))?;
        cover::make_node(own, path, node).context("linux.devices")?;
    }
    for (target, path) in &plan_root.links {
        if let Some((own, path)) = place(&ours, path) {
            root::make_link(own, target, path)?;
        }
    }
    for file in &plan_root.files {
        let Some((own, path)) = place(&ours, &file.path) else { continue };
        root::make_file(own, path, file.mode, file.content.as_bytes())?;
        if file.owned {
            root::give(own, path, who.uid, who.gid)?;
        }
    }
    for (path, content) in materials.copies.drain(..) {
        let Some((own, path)) = place(&ours, &path) else { continue };
        root::make_file(own, path, 0o400, &content)?;
        root::give(own, path, who.uid, who.gid)?;
    }
    for own in ours.iter().filter(|own| own.readonly) {
        root::make_readonly(own.fd.as_fd(), &own.path)?;
    }
    Ok(ours)
}

/// A mount point of the mount's own kind.
fn make_target(mount: BorrowedFd<'_>, root: BorrowedFd<'_>, target: &str) -> anyhow::Result<()> {
    let stat = rustix::fs::fstat(mount).context("mount")?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
        root::make_dirs(root, target, 0o755)?;
    } else {
        root::make_file(root, target, 0o444, b"")?;
    }
    Ok(())
}

/// File systems the plan asks for; gives the directories below which everything is ours to make: all of a private root,
/// but only our own tmpfs mounts in the image's tree (`process` monitor), which is never written. A mount point that
/// the image does not have, or has as a link, is left out there.
fn mount_file_systems(plan_root: &Root, root: BorrowedFd<'_>) -> anyhow::Result<Vec<Own>> {
    let mut ours = Vec::new();
    if plan_root.base == Base::Tmpfs {
        let (path, kind) = ("/".to_owned(), "tmpfs".to_owned());
        ours.push(Own { path, kind, readonly: false, fd: process::duplicate(root)? });
    }
    for mount in &plan_root.mounts {
        let made = if let Some((own, path)) = place(&ours, &mount.target) {
            root::make_dirs(own, path, 0o755)?;
            let made = file_system(mount)?;
            root::attach(made.as_fd(), own, path)?;
            made
        } else {
            let Some(directory) = plain_directory(root, &mount.target)? else { continue };
            let made = file_system(mount)?;
            root::attach_at(made.as_fd(), directory.as_fd(), &mount.target)?;
            made
        };
        let (path, kind) = (mount.target.clone(), mount.kind.clone());
        ours.push(Own { path, kind, readonly: mount.readonly, fd: made });
    }
    Ok(ours)
}

/// A new file system, mounted nowhere yet.
fn file_system(mount: &FsMount) -> anyhow::Result<OwnedFd> {
    let data = mount.data.split(',').filter_map(|option| option.split_once('='));
    let options: Vec<_> = data.chain([("source", mount.source.as_str())]).collect();
    Ok(root::file_system(&mount.kind, &options)?)
}

/// The directory; `None` when the image has none there, or something else.
fn plain_directory(root: BorrowedFd<'_>, path: &str) -> anyhow::Result<Option<OwnedFd>> {
    use rustix::fs::{Mode, OFlags, ResolveFlags};
    use rustix::io::Errno;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat2(root, path.trim_start_matches('/'), flags, Mode::empty(), how) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
        opened => Ok(Some(opened.with_context(|| format!("mount point {path}"))?)),
    }
}

/// Opens the terminal, hands the engine its side and makes the other one ours.
fn open_console(plan: &LaunchPlan, ours: &[Own], socket: BorrowedFd<'_>) -> anyhow::Result<()> {
    let size = plan.console.as_ref().and_then(|console| console.size);
    // In the image's tree the mount may have been left out.
    let devpts = match ours.iter().find(|own| own.kind == "devpts") {
        Some(own) => process::duplicate(own.fd.as_fd())?,
        None => pty::private_devpts()?,
    };
    let pty = pty::open(devpts.as_fd(), plan.identity.uid, plan.identity.gid, size)?;
    fdpass::send_with_fds(socket, b"/dev/ptmx", &[pty.controller.as_fd()]).context("--console-socket")?;
    Ok(pty::make_controlling(pty.user.as_fd())?)
}

/// Limits that need privilege and /proc (rlimits are set last, by the user: init needs more than a guest): before the
/// jail, through a procfs of our own, which [`confine`] needs as well.
///
/// # Errors
/// The file or limit.
pub fn set_limits(plan: &LaunchPlan) -> anyhow::Result<Option<OwnedFd>> {
    let who = &plan.identity;
    let granted = !plan.namespaces.uid_map.is_empty();
    let score = who.oom_score_adj.filter(|_| !granted);
    if !granted {
        identity::allow_rlimits(0, &who.rlimits).context("process.rlimits")?;
    }
    if score.is_none() && who.apparmor.is_none() {
        return Ok(None);
    }
    let proc = identity::private_proc()?;
    if let Some(score) = score {
        identity::write_proc(proc.as_fd(), "self/oom_score_adj", &score.to_string())
            .context("process.oomScoreAdj")?;
    }
    Ok(Some(proc))
}

/// The AppArmor profile, from the next exec on or, for a built-in monitor, from now on: inside the jail, for the
/// profiles of engines forbid mounts and pivot_root(2).
///
/// # Errors
/// Names the profile.
pub fn confine(plan: &LaunchPlan, proc: Option<&OwnedFd>) -> anyhow::Result<()> {
    let (Some(profile), Some(proc)) = (&plan.identity.apparmor, proc) else { return Ok(()) };
    let exec = matches!(plan.exec, Exec::Program(_));
    identity::set_apparmor(proc.as_fd(), profile, exec).context("process.apparmorProfile")
}
