//! Processes: clone3, pidfd, start time, signals.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal};

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
pub fn kill(pidfd: BorrowedFd<'_>) {
    let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
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
pub fn ended(pidfd: BorrowedFd<'_>) -> bool {
    wait_readable(&[pidfd], Some(Duration::ZERO)).is_ok_and(|ready| ready == [true])
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

/// Identity of a process beyond its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// State letter of proc_pid_stat(5).
    pub state: char,
    /// Parent.
    pub parent: i32,
    /// On its way out (`PF_EXITING` of the kernel's `include/linux/sched.h`): set before its descriptors are closed.
    pub exiting: bool,
    /// Start time in clock ticks since boot, in the reader's time namespace.
    pub start_time: u64,
}

/// Parses /proc/PID/stat after the *last* `)`: the name may hold anything.
pub fn parse_stat(text: &str) -> Option<Stat> {
    let rest = text.get(text.rfind(')')? + 1..)?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let flags: u64 = fields.nth(4)?.parse().ok()?;
    let start_time = fields.nth(12)?.parse().ok()?;
    Some(Stat { state, parent, exiting: flags & 0x4 != 0, start_time })
}

/// [`parse_stat`] of a live process; `None` when there is none (or no /proc).
pub fn stat(pid: i32) -> Option<Stat> {
    // The name may be any bytes: a process must not be able to hide behind them.
    let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&String::from_utf8_lossy(&bytes))
}

/// Identity of this boot: pid and start time repeat after a reboot.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// close_range(2) of everything from `first` on.
pub fn close_from(first: u32) {
    // SAFETY: the caller owns no descriptor above (called first thing in `main`) or diverges afterwards.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Closes every descriptor above 2 but those in `keep` and, of the `preserved` ones from 3 on, those without
/// close-on-exec: they are the caller's, not ours. Only for a process that never drops other descriptors again.
pub fn close_all_but(keep: &[BorrowedFd<'_>], preserved: u32) {
    let mut keep: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).filter(|fd| *fd > 2).collect();
    keep.extend((3..3_u32.saturating_add(preserved)).filter(|fd| is_inherited(*fd)));
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep {
        if fd > first {
            // SAFETY: as the function's contract says.
            unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) };
        }
        first = first.max(fd + 1);
    }
    close_from(first);
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

/// Every signal back to its default action and none blocked: nothing is inherited from the engine or from std.
pub fn reset_signals() {
    // SAFETY: SIG_DFL installs no code; the set is initialised by sigemptyset.
    unsafe {
        for number in 1..=64 {
            libc::signal(number, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
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
/// signalfd(2)'s errno.
pub fn signals_as_fd() -> Result<OwnedFd> {
    // SAFETY: the set is initialised by sigfillset; the result is a fresh descriptor.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        let fd = libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(SysError::last("signalfd", "all signals"));
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Next signal number queued on a descriptor of [`signals_as_fd`].
pub fn next_signal(fd: BorrowedFd<'_>) -> Option<i32> {
    let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(fd, &mut info[..]).ok()?;
    (read == info.len()).then(|| i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))
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

/// prctl(PR_SET_NAME): the name `ps` shows, at most 15 bytes.
pub fn set_name(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}

/// Makes this process undumpable until its next exec: without CAP_SYS_PTRACE nobody, not even root, can attach to it or
/// follow its links below /proc (prctl(PR_SET_DUMPABLE)).
///
/// # Errors
/// prctl(2)'s errno.
pub fn hide() -> Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|e| SysError::new("prctl", "not dumpable", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_do_not_confuse_stat() {
        let tail = "S 7 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        let stat = parse_stat(&format!("12 (a) R 9 (x) {tail}")).unwrap();
        assert_eq!(stat, Stat { state: 'S', parent: 7, exiting: false, start_time: 4242 });
        assert!(parse_stat(&format!("12 (a) {}", tail.replace("-1 0", "-1 4"))).unwrap().exiting);
        assert_eq!(parse_stat("no parenthesis"), None);
    }

    #[test]
    fn low_pids_are_refused() {
        for pid in [-1, 0, 1] {
            assert!(pidfd(pid).is_err());
        }
    }

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
