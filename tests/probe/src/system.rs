//! System calls that no safe wrapper offers.
#![allow(unsafe_code)]

use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

/// The descriptor, if it is open.
pub(crate) fn borrow(number: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: F_GETFD reads a flag and has no memory argument.
    let open = unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
    // SAFETY: the descriptor is open, and the probe closes none while it looks at them.
    open.then(|| unsafe { BorrowedFd::borrow_raw(number) })
}

/// A copy of the inherited connected socket.
pub(crate) fn stream(number: RawFd) -> Option<UnixStream> {
    Some(borrow(number)?.try_clone_to_owned().ok()?.into())
}

/// Real, effective, saved and file system user id.
pub(crate) fn user_ids() -> [u32; 4] {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY: three valid places; setfsuid(-1) changes nothing and returns the current id.
    let file_system = unsafe {
        libc::getresuid(&raw mut real, &raw mut effective, &raw mut saved);
        libc::setfsuid(u32::MAX)
    };
    [real, effective, saved, file_system.cast_unsigned()]
}

/// Real, effective, saved and file system group id.
pub(crate) fn group_ids() -> [u32; 4] {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY: as in `user_ids`.
    let file_system = unsafe {
        libc::getresgid(&raw mut real, &raw mut effective, &raw mut saved);
        libc::setfsgid(u32::MAX)
    };
    [real, effective, saved, file_system.cast_unsigned()]
}

/// 0 none, 1 strict, 2 filter; -1 when a filter forbids the question.
pub(crate) fn seccomp_mode() -> i32 {
    // SAFETY: no memory argument.
    unsafe { libc::prctl(libc::PR_GET_SECCOMP) }
}

/// Names of the network interfaces, by number as the kernel counts them.
pub(crate) fn interfaces() -> Vec<String> {
    let Ok(socket) =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::DGRAM, None)
    else {
        return Vec::new();
    };
    (1..256).filter_map(|index| rustix::net::netdevice::index_to_name(&socket, index).ok()).collect()
}

/// Exit with 0 on SIGTERM, SIGINT and SIGHUP: without a handler pid 1 of a pid namespace ignores them.
pub(crate) fn exit_on_signals() {
    extern "C" fn leave(_: libc::c_int) {
        // SAFETY: async-signal-safe.
        unsafe { libc::_exit(0) }
    }
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: the handler calls one async-signal-safe function.
        unsafe { libc::signal(signal, leave as *const () as libc::sighandler_t) };
    }
}

/// Lives, whatever comes but SIGKILL.
pub(crate) fn sleep_deaf() -> ! {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: no code is installed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    wait_for_ever()
}

/// Lives until one of the signals of [`exit_on_signals`].
pub(crate) fn sleep_until_signal() -> ! {
    exit_on_signals();
    wait_for_ever()
}

fn wait_for_ever() -> ! {
    loop {
        // Every monitor's list of calls has this one, and not all have pause(2).
        // SAFETY: no descriptors, no limit, no signal mask.
        unsafe { libc::ppoll(std::ptr::null_mut(), 0, std::ptr::null(), std::ptr::null()) };
    }
}

/// Raises a signal in this process, with its default action: the standard library handles some.
pub(crate) fn raise(signal: i32) {
    // SAFETY: no code is installed, and there is no memory argument.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}
