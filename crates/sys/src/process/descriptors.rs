//! Which descriptors a process keeps, and under which numbers.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Result, SysError};

/// close_range(2) of everything from `first` on.
///
/// # Errors
/// ENOSYS before Linux 5.9.
pub fn close_from(first: u32) -> Result<()> {
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: the caller owns no descriptor in the range (called first thing in `main`) or never drops it again.
    let rc = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if rc == 0 { Ok(()) } else { Err(SysError::last("close", format!("descriptors from {first} on"))) }
}

/// Closes every descriptor above 2 but those in `keep` and, of the `preserved` ones from 3 on, those without
/// close-on-exec: they are the caller's, not ours. Only for a process that never drops other descriptors again.
///
/// # Errors
/// As [`close_from`].
pub fn close_all_but(keep: &[BorrowedFd<'_>], preserved: u32) -> Result<()> {
    let mut keep: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).filter(|fd| *fd > 2).collect();
    keep.extend((3..3_u32.saturating_add(preserved)).filter(|fd| is_inherited(*fd)));
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1)?;
        }
        first = first.max(fd + 1);
    }
    close_from(first)
}

fn is_inherited(fd: u32) -> bool {
    // SAFETY: plain integers.
    unsafe { libc::fcntl(fd as i32, libc::F_GETFD) == 0 }
}

/// Moves the descriptors to 3, 4, … without close-on-exec, in order, for an exec that follows.
///
/// # Errors
/// dup(2)'s errno.
pub fn place_fds(fds: &[BorrowedFd<'_>]) -> Result<()> {
    let count = fds.len() as i32;
    // Two passes: no target number may still be a source.
    let mut high = Vec::new();
    for fd in fds {
        // SAFETY: plain integers; the result is a new descriptor.
        let moved = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3 + count) };
        if moved < 0 {
            return Err(SysError::last("dup", format!("descriptor {}", fd.as_raw_fd())));
        }
        high.push(moved);
    }
    for (target, fd) in (3..).zip(high) {
        // SAFETY: `target` is below every source; whatever it was is owned by a process that is about to exec.
        if unsafe { libc::dup3(fd, target, 0) } < 0 {
            return Err(SysError::last("dup", format!("to {target}")));
        }
    }
    Ok(())
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

/// Makes `fd` this process's descriptor `target` (0, 1 or 2).
///
/// # Errors
/// dup3(2)'s errno.
pub fn redirect(fd: BorrowedFd<'_>, target: i32) -> Result<()> {
    // SAFETY: standard descriptors are not owned by any OwnedFd.
    if unsafe { libc::dup2(fd.as_raw_fd(), target) } < 0 {
        return Err(SysError::last("dup", format!("to {target}")));
    }
    Ok(())
}

/// A pipe, close-on-exec: the end to read, the end to write.
///
/// # Errors
/// EMFILE.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|e| SysError::new("pipe", "both ends", e))
}

/// Reads and writes of everybody who shares the descriptor fail with EAGAIN instead of waiting.
///
/// # Errors
/// fcntl(2)'s errno.
pub fn never_block(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::ioctl_fionbio(fd, true).map_err(|e| SysError::new("fcntl", "O_NONBLOCK", e))
}
