//! A process by descriptor: signals, the wait for its end, its status.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal};
use urunc_plan::supervision::Fate;

use crate::error::{Result, SysError};

/// pidfd_open(2). Refuses pid 0, 1 and below: they can never be a container.
///
/// # Errors
/// ESRCH when there is no such process.
pub fn pidfd(pid: i32) -> Result<OwnedFd> {
    let object = || pid.to_string();
    let Some(raw) = (pid > 1).then(|| Pid::from_raw(pid)).flatten() else {
        return Err(SysError::new("pidfd_open", object(), io::Error::from_raw_os_error(libc::ESRCH)));
    };
    rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty())
        .map_err(|e| SysError::new("pidfd_open", object(), e))
}

/// pidfd_send_signal(2); `signal` 0 only tests.
///
/// # Errors
/// ESRCH when the process has been reaped.
pub fn signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    // SAFETY: plain integers and a null siginfo.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if rc == 0 { Ok(()) } else { Err(SysError::last("signal", signal.to_string())) }
}

/// SIGKILL, for children that must not outlive an error.
///
/// # Errors
/// Anything but ESRCH: what has ended need not be killed.
pub fn kill(pidfd: BorrowedFd<'_>) -> Result<()> {
    match rustix::process::pidfd_send_signal(pidfd, Signal::KILL) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        sent => sent.map_err(|e| SysError::new("kill", "the container's process", e)),
    }
}

/// Waits until one of `fds` is readable (for a pidfd: the process has ended) or `timeout` has passed.
/// Gives the readiness of each.
///
/// # Errors
/// poll(2)'s errno except EINTR.
pub fn wait_readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> Result<Vec<bool>> {
    wait_ready(fds, &[], timeout)
}

/// [`wait_readable`] of the first list or until one of the second is writable. Gives the readiness of each, in order.
///
/// # Errors
/// As [`wait_readable`].
pub fn wait_ready(
    readable: &[BorrowedFd<'_>],
    writable: &[BorrowedFd<'_>],
    timeout: Option<Duration>,
) -> Result<Vec<bool>> {
    let deadline = timeout.map(|t| Instant::now() + t);
    let all = || {
        readable.iter().map(|fd| (fd, PollFlags::IN)).chain(writable.iter().map(|fd| (fd, PollFlags::OUT)))
    };
    loop {
        let mut polled: Vec<PollFd<'_>> = all().map(|(fd, events)| PollFd::new(fd, events)).collect();
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let spec =
            left.map(|d| Timespec { tv_sec: d.as_secs() as i64, tv_nsec: i64::from(d.subsec_nanos()) });
        match rustix::event::poll(&mut polled, spec.as_ref()) {
            Ok(_) => return Ok(polled.iter().map(|p| !p.revents().is_empty()).collect()),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(SysError::new("poll", "descriptors", e)),
        }
    }
}

/// Has the process behind the pidfd ended (zombie or gone)?
///
/// # Errors
/// As [`wait_readable`].
pub fn ended(pidfd: BorrowedFd<'_>) -> Result<bool> {
    Ok(wait_readable(&[pidfd], Some(Duration::ZERO))? == [true])
}

/// Reaps a child: its exit status as a shell gives it (code, or 128 + signal). Blocks until it ends.
///
/// # Errors
/// waitid(2)'s errno.
pub fn reap(pidfd: BorrowedFd<'_>) -> Result<i32> {
    use rustix::process::{WaitId, WaitIdOptions};
    loop {
        match rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => {
                let signal = status.terminating_signal().map(|s| 128 + s);
                return Ok(status.exit_status().or(signal).unwrap_or(255));
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(SysError::new("waitid", "child", e)),
        }
    }
}

/// Reaps one child that has ended, whichever: its pid and its end. `None` when there is none. Allocates nothing.
pub fn reap_any() -> Option<(i32, Fate)> {
    let mut status = 0;
    // SAFETY: the status is written to an integer of ours.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    let byte = |number: i32| number.to_le_bytes()[0];
    let ended = if libc::WIFSIGNALED(status) {
        Fate::Killed(byte(libc::WTERMSIG(status)))
    } else {
        Fate::Exited(byte(libc::WEXITSTATUS(status)))
    };
    (pid > 0).then_some((pid, ended))
}

/// What to wait for.
#[derive(Debug, Clone, Copy)]
pub enum Until<'a> {
    /// There is something to read, or its other end is gone.
    Readable(BorrowedFd<'a>),
    /// There is room, or its other end is gone.
    Writable(BorrowedFd<'a>),
    /// Nothing.
    Never,
}

impl<'a> Until<'a> {
    /// [`Until::Readable`], if there is one.
    pub fn readable(fd: Option<BorrowedFd<'a>>) -> Self {
        fd.map_or(Self::Never, Self::Readable)
    }

    fn entry(self) -> libc::pollfd {
        // poll(2) leaves out negative descriptors.
        let (fd, events) = match self {
            Self::Readable(fd) => (fd.as_raw_fd(), libc::POLLIN),
            Self::Writable(fd) => (fd.as_raw_fd(), libc::POLLOUT),
            Self::Never => (-1, 0),
        };
        libc::pollfd { fd, events, revents: 0 }
    }
}

/// [`wait_ready`] that allocates nothing. A signal ends it early; where poll(2) fails, all of them may be ready.
pub fn wait_any<const N: usize>(fds: [Until<'_>; N], timeout: Option<Duration>) -> [bool; N] {
    let mut polled = fds.map(Until::entry);
    // Rounded up: it must not spin before the time has come.
    let milliseconds = |time: Duration| if time.is_zero() { 0 } else { time.as_millis().saturating_add(1) };
    let timeout = timeout.map_or(-1, |time| i32::try_from(milliseconds(time)).unwrap_or(i32::MAX));
    // SAFETY: N entries of ours.
    let rc = unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, timeout) };
    polled.map(|entry| rc < 0 || entry.revents != 0)
}

/// [`signal`] that allocates nothing: a failure is not told.
pub fn try_signal(pidfd: BorrowedFd<'_>, signal: i32) {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: plain integers and a null siginfo.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_pids_are_refused() {
        for pid in [-1, 0, 1] {
            assert!(pidfd(pid).is_err());
        }
    }
}
