//! System calls by number: a hostile program uses no library.
#![allow(unsafe_code)]

use std::io::{self, PipeReader};
use std::os::fd::AsRawFd;

/// The working directory, for calls that take a directory.
pub(super) const CWD: usize = libc::AT_FDCWD.cast_unsigned() as usize;

/// Any call with up to six arguments; pointers are passed as numbers.
pub(super) fn call(number: libc::c_long, arguments: &[usize]) -> io::Result<usize> {
    let at = |index: usize| arguments.get(index).copied().unwrap_or_default();
    // SAFETY: the tables pass pointers to live values of the type that the call expects, or numbers that are none. What
    // a call does to this process is the point, and it is a child that ends after its try.
    let answer = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    usize::try_from(answer).map_err(|_| io::Error::last_os_error())
}

/// [`call`] whose answer does not matter.
pub(super) fn ask(number: libc::c_long, arguments: &[usize]) -> io::Result<()> {
    call(number, arguments).map(drop)
}

/// [`ask`] where these errors come only after the permission was given: to go on would hurt the host.
pub(super) fn gate(number: libc::c_long, arguments: &[usize], behind: &[i32]) -> io::Result<()> {
    match ask(number, arguments) {
        Err(error) if error.raw_os_error().is_some_and(|code| behind.contains(&code)) => Ok(()),
        other => other,
    }
}

/// A number of any sign.
pub(super) fn signed(number: i32) -> usize {
    (number as isize).cast_unsigned()
}

/// Address of a value.
pub(super) fn at<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).cast::<()>() as usize
}

/// Address of a value that the kernel may write.
pub(super) fn place<T: ?Sized>(value: &mut T) -> usize {
    std::ptr::from_mut(value).cast::<()>() as usize
}

/// A NUL-terminated copy of `text`.
pub(super) fn c(text: &str) -> Vec<u8> {
    text.bytes().chain([0]).collect()
}

/// A child with a copy of everything; 0 in the child. By `clone`, for `fork` is not what monitors call.
pub(super) fn fork() -> io::Result<usize> {
    call(libc::SYS_clone, &[libc::SIGCHLD as usize])
}

/// Ends a child without a destructor.
pub(super) fn exit() -> ! {
    loop {
        // It does not return; a filter may answer with an error.
        let _ = call(libc::SYS_exit_group, &[0]);
    }
}

/// SIGKILL to a process of one thread.
pub(super) fn kill(pid: usize) {
    // It may have ended by itself.
    let _ = call(libc::SYS_tgkill, &[pid, pid, libc::SIGKILL as usize]);
}

/// The set of SIGCHLD alone, as the kernel has it.
const CHILD: u64 = 1 << (libc::SIGCHLD - 1);

/// The end of a child is to be waited for with [`wait_for_a_child`]; nobody has to reap it.
pub(super) fn expect_children() {
    // SAFETY: an action without handler; zero is a valid value of its other fields.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_flags = libc::SA_NOCLDWAIT;
        libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut());
    }
    let _ = call(libc::SYS_rt_sigprocmask, &[libc::SIG_BLOCK as usize, at(&CHILD), 0, size_of::<u64>()]);
}

/// The signal that ended a child, or its exit code.
pub(super) fn wait_for_a_child() -> i32 {
    let mut info = [0_i32; 32];
    let patience = [10_i64, 0];
    match call(libc::SYS_rt_sigtimedwait, &[at(&CHILD), place(&mut info), at(&patience), size_of::<u64>()]) {
        // `si_status`: behind number, errno, code, padding, pid and uid (asm-generic/siginfo.h).
        Ok(_) => info[6],
        Err(_) => -1,
    }
}

/// Is there something to read, or the end, within so many milliseconds?
pub(super) fn readable(pipe: &PipeReader, milliseconds: i32) -> bool {
    let seconds = [i64::from(milliseconds / 1000), 0];
    let mut poll = libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    call(libc::SYS_ppoll, &[place(&mut poll), 1, at(&seconds), 0, size_of::<u64>()]).is_ok_and(|n| n == 1)
}
