//! Files of the image, reached only below its root (rules R1 and R2): openat2 with RESOLVE_IN_ROOT, checked before they
//! are opened for reading.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use crate::error::{Result, SysError};

/// What may be behind a path of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// A regular file.
    Regular,
    /// A regular file or a block device.
    RegularOrBlock,
}

/// An opened file of the image.
#[derive(Debug)]
pub struct Opened {
    /// Open for reading (and writing, if asked), close-on-exec.
    pub fd: OwnedFd,
    /// Size in bytes; 0 for a device.
    pub bytes: u64,
    /// It is a block device.
    pub device: bool,
}

/// The image's root directory as a descriptor.
///
/// # Errors
/// ENOENT, ENOTDIR.
pub fn open_root(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| SysError::new("open", path.display().to_string(), e))
}

/// Opens `path` (absolute or relative, both from `root`). Links are followed, but never out of `root`; nothing acts or
/// blocks before the type is known.
///
/// # Errors
/// ENOENT and the like; EINVAL for a name that is refused before looking, or for a file of the wrong type.
pub fn open(root: BorrowedFd<'_>, path: &str, want: Want, writable: bool) -> Result<Opened> {
    let named = |e: io::Error| SysError::new("open in image", path, e);
    let wrong = |why: &str| named(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()));
    if path.is_empty() || path.len() > 4096 || path.contains('\0') || path.ends_with('/') {
        return Err(wrong("not the path of a file"));
    }
    if path.split('/').any(|part| part == "..") {
        return Err(wrong("`..` is not allowed"));
    }
    let probe = resolve(root, path, OFlags::PATH).map_err(named)?;
    let stat = rustix::fs::fstat(&probe).map_err(|e| named(e.into()))?;
    let device = match (FileType::from_raw_mode(stat.st_mode), want) {
        (FileType::RegularFile, _) => false,
        (FileType::BlockDevice, Want::RegularOrBlock) => true,
        (FileType::Directory, _) => return Err(wrong("is a directory, not a regular file")),
        _ => return Err(wrong("is not a regular file")),
    };
    let access = if writable { OFlags::RDWR } else { OFlags::RDONLY };
    let fd = resolve(root, path, access | OFlags::NONBLOCK | OFlags::NOCTTY).map_err(named)?;
    if !crate::atomic::same_inode(probe.as_fd(), fd.as_fd())? {
        return Err(wrong("was exchanged while it was opened"));
    }
    Ok(Opened { fd, bytes: if device { 0 } else { stat.st_size.unsigned_abs() }, device })
}

/// openat2(2) below `root`. EAGAIN means that a rename raced with `..` in a link; the kernel asks to try again.
pub(crate) fn resolve(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) if tries < 64 => tries += 1,
            result => return result.map_err(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_leads_out_of_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        std::fs::create_dir_all(image.join("etc")).unwrap();
        std::fs::write(dir.path().join("secret"), "host").unwrap();
        std::fs::write(image.join("etc/passwd"), "image").unwrap();
        symlink("/etc/passwd", image.join("absolute")).unwrap();
        symlink("../../../../../secret", image.join("climb")).unwrap();
        symlink("loop", image.join("loop")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, image.join("fifo"), Mode::RWXU).unwrap();
        let root = open_root(&image).unwrap();
        let content = |path: &str| -> Result<String> {
            let opened = open(root.as_fd(), path, Want::Regular, false)?;
            Ok(io::read_to_string(std::fs::File::from(opened.fd)).unwrap())
        };
        assert_eq!(content("/absolute").unwrap(), "image");
        for refused in
            ["climb", "../secret", "etc/../../secret", "loop", "fifo", "etc", "etc/passwd/", "", "none"]
        {
            assert!(content(refused).is_err(), "{refused}");
        }
    }
}
