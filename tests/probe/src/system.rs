//! System calls that no safe wrapper offers.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// The descriptor, if it is open.
pub(crate) fn borrow(number: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: F_GETFD reads a flag and has no memory argument.
    let open = unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
    // SAFETY: the descriptor is open, and the probe closes none while it looks at them.
    open.then(|| unsafe { BorrowedFd::borrow_raw(number) })
}

/// A copy of the inherited connected socket, as a file: a monitor's filter may know write(2) only.
pub(crate) fn stream(number: RawFd) -> Option<File> {
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

/// Lives until a signal's default action.
pub(crate) fn wait_for_ever() -> ! {
    loop {
        // Every monitor's list of calls has this one, and not all have pause(2).
        // SAFETY: no descriptors, no limit, no signal mask.
        unsafe { libc::ppoll(std::ptr::null_mut(), 0, std::ptr::null(), std::ptr::null()) };
    }
}

/// Raises a signal in this process, with its default action: the standard library handles some. By tgkill(2), which the
/// filters of monitors allow for abort(3); musl's raise(3) calls tkill(2).
pub(crate) fn raise(signal: i32) {
    // SAFETY: no code is installed, and there is no memory argument.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal);
    }
}

/// `struct ifreq` of TUNSETIFF and TUNGETIFF: name, flags, the rest of a union.
#[repr(C)]
struct Ifreq {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// Opens a tap by its name with one queue: as Firecracker does, with header and offloads, or as Solo5 does, without.
pub(crate) fn open_tap(name: &str, header: bool) -> Result<File> {
    let device = File::options().read(true).write(true).open("/dev/net/tun")?;
    let mut request = Ifreq { name: [0; libc::IFNAMSIZ], flags: 0, rest: [0; 22] };
    let place = request.name.get_mut(..name.len()).ok_or_else(|| Error::other("name too long"))?;
    place.copy_from_slice(name.as_bytes());
    let header_flag = if header { libc::IFF_VNET_HDR } else { 0 };
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | header_flag;
    request.flags = libc::c_short::try_from(flags).map_err(Error::other)?;
    // SAFETY: the kernel reads and writes one `ifreq`.
    done(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) })?;
    if header {
        header_and_offloads(device.as_raw_fd())?;
    }
    Ok(device)
}

/// Name of the tap behind an inherited descriptor, which gets ready as Cloud Hypervisor does it.
pub(crate) fn tap_name(number: RawFd) -> Result<String> {
    let mut request = Ifreq { name: [0; libc::IFNAMSIZ], flags: 0, rest: [0; 22] };
    // SAFETY: the kernel writes one `ifreq`.
    done(unsafe { libc::ioctl(number, libc::TUNGETIFF as _, &raw mut request) })?;
    header_and_offloads(number)?;
    let name = request.name.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// The header of virtio 1.0, and checksums and segmentation by the other side.
fn header_and_offloads(tap: RawFd) -> Result<()> {
    let size: libc::c_int = 12;
    // SAFETY: the kernel reads one number; the second request's argument is the number itself.
    unsafe {
        done(libc::ioctl(tap, libc::TUNSETVNETHDRSZ as _, &raw const size))?;
        done(libc::ioctl(
            tap,
            libc::TUNSETOFFLOAD as _,
            libc::c_ulong::from(libc::TUN_F_CSUM | libc::TUN_F_TSO4),
        ))
    }
}

fn done(result: libc::c_int) -> Result<()> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}
