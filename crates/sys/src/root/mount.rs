//! Mounts held by descriptor: of files that are open, of new file systems, and where they are attached.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use crate::error::{Result, SysError};

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
    /// A device node: no set-id, no execution.
    Device,
    /// As it is, but read-only.
    ReadOnly,
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
            Self::Device => NOSUID | NOEXEC,
            Self::ReadOnly => RDONLY,
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

/// Makes this mount (not the file system) read-only.
///
/// # Errors
/// mount_setattr(2)'s errno.
pub fn make_readonly(mount: BorrowedFd<'_>, what: &str) -> Result<()> {
    const RDONLY: u64 = 1;
    set_attributes(mount, 0, &MountAttr { set: RDONLY, ..MountAttr::default() }, what)
}

#[cfg(test)]
mod tests {
    use super::*;

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
