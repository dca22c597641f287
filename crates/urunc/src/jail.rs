//! The jail: `create` opens everything by descriptor, init puts it together and enters it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Context;
use urunc_plan::LaunchPlan;
use urunc_plan::launch::{Base, Exec, ImageFile, Root};
use urunc_sys::root::{self, Access};
use urunc_sys::{fdpass, identity, pty};

use crate::facts::Image;

/// Everything the jail is made of, opened by `create` before the clone.
#[derive(Debug, Default)]
pub struct Materials {
    /// Detached mounts and where they go, in order.
    mounts: Vec<(OwnedFd, String)>,
    /// Device nodes: path and number.
    devices: Vec<(String, u64)>,
    /// The image's own tree, for [`Base::Image`].
    base: Option<OwnedFd>,
    /// Image files that a built-in monitor reads, by target.
    pub files: Vec<(String, OwnedFd)>,
    /// Engine's console socket.
    pub console: Option<OwnedFd>,
}

impl Materials {
    /// Opens what the plan names.
    ///
    /// # Errors
    /// Names the path; nothing has changed on the host.
    pub fn open(plan: &LaunchPlan, image: &mut Image) -> anyhow::Result<Self> {
        let mut materials = Self::default();
        let builtin = matches!(plan.exec, Exec::Tender(_));
        for file in &plan.root.image_files {
            let opened = image.take(&file.key, &file.source, file.writable)?;
            if builtin {
                materials.files.push((file.target.clone(), opened));
            } else {
                materials.mounts.push((image_mount(file, opened.as_fd())?, file.target.clone()));
            }
        }
        if plan.root.base == Base::Image {
            materials.base =
                Some(root::detached(image.root(), Access::Tree, "rootfs").context("root.path")?);
        }
        for bind in &plan.root.binds {
            let mount = root::detached_path(&bind.path, Access::Program).context("monitor file")?;
            materials.mounts.push((mount, bind.path.clone()));
        }
        for path in &plan.root.devices {
            materials.devices.push((path.clone(), root::device_number(path)?));
        }
        Ok(materials)
    }
}

fn image_mount(file: &ImageFile, opened: BorrowedFd<'_>) -> anyhow::Result<OwnedFd> {
    let access = if file.writable { Access::Writable } else { Access::Data };
    root::detached(opened, access, &file.source).with_context(|| file.key.clone())
}

/// Builds the private root from the materials and enters it. The caller is in the container's mount namespace.
///
/// # Errors
/// The step that failed.
pub fn enter(plan: &LaunchPlan, materials: &mut Materials, no_pivot: bool) -> anyhow::Result<()> {
    let plan_root = &plan.root;
    // The mask of the caller must not decide the modes of our directories.
    rustix::process::umask(rustix::fs::Mode::empty());
    let root = match materials.base.take() {
        Some(base) => base,
        None => {
            root::file_system("tmpfs", &[("size", &plan_root.tmpfs_bytes.to_string()), ("mode", "0755")])?
        }
    };
    root::stack(root.as_fd())?;
    furnish(plan, materials, root.as_fd())?;
    if let Some(socket) = materials.console.take() {
        open_console(plan, socket.as_fd())?;
    }
    root::enter(root.as_fd(), no_pivot)?;
    if plan_root.readonly {
        root::make_root_readonly()?;
    }
    Ok(())
}

fn furnish(plan: &LaunchPlan, materials: &mut Materials, root: BorrowedFd<'_>) -> anyhow::Result<()> {
    let (plan_root, who) = (&plan.root, &plan.identity);
    mount_file_systems(plan_root, root)?;
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
    for (path, rdev) in materials.devices.drain(..) {
        root::make_device(root, &path, rdev)?;
    }
    for (target, path) in &plan_root.links {
        root::make_link(root, target, path)?;
    }
    for file in &plan_root.files {
        root::make_file(root, &file.path, file.mode, &file.content)?;
        if file.owned {
            root::give(root, &file.path, who.uid, who.gid)?;
        }
    }
    Ok(())
}

/// A mount point of the mount's own kind.
fn make_target(mount: BorrowedFd<'_>, root: BorrowedFd<'_>, target: &str) -> anyhow::Result<()> {
    let stat = rustix::fs::fstat(mount)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
        root::make_dirs(root, target, 0o755)?;
    } else {
        root::make_file(root, target, 0o444, "")?;
    }
    Ok(())
}

/// File systems the plan asks for. In the image's own tree (`process` monitor) nothing is made: a mount point that the
/// image does not have, or has as a link, is left out.
fn mount_file_systems(plan_root: &Root, root: BorrowedFd<'_>) -> anyhow::Result<()> {
    use rustix::fs::{Mode, OFlags, ResolveFlags};
    for mount in &plan_root.mounts {
        let options: Vec<(&str, &str)> =
            mount.data.split(',').filter_map(|option| option.split_once('=')).collect();
        if plan_root.base == Base::Tmpfs {
            root::make_dirs(root, &mount.target, 0o755)?;
        }
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let relative = mount.target.trim_start_matches('/');
        if rustix::fs::openat2(root, relative, flags, Mode::empty(), how).is_err() {
            continue;
        }
        let made = root::file_system(&mount.kind, &options)?;
        root::attach(made.as_fd(), root, &mount.target)?;
    }
    Ok(())
}

/// Opens the terminal, hands the engine its side and makes the other one ours.
fn open_console(plan: &LaunchPlan, socket: BorrowedFd<'_>) -> anyhow::Result<()> {
    let size = plan.console.as_ref().and_then(|console| console.size);
    let pty = pty::open(plan.identity.uid, plan.identity.gid, size)?;
    fdpass::send_with_fds(socket, b"/dev/ptmx", &[pty.controller.as_fd()]).context("--console-socket")?;
    Ok(pty::make_controlling(pty.user.as_fd())?)
}

/// Limits that need privilege and /proc: before the jail, through a procfs of our own.
///
/// # Errors
/// The file or limit.
pub fn set_limits(plan: &LaunchPlan) -> anyhow::Result<()> {
    let who = &plan.identity;
    identity::set_rlimits(&who.rlimits).context("process.rlimits")?;
    if who.oom_score_adj.is_none() && who.apparmor.is_none() {
        return Ok(());
    }
    let proc = identity::private_proc()?;
    if let Some(score) = who.oom_score_adj {
        identity::write_proc(proc.as_fd(), "self/oom_score_adj", &score.to_string())
            .context("process.oomScoreAdj")?;
    }
    if let Some(profile) = &who.apparmor {
        let exec = matches!(plan.exec, Exec::Program(_));
        identity::set_apparmor(proc.as_fd(), profile, exec).context("process.apparmorProfile")?;
    }
    Ok(())
}
