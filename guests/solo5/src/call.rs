//! The system calls of the spt ABI, x86_64.

use core::arch::asm;
use core::ops::Range;

use crate::BootInfo;
use crate::manifest::Entry;

/// A system call with up to four arguments; the others are 0. Negative results are -errno.
pub fn raw(number: u64, [a, b, c, d]: [u64; 4]) -> i64 {
    raw_with(number, [a, b, c, d, 0, 0])
}

/// A system call with all arguments. Negative results are -errno.
pub fn raw_with(number: u64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: what the kernel writes is memory that the caller passed for it; the guest has no other state.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") args[0], in("rsi") args[1],
             in("rdx") args[2], in("r10") args[3], in("r8") args[4], in("r9") args[5],
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

pub(crate) fn exit(status: u8) -> ! {
    loop {
        raw(231, [u64::from(status), 0, 0, 0]);
    }
}

pub(crate) fn write_console(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let written = raw(1, [1, bytes.as_ptr().addr() as u64, bytes.len() as u64, 0]);
        let Some(rest) = usize::try_from(written).ok().and_then(|n| bytes.get(n..)) else { return };
        bytes = rest;
    }
}

/// Memory below the image that is the guest's: behind boot information, command line and signal handler.
pub const FREE_BELOW_IMAGE: Range<u64> = 0x3_0000..0x10_0000;

/// There is no thread-local storage.
pub(crate) fn begin(_: &'static BootInfo) {
    raw(158, [0x1002, 0, 0, 0]);
}

/// `struct timespec`.
#[repr(C)]
struct Time {
    seconds: u64,
    nanoseconds: u64,
}

pub(crate) fn clock(id: u64) -> u64 {
    let mut time = Time { seconds: 0, nanoseconds: 0 };
    raw(228, [id, (&raw mut time).expose_provenance() as u64, 0, 0]);
    time.seconds * 1_000_000_000 + time.nanoseconds
}

/// Waits until the monotonic deadline, nanoseconds, or until a network device is ready; true when it is a device.
pub fn sleep_until(info: &BootInfo, deadline: u64) -> bool {
    let timer = [
        Time { seconds: 0, nanoseconds: 0 },
        // A deadline of zero would disarm the timer.
        Time { seconds: deadline / 1_000_000_000, nanoseconds: (deadline % 1_000_000_000) | 1 },
    ];
    raw(286, [u64::from(info.timer_fd.unsigned_abs()), 1, timer.as_ptr().expose_provenance() as u64, 0]);
    // `struct epoll_event` is packed here: 12 bytes, data at 4.
    let mut event = [0u32; 3];
    let address = event.as_mut_ptr().expose_provenance() as u64;
    while raw(281, [u64::from(info.epoll_fd.unsigned_abs()), address, 1, u64::MAX]) < 0 {}
    event[1] != 0xffff_fffe
}

impl Entry {
    /// Reads one sector; false on failure.
    pub fn read_sector(&self, offset: u64, sector: &mut [u8]) -> bool {
        let len = sector.len() as u64;
        raw(17, [self.fd(), sector.as_mut_ptr().expose_provenance() as u64, len, offset]) == len.cast_signed()
    }

    /// Writes one sector; false on failure.
    pub fn write_sector(&self, offset: u64, sector: &[u8]) -> bool {
        let len = sector.len() as u64;
        raw(18, [self.fd(), sector.as_ptr().expose_provenance() as u64, len, offset]) == len.cast_signed()
    }

    /// Sends one frame; false on failure.
    pub fn send(&self, frame: &[u8]) -> bool {
        let len = frame.len() as u64;
        raw(1, [self.fd(), frame.as_ptr().expose_provenance() as u64, len, 0]) == len.cast_signed()
    }

    /// Receives one frame; `None` when there is none.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let len = buffer.len() as u64;
        let got = raw(0, [self.fd(), buffer.as_mut_ptr().expose_provenance() as u64, len, 0]);
        buffer.get(..usize::try_from(got).ok()?)
    }
}
