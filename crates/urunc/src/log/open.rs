//! The log file: opened without waiting for anyone, and never through a link that a stranger may have placed.

use anyhow::{Context, bail};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fstat, openat, stat},
    io::Errno,
};
use std::{fs::File, os::fd::OwnedFd, path::Path};

/// Opens for appending, makes it (0644) if missing. `None` for a pipe that nobody reads: its lines go to stderr.
pub(super) fn append(path: &Path) -> anyhow::Result<Option<File>> {
    let fd = match open(path, OFlags::NOFOLLOW) {
        Err(Errno::LOOP) => {
            refuse_shared_directory(path)?;
            open(path, OFlags::empty())
        }
        other => other,
    };
    let fd = match fd {
        // open(2): ENXIO is a FIFO without reader (or a device that is gone).
        Err(Errno::NXIO) => return Ok(None),
        other => other.map_err(std::io::Error::from)?,
    };
    let kind = FileType::from_raw_mode(fstat(&fd).map_err(std::io::Error::from)?.st_mode);
    match kind {
        FileType::RegularFile | FileType::Fifo | FileType::CharacterDevice => Ok(Some(fd.into())),
        _ => bail!("neither a file nor a pipe"),
    }
}

/// O_NONBLOCK stays set: a pipe whose reader sleeps loses lines, but nobody waits for it.
fn open(path: &Path, more: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    openat(CWD, path, flags | more, Mode::from_raw_mode(0o644))
}

/// A link is followed only if its directory is not open to everybody (`/tmp`).
fn refuse_shared_directory(path: &Path) -> anyhow::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode =
        Mode::from_raw_mode(stat(parent).map_err(std::io::Error::from).context("its directory")?.st_mode);
    if mode.contains(Mode::WOTH) {
        bail!("is a link in a directory that everybody may write to");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        io::{Read, Write},
        os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    };

    #[test]
    fn files_are_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for _ in 0..2 {
            append(&path).unwrap().unwrap().write_all(b"x").unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"xx");
        assert!(append(dir.path()).is_err());
        assert!(append(&dir.path().join("missing/log")).is_err());
    }

    #[test]
    fn links_in_shared_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (canary, link) = (dir.path().join("canary"), dir.path().join("log"));
        symlink(&canary, &link).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(append(&link).unwrap_err().to_string().contains("is a link"));
        assert!(!canary.exists());
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(append(&link).unwrap().is_some() && canary.exists());
    }

    #[test]
    fn a_pipe_never_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(append(&path).unwrap().is_none(), "no reader");
        let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
        let mut reader = fs::OpenOptions::new().read(true).custom_flags(nonblock).open(&path).unwrap();
        let mut log = append(&path).unwrap().unwrap();
        log.write_all(b"line\n").unwrap();
        let mut read = [0; 5];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"line\n");
        while log.write(&[b'x'; 4096]).is_ok() {}
    }
}
