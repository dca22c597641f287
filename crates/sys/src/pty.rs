//! Pseudo terminals, from a devpts instance of the container's own.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{Gid, Mode, OFlags, Uid};

use crate::error::{Result, SysError};

/// A terminal: the engine gets the controller, the container the user side.
#[derive(Debug)]
pub struct Pty {
    /// Controlling side (`/dev/ptmx`).
    pub controller: OwnedFd,
    /// User side, mode 0620, owned by the container's user.
    pub user: OwnedFd,
}

/// A devpts instance that is attached nowhere: enough for a program that never looks its terminal up by name.
///
/// # Errors
/// fsopen(2)'s errno.
pub fn private_devpts() -> Result<OwnedFd> {
    crate::root::file_system("devpts", &[("ptmxmode", "0666"), ("mode", "0620")])
}

/// Opens a pair in this devpts; the user side by TIOCGPTPEER, never by a path.
///
/// # Errors
/// The call that failed.
pub fn open(devpts: BorrowedFd<'_>, uid: u32, gid: u32, size: Option<(u16, u16)>) -> Result<Pty> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let controller = rustix::fs::openat(devpts, "ptmx", flags, Mode::empty())
        .map_err(|e| SysError::new("open", "ptmx", e))?;
    rustix::pty::unlockpt(&controller).map_err(|e| SysError::new("unlock", "terminal", e))?;
    // SAFETY: TIOCGPTPEER takes open flags and gives a fresh descriptor.
    let user = unsafe {
        let fd = libc::ioctl(
            controller.as_raw_fd(),
            libc::TIOCGPTPEER as _,
            libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC,
        );
        if fd < 0 {
            return Err(SysError::last("open", "terminal peer"));
        }
        OwnedFd::from_raw_fd(fd)
    };
    rustix::fs::fchown(&user, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        .map_err(|e| SysError::new("chown", "terminal", e))?;
    if let Some((rows, columns)) = size {
        set_size(controller.as_fd(), rows, columns)?;
    }
    Ok(Pty { controller, user })
}

/// TIOCSWINSZ.
///
/// # Errors
/// The call's errno.
pub fn set_size(terminal: BorrowedFd<'_>, rows: u16, columns: u16) -> Result<()> {
    let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).map_err(|e| SysError::new("resize", "terminal", e))
}

/// Makes the user side this session's controlling terminal and its standard input, output and error.
///
/// # Errors
/// EPERM when the caller is no session leader.
pub fn make_controlling(user: BorrowedFd<'_>) -> Result<()> {
    rustix::process::ioctl_tiocsctty(user).map_err(|e| SysError::new("set controlling", "terminal", e))?;
    for target in 0..3 {
        crate::process::redirect(user, target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_cross_the_pair_and_the_size_is_set() {
        let devpts = private_devpts().unwrap();
        let pty = open(devpts.as_fd(), 0, 0, Some((33, 77))).unwrap();
        let size = rustix::termios::tcgetwinsize(&pty.user).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (33, 77));
        rustix::io::write(&pty.user, b"hi\n").unwrap();
        // A terminal hands out what it has: one line may take several reads.
        let mut line = [0; 4];
        std::io::Read::read_exact(&mut std::fs::File::from(pty.controller), &mut line).unwrap();
        assert_eq!(&line, b"hi\r\n");
    }
}
