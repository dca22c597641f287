//! What is made in the private root: directories, files, links and device nodes, each below a descriptor.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};

use crate::error::{Result, SysError};

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
pub fn make_file(root: BorrowedFd<'_>, path: &str, mode: u32, content: &[u8]) -> Result<()> {
    use std::io::Write;
    let error = |e: std::io::Error| SysError::new("create", path, e);
    make_parents(root, path)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let relative = path.trim_start_matches('/');
    let fd =
        rustix::fs::openat(root, relative, flags, Mode::from_raw_mode(mode)).map_err(|e| error(e.into()))?;
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode)).map_err(|e| error(e.into()))?;
    std::fs::File::from(fd).write_all(content).map_err(error)
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
