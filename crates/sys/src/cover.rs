//! Paths of an ordinary container that are hidden or become read-only (OCI spec, config-linux.md), and its own devices.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use urunc_plan::ordinary::Node;

use crate::error::{Result, SysError};
use crate::inroot;
use crate::root::{self, Access};

/// Hides what `path` is below `root`: a directory behind an empty one, anything else behind `null`, a detached mount of
/// the null device. What is not there needs no hiding.
///
/// # Errors
/// The call that failed, naming the path.
pub fn mask(root: BorrowedFd<'_>, path: &str, null: BorrowedFd<'_>) -> Result<()> {
    let Some(target) = find(root, path)? else { return Ok(()) };
    let stat = rustix::fs::fstat(&target).map_err(|e| SysError::new("stat", path, e))?;
    if !FileType::from_raw_mode(stat.st_mode).is_dir() {
        return root::attach_at(null, target.as_fd(), path);
    }
    let empty = root::file_system("tmpfs", &[("size", "4096"), ("mode", "0755")])?;
    root::make_readonly(empty.as_fd(), path)?;
    root::attach_at(empty.as_fd(), target.as_fd(), path)
}

/// Makes what `path` is below `root` read-only, with everything that is mounted there.
///
/// # Errors
/// The call that failed, naming the path.
pub fn make_readonly(root: BorrowedFd<'_>, path: &str) -> Result<()> {
    let Some(target) = find(root, path)? else { return Ok(()) };
    let view = root::detached(target.as_fd(), Access::ReadOnly, path)?;
    root::attach_at(view.as_fd(), target.as_fd(), path)
}

/// Links lead nowhere but below `root`.
fn find(root: BorrowedFd<'_>, path: &str) -> Result<Option<OwnedFd>> {
    match inroot::resolve(root, path, OFlags::PATH) {
        Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOENT | Errno::NOTDIR)) => Ok(None),
        found => Ok(Some(found.map_err(|e| SysError::new("open in image", path, e))?)),
    }
}

/// Makes a device node or a fifo below `root`, a file system of our own.
///
/// # Errors
/// EPERM without CAP_MKNOD, or where the cgroup does not allow the device; EEXIST.
pub fn make_node(root: BorrowedFd<'_>, path: &str, node: &Node) -> Result<()> {
    let error = |e| SysError::new("mknod", path, e);
    let kind = match node.kind.as_str() {
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        _ => FileType::CharacterDevice,
    };
    let rdev = rustix::fs::makedev(node.major as u32, node.minor as u32);
    let mode = Mode::from_raw_mode(node.mode.unwrap_or(0o666) & 0o7777);
    root::make_parents(root, path)?;
    rustix::fs::mknodat(root, path, kind, mode, rdev).map_err(error)?;
    rustix::fs::chmodat(root, path, mode, AtFlags::empty()).map_err(error)?;
    let (uid, gid) = (Some(Uid::from_raw(node.uid)), Some(Gid::from_raw(node.gid)));
    rustix::fs::chownat(root, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::unshare;

    const NEWNS: u32 = 0x0002_0000;

    #[test]
    fn masks_hide_and_read_only_paths_refuse_writes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("hidden")).unwrap();
        std::fs::create_dir(dir.path().join("fixed")).unwrap();
        for file in ["secret", "hidden/file", "fixed/file"] {
            std::fs::write(dir.path().join(file), "secret").unwrap();
        }
        std::os::unix::fs::symlink("/../../secret", dir.path().join("link")).unwrap();
        let read = |file: &str| std::fs::read_to_string(dir.path().join(file)).ok();
        let steps = || -> Option<()> {
            unshare(NEWNS, "mounts").ok()?;
            root::set_propagation(rustix::mount::MountPropagationFlags::PRIVATE).ok()?;
            let root = inroot::open_root(dir.path()).ok()?;
            for path in ["/link", "/hidden", "/none", "/secret/none"] {
                let null = root::detached_path("/dev/null", Access::Device).ok()?;
                mask(root.as_fd(), path, null.as_fd()).ok()?;
            }
            make_readonly(root.as_fd(), "/fixed").ok()?;
            make_readonly(root.as_fd(), "/none").ok()?;
            (read("secret")?.is_empty() && read("hidden/file").is_none()).then_some(())?;
            let written = std::fs::write(dir.path().join("fixed/file"), "");
            (written.err()?.raw_os_error() == Some(libc::EROFS)).then_some(())
        };
        assert_eq!(crate::child::run(|| i32::from(steps().is_none())), 0);
        assert_eq!(read("fixed/file").as_deref(), Some("secret"));
    }

    #[test]
    fn a_node_is_as_asked() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let root = inroot::open_root(dir.path()).unwrap();
        let node = |kind: &str| Node {
            path: "/dev/odd".to_owned(),
            kind: kind.to_owned(),
            major: 10,
            minor: 666,
            mode: Some(0o640),
            uid: 3,
            gid: 4,
        };
        for (name, kind, bits) in
            [("a", "p", libc::S_IFIFO), ("b/c", "b", libc::S_IFBLK), ("d", "u", libc::S_IFCHR)]
        {
            make_node(root.as_fd(), name, &node(kind)).unwrap();
            let found = std::fs::symlink_metadata(dir.path().join(name)).unwrap();
            assert_eq!((found.mode(), found.uid(), found.gid()), (bits | 0o640, 3, 4), "{kind}");
            assert!(kind == "p" || found.rdev() == rustix::fs::makedev(10, 666), "{kind}");
        }
    }
}
