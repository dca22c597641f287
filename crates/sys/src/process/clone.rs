//! A new process: clone3(2), exec, and the end without destructors.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Result, SysError};

/// Which side of [`clone3`] this is.
#[derive(Debug)]
pub enum Fork {
    /// The caller: pid of the child in the caller's pid namespace and a descriptor for it.
    Parent(Child),
    /// The new process.
    Child,
}

/// A child made by [`clone3`].
#[derive(Debug)]
pub struct Child {
    /// Process id.
    pub pid: i32,
    /// pidfd, close-on-exec.
    pub pidfd: OwnedFd,
}

/// `struct clone_args` of clone3(2), version 2.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// A copy of this (single-threaded) process in new namespaces and, on cgroup v2, directly in its group.
///
/// `flags` are CLONE_NEW* only. clone3(2).
///
/// # Errors
/// The call's errno; the object names the flags.
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Fork> {
    let mut pidfd: i32 = -1;
    let mut args = CloneArgs {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(fd) = cgroup {
        const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = fd.as_raw_fd() as u64;
    }
    // SAFETY: no CLONE_VM: the child runs on its own copy of this stack and heap. `args` outlives the call and
    // `pidfd` is written by the kernel in the parent only.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) };
    match pid {
        -1 => Err(SysError::last("clone3", format!("flags {flags:#x}"))),
        0 => Ok(Fork::Child),
        pid => {
            // SAFETY: the kernel stored a fresh descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Fork::Parent(Child { pid: pid as i32, pidfd }))
        }
    }
}

/// exit_group(2): no destructors, no flushing. Where a seccomp filter forbids even that, the process aborts, whose
/// last resort is a trap: the C library's `_exit` would try for ever.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::syscall(libc::SYS_exit_group, code) };
    std::process::abort()
}

/// execve(2) with an exact environment. Returns only on failure.
pub fn exec(path: &str, args: &[String], env: &[String]) -> SysError {
    use std::ffi::CString;
    let list = |strings: &[String]| -> io::Result<Vec<CString>> {
        strings.iter().map(|s| CString::new(s.as_str()).map_err(io::Error::from)).collect()
    };
    let (Ok(program), Ok(args), Ok(env)) = (CString::new(path), list(args), list(env)) else {
        return SysError::new("exec", path, io::Error::from(io::ErrorKind::InvalidInput));
    };
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, env) = (pointers(&args), pointers(&env));
    // SAFETY: NUL-terminated strings in null-terminated arrays that outlive the call.
    unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    SysError::last("exec", path)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::super::reap;
    use super::*;

    #[test]
    fn a_clone_is_seen_to_end() {
        match clone3(0, None).unwrap() {
            Fork::Child => exit_now(42),
            Fork::Parent(child) => {
                assert_eq!(reap(child.pidfd.as_fd()).unwrap(), 42);
            }
        }
    }
}
