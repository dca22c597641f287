//! Files written by rename, directories held by descriptor, locks.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

use crate::error::{Result, SysError};

/// Opens a directory below `parent` without following a link.
///
/// # Errors
/// ENOENT, ENOTDIR, ELOOP.
pub fn open_dir(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(|e| SysError::new("open", name, e))
}

/// Makes a directory with exactly this mode, whatever the umask, and opens it.
///
/// # Errors
/// EEXIST when the name is taken.
pub fn make_dir(parent: BorrowedFd<'_>, name: &str, mode: u32) -> Result<OwnedFd> {
    let error = |e| SysError::new("mkdir", name, e);
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(mode)).map_err(error)?;
    let opened = open_dir(parent, name).and_then(|dir| {
        rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode)).map_err(error)?;
        Ok(dir)
    });
    if opened.is_err() {
        // It is empty, or has become somebody else's and stays.
        let _ = rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR);
    }
    opened
}

/// Replaces `name` in one step; mode 0600. Readers see the old or the new content.
///
/// # Errors
/// ENOSPC and the like; the old content is then untouched.
pub fn write(dir: BorrowedFd<'_>, name: &str, content: &[u8]) -> Result<()> {
    let fresh = format!(".{name}.new");
    let error = |e: std::io::Error| SysError::new("write", name, e);
    let _ = rustix::fs::unlinkat(dir, &fresh, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd =
        rustix::fs::openat(dir, &fresh, flags, Mode::from_raw_mode(0o600)).map_err(|e| error(e.into()))?;
    let written = std::fs::File::from(fd)
        .write_all(content)
        .and_then(|()| rustix::fs::renameat(dir, &fresh, dir, name).map_err(Into::into));
    written.map_err(|e| {
        let _ = rustix::fs::unlinkat(dir, &fresh, AtFlags::empty());
        error(e)
    })
}

/// A new file of mode 0600, in place of an old one, open for writing.
///
/// # Errors
/// ENOSPC; EISDIR.
pub fn create(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    remove(dir, name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let created = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600));
    created.map_err(|e| SysError::new("create", name, e))
}

/// Reads a whole regular file of at most `limit` bytes without following a link or blocking on a FIFO.
///
/// # Errors
/// ENOENT; EINVAL for anything but a regular file; EFBIG above the limit.
pub fn read(dir: BorrowedFd<'_>, name: &str, limit: u64) -> Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd =
        rustix::fs::openat(dir, name, flags, Mode::empty()).map_err(|e| SysError::new("read", name, e))?;
    read_all(fd, name, limit)
}

/// [`read`] of an open descriptor.
///
/// # Errors
/// As [`read`].
pub fn read_all(fd: OwnedFd, name: &str, limit: u64) -> Result<Vec<u8>> {
    let stat = rustix::fs::fstat(&fd).map_err(|e| SysError::new("stat", name, e))?;
    let refuse = |errno| Err(SysError::new("read", name, std::io::Error::from_raw_os_error(errno)));
    if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
        return refuse(libc::EINVAL);
    }
    let mut content = Vec::with_capacity(stat.st_size.unsigned_abs().min(limit) as usize + 1);
    std::fs::File::from(fd)
        .take(limit + 1)
        .read_to_end(&mut content)
        .map_err(|e| SysError::new("read", name, e))?;
    if content.len() as u64 > limit { refuse(libc::EFBIG) } else { Ok(content) }
}

/// Takes the exclusive lock on a directory (flock(2)); released when the descriptor is closed.
///
/// # Errors
/// EWOULDBLOCK when `wait` is false and another process holds it.
pub fn lock(dir: BorrowedFd<'_>, wait: bool) -> Result<()> {
    let operation =
        if wait { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
    loop {
        match rustix::fs::flock(dir, operation) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map_err(|e| SysError::new("lock", "container", e)),
        }
    }
}

/// Does another process hold the lock? The question holds nobody up but for a moment.
///
/// # Errors
/// flock(2)'s errno.
pub fn is_locked(dir: BorrowedFd<'_>) -> Result<bool> {
    // Shared: those who ask at the same time are not in each other's way.
    match rustix::fs::flock(dir, FlockOperation::NonBlockingLockShared) {
        Ok(()) => unlock(dir),
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(true),
        Err(e) => return Err(SysError::new("lock", "container", e)),
    }
    Ok(false)
}

/// Gives the lock of [`lock`] back before the descriptor is closed.
pub fn unlock(dir: BorrowedFd<'_>) {
    // It fails for a bad descriptor only, and that one holds no lock.
    let _ = rustix::fs::flock(dir, FlockOperation::Unlock);
}

/// Removes a file; absence is success.
///
/// # Errors
/// Anything but ENOENT.
pub fn remove(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    ignore_absent(rustix::fs::unlinkat(dir, name, AtFlags::empty()), name)
}

/// Removes an empty directory; absence is success.
///
/// # Errors
/// Anything but ENOENT.
pub fn remove_dir(parent: BorrowedFd<'_>, name: &str) -> Result<()> {
    ignore_absent(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR), name)
}

fn ignore_absent(result: rustix::io::Result<()>, name: &str) -> Result<()> {
    match result {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        other => other.map_err(|e| SysError::new("remove", name, e)),
    }
}

/// Do both descriptors name the same inode?
///
/// # Errors
/// fstat(2)'s errno.
pub fn same_inode(a: impl AsFd, b: impl AsFd) -> Result<bool> {
    let stat = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).map_err(|e| SysError::new("stat", "inode", e));
    let (a, b) = (stat(a.as_fd())?, stat(b.as_fd())?);
    Ok((a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

/// Is there an entry of this name, of whatever kind?
///
/// # Errors
/// Anything but ENOENT.
pub fn exists(dir: BorrowedFd<'_>, name: &str) -> Result<bool> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => Ok(false),
        found => found.map(|_| true).map_err(|e| SysError::new("stat", name, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let fd = std::fs::File::open(dir.path()).unwrap().into();
        (dir, fd)
    }

    #[test]
    fn content_is_replaced_and_links_are_not_followed() {
        let (path, fd) = dir();
        write(fd.as_fd(), "a", b"one").unwrap();
        write(fd.as_fd(), "a", b"two").unwrap();
        assert_eq!(read(fd.as_fd(), "a", 3).unwrap(), b"two");
        assert_eq!(read(fd.as_fd(), "a", 2).unwrap_err().source.raw_os_error(), Some(libc::EFBIG));
        std::os::unix::fs::symlink("a", path.path().join("link")).unwrap();
        assert!(read(fd.as_fd(), "link", 9).is_err());
        write(fd.as_fd(), "link", b"new").unwrap();
        assert_eq!(read(fd.as_fd(), "a", 9).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.path()).unwrap().count(), 2);
    }

    #[test]
    fn directory_mode_ignores_the_umask_and_names_are_exclusive() {
        let (_path, fd) = dir();
        let made = make_dir(fd.as_fd(), "d", 0o711).unwrap();
        assert_eq!(rustix::fs::fstat(&made).unwrap().st_mode & 0o7777, 0o711);
        assert!(make_dir(fd.as_fd(), "d", 0o700).is_err());
        remove_dir(fd.as_fd(), "d").unwrap();
        remove_dir(fd.as_fd(), "d").unwrap();
    }

    #[test]
    fn the_lock_excludes() {
        let (path, fd) = dir();
        let other: OwnedFd = std::fs::File::open(path.path()).unwrap().into();
        lock(fd.as_fd(), false).unwrap();
        assert!(lock(other.as_fd(), false).is_err());
        assert!(is_locked(other.as_fd()).unwrap());
        unlock(fd.as_fd());
        assert!(!is_locked(other.as_fd()).unwrap());
        lock(other.as_fd(), false).unwrap();
        assert!(lock(fd.as_fd(), false).is_err());
        drop(other);
        // Waiting: a process that another test forks meanwhile has `other` as well, until it executes or ends.
        lock(fd.as_fd(), true).unwrap();
    }
}
