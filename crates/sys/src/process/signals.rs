//! What a process does with signals that it gets.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::error::{Result, SysError};

/// Every signal back to its default action and none blocked: nothing is inherited from the engine or from std.
///
/// # Errors
/// sigaction(2)'s or sigprocmask(2)'s errno.
pub fn reset_signals() -> Result<()> {
    for number in 1..=64 {
        // SAFETY: SIG_DFL installs no code.
        let before = unsafe { libc::signal(number, libc::SIG_DFL) };
        // EINVAL: KILL, STOP and those that the C library keeps for itself.
        if before == libc::SIG_ERR && io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL) {
            return Err(SysError::last("reset signal", number.to_string()));
        }
    }
    block(libc::sigemptyset).map(drop)
}

/// Blocks the signals of the set that `fill` makes, and no others.
fn block(fill: unsafe extern "C" fn(*mut libc::sigset_t) -> i32) -> Result<libc::sigset_t> {
    // SAFETY: plain memory, which `fill` initialises; nothing else is written.
    let (rc, set) = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        fill(&raw mut set);
        (libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()), set)
    };
    if rc == 0 { Ok(set) } else { Err(SysError::last("block", "signals")) }
}

/// Writing beyond RLIMIT_FSIZE is an error (EFBIG) and not the end of this process. By a handler that does nothing: what
/// is ignored would be so in every program that we execute as well.
pub fn survive_file_limit() {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: the handler touches nothing; it is reset by every exec and by [`reset_signals`].
    unsafe { libc::signal(libc::SIGXFSZ, nothing as extern "C" fn(i32) as libc::sighandler_t) };
}

/// Blocks every signal and gives a descriptor from which they are read (signalfd(2)).
///
/// # Errors
/// sigprocmask(2)'s or signalfd(2)'s errno.
pub fn signals_as_fd() -> Result<OwnedFd> {
    let all = block(libc::sigfillset)?;
    // SAFETY: the set is initialised; the result is a fresh descriptor.
    unsafe {
        let fd = libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(SysError::last("signalfd", "all signals"));
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Makes the program of `command` start with no signal blocked, whatever its parent blocks.
pub fn with_open_signals(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec two calls are made that are async-signal-safe (signal-safety(7)).
    unsafe {
        command.pre_exec(|| {
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            Ok(())
        })
    }
}

/// Next signal number queued on a descriptor of [`signals_as_fd`].
pub fn next_signal(fd: BorrowedFd<'_>) -> Option<i32> {
    let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(fd, &mut info[..]).ok()?;
    (read == info.len()).then(|| i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))
}
