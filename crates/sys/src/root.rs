//! The private root: detached mounts, attached below a tmpfs of our own, and pivot_root into it.
//!
//! Files of the image and of the host are turned into detached mounts by `create`, in the runtime's mount namespace,
//! from descriptors; init attaches them. No path of the image or the host is looked up after the clone.

mod files;
mod mount;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};

use crate::error::{Result, SysError};

pub use files::{device_number, give, make_device, make_dirs, make_file, make_link, make_parents};
pub use mount::{
    Access, attach, attach_at, detached, detached_path, file_system, make_readonly, own_program,
};

/// The directory that [`below`] makes.
const BELOW: &str = "root";

/// Changes the propagation of the whole tree of this mount namespace.
///
/// # Errors
/// mount(2)'s errno.
pub fn set_propagation(kind: MountPropagationFlags) -> Result<()> {
    let flags = kind | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags).map_err(|e| SysError::new("make mounts", format!("{kind:?}"), e))
}

/// What the host's tree becomes before the private root is stacked on it: nothing that is mounted here may reach the
/// host, whatever `linux.rootfsPropagation` says.
pub fn propagation_of_host_tree(word: &str) -> MountPropagationFlags {
    if word.ends_with("private") { MountPropagationFlags::PRIVATE } else { MountPropagationFlags::DOWNSTREAM }
}

/// What the private root becomes once it is `/`, where that is more than a private or a slave mount.
pub fn propagation_of_root(word: &str) -> Option<MountPropagationFlags> {
    match word.trim_start_matches('r') {
        "shared" => Some(MountPropagationFlags::SHARED),
        "unbindable" => Some(MountPropagationFlags::UNBINDABLE),
        _ => None,
    }
}

/// Stacks a detached mount on this process's root. From here on mounts can be attached below it: a tree that is
/// attached nowhere takes none on older kernels.
///
/// # Errors
/// move_mount(2)'s errno.
pub fn stack(root: BorrowedFd<'_>) -> Result<()> {
    let cwd = rustix::fs::CWD;
    rustix::mount::move_mount(root, "", cwd, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| SysError::new("attach", "private root", e))
}

/// A mount of a new directory of the mount that was [`stack`]ed, on that directory. [`enter_below`] makes it the root.
///
/// # Errors
/// open_tree(2)'s or move_mount(2)'s errno.
pub fn below(outer: BorrowedFd<'_>) -> Result<OwnedFd> {
    let error = |e| SysError::new("attach", "private root", e);
    make_dirs(outer, BELOW, 0o755)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let inner = rustix::mount::open_tree(outer, BELOW, flags).map_err(error)?;
    attach(inner.as_fd(), outer, BELOW)?;
    Ok(inner)
}

/// Enters the mount made by [`below`] once its outer one is `/`. Whoever lives in a chroot makes no user namespace
/// (unshare(2), EPERM), and so gains no capability in one; without CAP_SYS_CHROOT there is no way back.
///
/// # Errors
/// chroot(2)'s errno.
pub fn enter_below() -> Result<()> {
    let error = |e| SysError::new("chroot to", "private root", e);
    rustix::process::chroot(BELOW).map_err(error)?;
    rustix::process::chdir("/").map_err(error)
}

/// Makes the mount that was [`stack`]ed `/` of this process: it is exchanged with the old root (pivot_root(2)), and
/// that is detached with everything below. With `no_pivot` (a host that runs from its initramfs) the root is moved and
/// entered instead.
///
/// # Errors
/// The call that failed.
pub fn enter(root: BorrowedFd<'_>, no_pivot: bool) -> Result<()> {
    let error = |op| move |e| SysError::new(op, "private root", e);
    rustix::process::fchdir(root).map_err(error("enter"))?;
    if no_pivot {
        rustix::process::chroot(".").map_err(error("chroot to"))?;
    } else {
        rustix::process::pivot_root(".", ".").map_err(error("pivot_root to"))?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(error("detach the old root of"))?;
    }
    rustix::process::chdir("/").map_err(error("enter"))
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use rustix::fs::{Mode, OFlags};

    use super::*;

    /// Runs in a child with a private mount namespace; exit 0 is success, otherwise the step that failed.
    fn in_private(steps: impl FnOnce() -> std::result::Result<(), i32>) -> i32 {
        crate::child::run(|| {
            // SAFETY: no memory is involved.
            let apart = unsafe { libc::unshare(libc::CLONE_NEWNS) };
            if apart == 0 { steps().err().unwrap_or(0) } else { 15 }
        })
    }

    #[test]
    fn the_old_root_is_gone_and_binds_are_restricted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("kernel"), "k").unwrap();
        let file: OwnedFd = std::fs::File::open(dir.path().join("kernel")).unwrap().into();
        let kernel = detached(file.as_fd(), Access::Data, "kernel").unwrap();
        let rdev = device_number("/dev/null").unwrap();
        let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let code = in_private(|| {
            set_propagation(propagation_of_host_tree("rslave")).map_err(|_| 1)?;
            let root = file_system("tmpfs", &[("size", "65536"), ("mode", "0755")]).map_err(|_| 2)?;
            stack(root.as_fd()).map_err(|_| 14)?;
            make_file(root.as_fd(), "/guest/kernel", 0o444, b"").map_err(|_| 3)?;
            attach(kernel.as_fd(), root.as_fd(), "/guest/kernel").map_err(|_| 4)?;
            make_device(root.as_fd(), "/dev/null", rdev).map_err(|_| 5)?;
            enter(root.as_fd(), false).map_err(|_| 6)?;
            make_readonly(root.as_fd(), "/").map_err(|_| 7)?;
            let names: Vec<_> =
                std::fs::read_dir("/").map_err(|_| 8)?.flatten().map(|e| e.file_name()).collect();
            (names.len() == 2).then_some(()).ok_or(9)?;
            (std::fs::read_to_string("/guest/kernel").ok().as_deref() == Some("k"))
                .then_some(())
                .ok_or(10)?;
            std::fs::write("/guest/kernel", "x").err().ok_or(11)?;
            std::fs::write("/new", "x").err().ok_or(12)?;
            std::fs::write("/dev/null", "x").map_err(|_| 13)?;
            // Not even below: only the root and the kernel are mounted.
            let proc = crate::identity::private_proc().map_err(|_| 16)?;
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let table = rustix::fs::openat(&proc, "self/mountinfo", flags, Mode::empty()).map_err(|_| 17)?;
            let lines = std::io::read_to_string(std::fs::File::from(table)).map_err(|_| 18)?;
            (lines.lines().count() == 2).then_some(()).ok_or(19)
        });
        assert_eq!(code, 0);
        assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    }

    #[test]
    fn below_the_root_nobody_makes_a_user_namespace() {
        // SAFETY: no memory is involved; each question is asked in a process of its own.
        let refused = || crate::child::run(|| unsafe { libc::unshare(libc::CLONE_NEWUSER) }) != 0;
        let code = in_private(|| {
            set_propagation(MountPropagationFlags::PRIVATE).map_err(|_| 1)?;
            let root = file_system("tmpfs", &[("size", "65536"), ("mode", "0755")]).map_err(|_| 2)?;
            stack(root.as_fd()).map_err(|_| 3)?;
            let inner = below(root.as_fd()).map_err(|_| 4)?;
            make_file(inner.as_fd(), "/file", 0o444, b"").map_err(|_| 5)?;
            enter(root.as_fd(), false).map_err(|_| 6)?;
            (!refused()).then_some(()).ok_or(7)?;
            enter_below().map_err(|_| 8)?;
            refused().then_some(()).ok_or(9)?;
            make_readonly(inner.as_fd(), "/").map_err(|_| 10)?;
            let error = std::fs::write("/file", "").err().and_then(|e| e.raw_os_error());
            (error == Some(libc::EROFS)).then_some(()).ok_or(11)
        });
        assert_eq!(code, 0);
    }
}
