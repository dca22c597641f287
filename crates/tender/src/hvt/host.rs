//! The system calls of a running tender, with the arguments that its filter wants. None allocates, none is retried by
//! libc, and all are given 64-bit arguments: a filter looks at every bit.

use std::os::fd::{AsRawFd, OwnedFd};

use super::filter::{EVENTS, FOREVER};
use super::kvm::RUN;
use crate::devices::Events;

/// Enters the guest until it needs this process. `Err` is errno.
#[inline]
pub(super) fn run(processor: &OwnedFd) -> Result<(), i32> {
    let fd = u64::from(processor.as_raw_fd().unsigned_abs());
    call(libc::SYS_ioctl, [fd, RUN, 0, 0, 0]).map(drop)
}

/// CLOCK_REALTIME, nanoseconds.
pub(super) fn wall_time() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable. Without the vdso this is the one clock that the filter lets through.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    time.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec.cast_unsigned())
}

/// Writes all of it, or as much as can be written.
pub(super) fn write_all(fd: i32, mut address: u64, mut len: u64) {
    while len > 0 {
        let Some(count) = write(fd, address, len).filter(|count| *count > 0) else { return };
        address += count;
        len -= count.min(len);
    }
}

/// Bytes that were written.
pub(super) fn write(fd: i32, address: u64, len: u64) -> Option<u64> {
    again(|| call(libc::SYS_write, [u64::from(fd.unsigned_abs()), address, len, 0, 0])).ok()
}

/// Bytes that were read; `Err` is errno.
pub(super) fn read(fd: i32, address: u64, len: u64) -> Result<u64, i32> {
    again(|| call(libc::SYS_read, [u64::from(fd.unsigned_abs()), address, len, 0, 0]))
}

/// Writes or reads one sector; true if that was all of it.
pub(super) fn sector(writes: bool, fd: i32, address: u64, size: u64, offset: u64) -> bool {
    let number = if writes { libc::SYS_pwrite64 } else { libc::SYS_pread64 };
    again(|| call(number, [u64::from(fd.unsigned_abs()), address, size, offset, 0])) == Ok(size)
}

/// Waits for network devices, at most so many nanoseconds: those that are ready, by manifest index.
pub(super) fn poll(epoll: i32, timer: i32, timeout: u64) -> u64 {
    let seconds = i64::try_from(timeout / 1_000_000_000).unwrap_or(i64::MAX);
    // Less than a second; and zero would disarm the timer.
    let nanoseconds = (timeout % 1_000_000_000).cast_signed() | 1;
    let wait = [(0, 0), (seconds, nanoseconds)].map(|(tv_sec, tv_nsec)| libc::timespec { tv_sec, tv_nsec });
    let timer = u64::from(timer.unsigned_abs());
    // It cannot fail: the timer is ours and the time is valid.
    let _ = call(libc::SYS_timerfd_settime, [timer, 0, wait.as_ptr().expose_provenance() as u64, 0, 0]);
    let mut events = [libc::epoll_event { events: 0, u64: Events::TIMER }; EVENTS];
    let (epoll, at) = (u64::from(epoll.unsigned_abs()), events.as_mut_ptr().expose_provenance() as u64);
    let count = again(|| call(libc::SYS_epoll_pwait, [epoll, at, EVENTS as u64, FOREVER, 0])).unwrap_or(0);
    let ready = events.iter().take(usize::try_from(count).unwrap_or(0)).map(|event| event.u64);
    ready.filter(|index| *index != Events::TIMER).fold(0, |set, index| set | 1 << (index & 63))
}

/// Stops and resumes (SIGSTOP, the freezer) interrupt calls; every other signal that has an action ends the process.
fn again(mut call: impl FnMut() -> Result<u64, i32>) -> Result<u64, i32> {
    loop {
        match call() {
            Err(libc::EINTR) => {}
            done => return done,
        }
    }
}

fn call(number: libc::c_long, args: [u64; 5]) -> Result<u64, i32> {
    // SAFETY: the addresses are of checked guest memory or of live local variables; a sixth argument has no meaning for
    // any of these calls.
    let result = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4], 0u64) };
    u64::try_from(result).map_err(|_| std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// Installs a filter, the bytes of [`crate::filter::in_place`]; false if the kernel does not take it.
pub(super) fn install(program: &[u8]) -> bool {
    const SET_MODE_FILTER: u64 = 1;
    call(libc::SYS_seccomp, [SET_MODE_FILTER, 0, program.as_ptr().expose_provenance() as u64, 0, 0]).is_ok()
}

/// Ends the process.
pub(super) fn exit(status: u8) -> ! {
    // SAFETY: ends the process without anything else.
    unsafe { libc::_exit(i32::from(status)) }
}

/// Handler of every signal that ends processes.
pub(super) extern "C" fn end(signal: i32) -> ! {
    // SAFETY: as above; allowed in a handler.
    unsafe { libc::_exit(128 + signal) }
}
