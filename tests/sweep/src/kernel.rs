//! seccomp_unotify(2): a child whose system calls are shown to this process before they happen.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags};

/// Where the child hands over its listener: a number that no program of ours reaches by opening files.
const HANDOVER: RawFd = 900;

/// The call happens as if nobody had looked.
#[allow(clippy::cast_possible_truncation)]
const FLAG_CONTINUE: u32 = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;

/// Offset of `nr`, of the lower half of `args[N]` in `struct seccomp_data`.
const NUMBER: u32 = 0;
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// A system call that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    id: u64,
    /// The caller, in this process's pid namespace.
    pub(crate) pid: i32,
    /// Number.
    pub(crate) number: u32,
    /// Arguments.
    pub(crate) args: [u64; 6],
}

/// Which calls are not shown: whole calls, and mmap(2) of anonymous memory at an address that the kernel picks or
/// replaces, as allocators do it.
#[derive(Debug, Clone)]
pub(crate) struct Unseen {
    /// Numbers.
    pub(crate) calls: Vec<u32>,
    /// Number of mmap.
    pub(crate) mmap: u32,
    /// Number of sendmsg.
    pub(crate) sendmsg: u32,
}

impl Unseen {
    fn program(&self) -> Vec<libc::sock_filter> {
        let load = |offset| insn(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
        let equal = |value, yes, no| insn(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no);
        let any = |bits, yes, no| insn(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits, yes, no);
        let ret = |action| insn(libc::BPF_RET | libc::BPF_K, action, 0, 0);
        let mut program = vec![load(NUMBER)];
        for number in &self.calls {
            program.extend([equal(*number, 0, 1), ret(libc::SECCOMP_RET_ALLOW)]);
        }
        // Guest memory is mapped at a place of its own, MAP_FIXED_NOREPLACE: that is no allocator.
        let own = libc::MAP_FIXED_NOREPLACE.cast_unsigned();
        let anonymous = libc::MAP_ANONYMOUS.cast_unsigned();
        program.extend([equal(self.mmap, 0, 4), load(argument(3)), any(own, 2, 0), any(anonymous, 0, 1)]);
        program.extend([ret(libc::SECCOMP_RET_ALLOW), load(NUMBER)]);
        // The one call that hands over the listener, to which nobody could answer yet.
        program.extend([equal(self.sendmsg, 0, 3), load(argument(0))]);
        program.extend([
            equal(HANDOVER.cast_unsigned(), 0, 1),
            ret(libc::SECCOMP_RET_ALLOW),
            ret(libc::SECCOMP_RET_USER_NOTIF),
        ]);
        program
    }
}

fn insn(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or_default(), jt, jf, k }
}

/// A program and its surroundings, ready for the moment between fork and exec, in which nothing may be allocated.
pub(crate) struct Program {
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    /// `args[0]` is the path.
    pub(crate) fn new(args: &[String], env: &[(&str, &str)]) -> Self {
        let text = |text: String| CString::new(text).unwrap_or_default();
        Self {
            args: args.iter().cloned().map(text).collect(),
            env: env.iter().map(|(name, value)| text(format!("{name}={value}"))).collect(),
        }
    }
}

/// Forks and executes `program` with these standard descriptors; with `unseen` every other call is shown to the
/// listener. Gives the pid and the listener.
pub(crate) fn spawn(
    program: &Program,
    stdio: [BorrowedFd<'_>; 3],
    unseen: Option<&Unseen>,
) -> io::Result<(i32, Option<OwnedFd>)> {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, env) = (pointers(&program.args), pointers(&program.env));
    let mut filter = unseen.map(Unseen::program).unwrap_or_default();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    // SAFETY: the child makes plain system calls on memory that was prepared above, then execs or exits.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let fds = stdio.map(|fd| fd.as_raw_fd());
            // SAFETY: all pointers are to null-terminated arrays of C strings that this copy of the process holds.
            unsafe { child(fds, theirs.as_raw_fd(), &mut filter, args.as_ptr(), env.as_ptr()) }
        }
        pid => {
            drop(theirs);
            Ok((pid, if filter.is_empty() { None } else { Some(receive(ours.as_raw_fd())?) }))
        }
    }
}

/// # Safety
/// Between fork and exec; the pointers are what execve(2) asks for.
unsafe fn child(
    stdio: [RawFd; 3],
    socket: RawFd,
    filter: &mut [libc::sock_filter],
    args: *const *const libc::c_char,
    env: *const *const libc::c_char,
) -> ! {
    // SAFETY: system calls on descriptors and on the caller's memory only.
    unsafe {
        let mut ready = libc::dup3(socket, HANDOVER, libc::O_CLOEXEC) == HANDOVER;
        for (target, fd) in (0..).zip(stdio) {
            ready &= libc::dup2(fd, target) == target;
        }
        let program =
            libc::sock_fprog { len: u16::try_from(filter.len()).unwrap_or(0), filter: filter.as_mut_ptr() };
        if ready && !filter.is_empty() {
            let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
            let listener =
                libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program);
            ready = listener >= 0 && send(RawFd::try_from(listener).unwrap_or(-1));
        }
        if ready {
            libc::execve(*args, args, env);
        }
        libc::_exit(127)
    }
}

/// Control message of one descriptor: header and number, aligned.
#[repr(C)]
struct Rights {
    header: libc::cmsghdr,
    fd: RawFd,
    _padding: u32,
}

fn message(byte: &mut libc::iovec, rights: &mut Rights) -> libc::msghdr {
    // SAFETY: an all-zero msghdr is valid and empty.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (byte, 1);
    message.msg_control = std::ptr::from_mut(rights).cast();
    message.msg_controllen = size_of::<Rights>() as _;
    message
}

fn rights(fd: RawFd) -> Rights {
    // SAFETY: an all-zero header is valid.
    let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
    (header.cmsg_level, header.cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
    header.cmsg_len = (size_of::<libc::cmsghdr>() + size_of::<RawFd>()) as _;
    Rights { header, fd, _padding: 0 }
}

/// Sends `fd` over [`HANDOVER`], with the one call that the filter lets pass.
fn send(fd: RawFd) -> bool {
    let mut byte = 0_u8;
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut rights = rights(fd);
    let message = message(&mut part, &mut rights);
    // SAFETY: the message points to live locals.
    unsafe { libc::sendmsg(HANDOVER, &raw const message, 0) == 1 }
}

fn receive(socket: RawFd) -> io::Result<OwnedFd> {
    let mut byte = 0_u8;
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut rights = rights(-1);
    let mut message = message(&mut part, &mut rights);
    // SAFETY: the message points to live locals of the sizes that it names.
    let count = unsafe { libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    if count != 1 || rights.fd < 0 {
        return Err(io::Error::other("the child could not install its filter"));
    }
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(rights.fd) })
}

/// What [`next`] found.
pub(crate) enum Event {
    /// A call.
    Call(Call),
    /// The caller died before it could be asked.
    Gone,
    /// Nobody is left behind this listener.
    Closed,
}

/// Readiness of listeners and of a pidfd, after at most `milliseconds`.
pub(crate) fn poll(fds: &[BorrowedFd<'_>], milliseconds: u32) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let time = rustix::event::Timespec { tv_sec: 0, tv_nsec: i64::from(milliseconds) * 1_000_000 };
    let _ = rustix::event::poll(&mut polled, Some(&time));
    polled.iter().map(|fd| !fd.revents().is_empty()).collect()
}

/// The next call behind a listener that [`poll`] found ready.
pub(crate) fn next(listener: BorrowedFd<'_>) -> Event {
    // SAFETY: an all-zero structure is what the kernel asks for.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills `call`.
    if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) } == 0 {
        let (pid, number) = (call.pid.cast_signed(), call.data.nr.cast_unsigned());
        return Event::Call(Call { id: call.id, pid, number, args: call.data.args });
    }
    let closed = poll_hangs_up(listener);
    if closed { Event::Closed } else { Event::Gone }
}

fn poll_hangs_up(listener: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(&listener, PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().contains(PollFlags::HUP)
}

/// What a call returns in place of what it would.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// It fails.
    Errno(i32),
    /// It succeeds, and has done nothing.
    Value(i64),
}

/// Lets a call happen, or answers it. That the caller may have died meanwhile is no error.
pub(crate) fn answer(listener: BorrowedFd<'_>, call: &Call, answer: Option<Answer>) {
    let (val, error, flags) = match answer {
        Some(Answer::Errno(errno)) => (0, -errno, 0),
        Some(Answer::Value(value)) => (value, 0, 0),
        None => (0, 0, FLAG_CONTINUE),
    };
    let mut response = libc::seccomp_notif_resp { id: call.id, val, error, flags };
    // SAFETY: the kernel reads `response`.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
}
