//! The private root: detached mounts, attached below a tmpfs of our own, and pivot_root into it.
//!
//! Files of the image and of the host are turned into detached mounts by `create`, in the runtime's mount namespace,
//! from descriptors; init attaches them. No path of the image or the host is looked up after the clone.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags,
};

use crate::error::{Result, SysError};

/// The directory that [`below`] makes.
const BELOW: &str = "root";

/// What a bind mount may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read-only data: no set-id, no devices, no execution.
    Data,
    /// Read-only programs and libraries: no set-id, no devices.
    Program,
    /// A file that the guest may write.
    Writable,
    /// A whole tree of programs and files (the `process` monitor): no set-id, no devices.
    Tree,
}

impl Access {
    fn attributes(self) -> u64 {
        const RDONLY: u64 = 1;
        const NOSUID: u64 = 2;
        const NODEV: u64 = 4;
        const NOEXEC: u64 = 8;
        match self {
            Self::Data => RDONLY | NOSUID | NODEV | NOEXEC,
            Self::Program => RDONLY | NOSUID | NODEV,
            Self::Writable => NOSUID | NODEV | NOEXEC,
            Self::Tree => NOSUID | NODEV,
        }
    }
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// `AT_RECURSIVE` of mount_setattr(2): the mounts below, too.
const AT_RECURSIVE: u32 = 0x8000;

/// A detached bind mount of an open file or directory (recursive for directories), private and restricted.
///
/// # Errors
/// open_tree(2)'s or mount_setattr(2)'s errno, naming `what`.
pub fn detached(source: BorrowedFd<'_>, access: Access, what: &str) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let mount =
        rustix::mount::open_tree(source, "", flags).map_err(|e| SysError::new("open_tree", what, e))?;
    let attributes =
        MountAttr { set: access.attributes(), propagation: libc::MS_PRIVATE, ..MountAttr::default() };
    set_attributes(mount.as_fd(), AT_RECURSIVE, &attributes, what)?;
    Ok(mount)
}

/// mount_setattr(2) of the mount that is open.
fn set_attributes(mount: BorrowedFd<'_>, flags: u32, attributes: &MountAttr, what: &str) -> Result<()> {
    // SAFETY: an empty path with AT_EMPTY_PATH; the structure has the size that is passed.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH as u32 | flags,
            std::ptr::from_ref(attributes),
            size_of::<MountAttr>(),
        )
    };
    if rc == 0 { Ok(()) } else { Err(SysError::last("mount_setattr", what)) }
}

/// [`detached`] of an absolute host path.
///
/// # Errors
/// ENOENT and as [`detached`].
pub fn detached_path(path: &str, access: Access) -> Result<OwnedFd> {
    let source = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| SysError::new("open", path, e))?;
    detached(source.as_fd(), access, path)
}

/// A read-only view of this process's program, to be executed in its place; `None` when it runs from one. As long as a
/// process runs our file, whoever shares its user and its /proc can reach that file; without CAP_SYS_ADMIN nobody
/// makes a read-only mount writable.
///
/// # Errors
/// As [`detached_path`].
pub fn own_program() -> Result<Option<OwnedFd>> {
    const PROGRAM: &str = "/proc/self/exe";
    let flags = rustix::fs::statvfs(PROGRAM).map_err(|e| SysError::new("stat", PROGRAM, e))?.f_flag;
    if flags.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Ok(None);
    }
    detached_path(PROGRAM, Access::Program).map(Some)
}

/// A detached mount of a new file system instance (fsopen(2)).
///
/// # Errors
/// ENODEV when the kernel has no such file system.
pub fn file_system(kind: &str, options: &[(&str, &str)]) -> Result<OwnedFd> {
    let error = |e| SysError::new("mount", kind, e);
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(error)?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(context.as_fd(), *key, *value).map_err(error)?;
    }
    rustix::mount::fsconfig_create(context.as_fd()).map_err(error)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(error)
}

/// Attaches a detached mount at a path below `root`.
///
/// # Errors
/// move_mount(2)'s errno, naming the path.
pub fn attach(mount: BorrowedFd<'_>, root: BorrowedFd<'_>, path: &str) -> Result<()> {
    let relative = path.trim_start_matches('/');
    rustix::mount::move_mount(mount, "", root, relative, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| SysError::new("attach mount at", path, e))
}

/// Attaches a detached mount at an open directory, whatever its name means by now.
///
/// # Errors
/// move_mount(2)'s errno, naming `what`.
pub fn attach_at(mount: BorrowedFd<'_>, directory: BorrowedFd<'_>, what: &str) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", directory, "", flags)
        .map_err(|e| SysError::new("attach mount at", what, e))
}

/// Makes `path` and every missing parent below `root`, mode 0755 but for the last, which gets `mode`.
///
/// # Errors
/// mkdir(2)'s errno.
pub fn make_dirs(root: BorrowedFd<'_>, path: &str, mode: u32) -> Result<()> {
    let mut made = String::new();
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        if !made.is_empty() {
            made.push('/');
        }
        made.push_str(part);
        let bits = if parts.peek().is_some() { 0o755 } else { mode };
        match rustix::fs::mkdirat(root, &made, Mode::from_raw_mode(bits)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(SysError::new("mkdir", path, e)),
        }
    }
    Ok(())
}

/// Makes a file (and its parents) below `root`: a mount target, or generated content.
///
/// # Errors
/// The call that failed, naming the path.
pub fn make_file(root: BorrowedFd<'_>, path: &str, mode: u32, content: &str) -> Result<()> {
    use std::io::Write;
    let error = |e: std::io::Error| SysError::new("create", path, e);
    make_parents(root, path)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let relative = path.trim_start_matches('/');
    let fd =
        rustix::fs::openat(root, relative, flags, Mode::from_raw_mode(mode)).map_err(|e| error(e.into()))?;
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode)).map_err(|e| error(e.into()))?;
    std::fs::File::from(fd).write_all(content.as_bytes()).map_err(error)
}

/// Makes the missing parents of a path below `root`, mode 0755.
///
/// # Errors
/// mkdir(2)'s errno.
pub fn make_parents(root: BorrowedFd<'_>, path: &str) -> Result<()> {
    path.rsplit_once('/').map_or(Ok(()), |(parent, _)| make_dirs(root, parent, 0o755))
}

/// Makes a device node like the host's `path`, for everyone to open.
///
/// # Errors
/// ENOENT when the host has none; EPERM without CAP_MKNOD.
pub fn make_device(root: BorrowedFd<'_>, path: &str, rdev: u64) -> Result<()> {
    make_parents(root, path)?;
    let relative = path.trim_start_matches('/');
    let error = |e| SysError::new("mknod", path, e);
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(root, relative, rustix::fs::FileType::CharacterDevice, mode, rdev).map_err(error)?;
    rustix::fs::chmodat(root, relative, mode, AtFlags::empty()).map_err(error)
}

/// Device number of a character device of the host.
///
/// # Errors
/// ENOENT; ENODEV when the path is something else.
pub fn device_number(path: &str) -> Result<u64> {
    let stat = rustix::fs::lstat(path).map_err(|e| SysError::new("stat", path, e))?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_char_device() {
        return Ok(stat.st_rdev);
    }
    Err(SysError::new("stat", path, std::io::Error::from_raw_os_error(libc::ENODEV)))
}

/// Makes a symbolic link (and its parents) below `root`.
///
/// # Errors
/// symlink(2)'s errno.
pub fn make_link(root: BorrowedFd<'_>, target: &str, path: &str) -> Result<()> {
    make_parents(root, path)?;
    rustix::fs::symlinkat(target, root, path.trim_start_matches('/'))
        .map_err(|e| SysError::new("symlink", path, e))
}

/// Gives a path below `root` to the container's user.
///
/// # Errors
/// chown(2)'s errno.
pub fn give(root: BorrowedFd<'_>, path: &str, uid: u32, gid: u32) -> Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    rustix::fs::chownat(root, path.trim_start_matches('/'), uid, gid, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| SysError::new("chown", path, e))
}

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

/// Makes this mount (not the file system) read-only.
///
/// # Errors
/// mount_setattr(2)'s errno.
pub fn make_readonly(mount: BorrowedFd<'_>, what: &str) -> Result<()> {
    const RDONLY: u64 = 1;
    set_attributes(mount, 0, &MountAttr { set: RDONLY, ..MountAttr::default() }, what)
}

/// Duplicates a descriptor above the standard ones, close-on-exec.
///
/// # Errors
/// EMFILE.
pub fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    // SAFETY: plain integers; the result is a fresh descriptor.
    let raw = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
    if raw < 0 {
        return Err(SysError::last("dup", fd.as_raw_fd().to_string()));
    }
    // SAFETY: fresh and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

#[cfg(test)]
mod tests {
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
            make_file(root.as_fd(), "/guest/kernel", 0o444, "").map_err(|_| 3)?;
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
            make_file(inner.as_fd(), "/file", 0o444, "").map_err(|_| 5)?;
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

    #[test]
    fn the_view_of_our_own_program_is_read_only() {
        let view = own_program().unwrap().expect("a test runs from a file that can be written");
        let path = format!("/proc/self/fd/{}", view.as_raw_fd());
        assert_eq!(
            std::fs::metadata(&path).unwrap().len(),
            std::fs::metadata("/proc/self/exe").unwrap().len()
        );
        // Cut before it is opened: a busy file would say so only later.
        let error = std::fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EROFS));
    }
}
