//! The hypercalls of the hvt ABI, x86_64.

use core::arch::asm;
use core::ops::Range;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::BootInfo;
use crate::manifest::{Entry, Header};

/// Memory below the image that is the guest's: none, for what the tender leaves there is not written to.
pub const FREE_BELOW_IMAGE: Range<u64> = 0..0;

const NANOSECONDS: u64 = 1_000_000_000;

static CYCLE_FREQ: AtomicU64 = AtomicU64::new(1);
static MANIFEST: AtomicPtr<Header> = AtomicPtr::new(null_mut());

/// Hypercall `number` on the structure at an address.
pub fn hypercall(number: u16, address: u64) {
    // SAFETY: what the tender writes is memory that the caller passed for it; the guest has no other state.
    unsafe { asm!("out dx, eax", in("dx") 0x500 + number, in("eax") address as u32, options(nostack)) }
}

fn call<T>(number: u16, structure: &mut T) {
    hypercall(number, (&raw mut *structure).expose_provenance() as u64);
}

fn address(bytes: &[u8]) -> u64 {
    bytes.as_ptr().expose_provenance() as u64
}

/// Remembers what the tender tells once.
pub(crate) fn begin(info: &'static BootInfo) {
    CYCLE_FREQ.store(info.cycle_freq, Ordering::Relaxed);
    MANIFEST.store(info.manifest.cast_mut(), Ordering::Relaxed);
}

pub(crate) fn exit(status: u8) -> ! {
    // A cookie for dumps, and the status.
    loop {
        call(8, &mut [0, u64::from(status)]);
    }
}

pub(crate) fn write_console(bytes: &[u8]) {
    call(2, &mut [address(bytes), bytes.len() as u64]);
}

/// CLOCK_REALTIME (0), or nanoseconds since the processor's reset.
pub(crate) fn clock(id: u64) -> u64 {
    if id == 0 {
        let mut wall = 0u64;
        call(1, &mut wall);
        return wall;
    }
    let (low, high): (u64, u64);
    // SAFETY: reads a counter.
    unsafe { asm!("rdtsc", out("rax") low, out("rdx") high, options(nomem, nostack)) };
    let (ticks, rate) = (high << 32 | low, CYCLE_FREQ.load(Ordering::Relaxed));
    // No overflow below 18 GHz.
    ticks / rate * NANOSECONDS + ticks % rate * NANOSECONDS / rate
}

/// `struct hvt_hc_poll`.
#[repr(C)]
struct Poll {
    timeout: u64,
    ready_set: u64,
    ready: i32,
}

/// Waits until the monotonic deadline, nanoseconds, or until a network device is ready; true when it is a device.
pub fn sleep_until(_: &BootInfo, deadline: u64) -> bool {
    let mut poll = Poll { timeout: deadline.saturating_sub(clock(1)), ready_set: 0, ready: 0 };
    call(3, &mut poll);
    poll.ready_set != 0
}

/// `struct hvt_hc_block_read` and `_write`.
#[repr(C)]
struct Block {
    handle: u64,
    offset: u64,
    data: u64,
    len: u64,
    result: i32,
}

/// `struct hvt_hc_net_read` and `_write`.
#[repr(C)]
struct Net {
    handle: u64,
    data: u64,
    len: u64,
    result: i32,
}

impl Entry {
    /// Index in the manifest.
    pub fn handle(&self) -> u64 {
        let entries = MANIFEST.load(Ordering::Relaxed).addr() + size_of::<Header>();
        (((&raw const *self).addr() - entries) / size_of::<Self>()) as u64
    }

    fn transfer(&self, number: u16, offset: u64, data: u64, len: usize) -> bool {
        let mut block = Block { handle: self.handle(), offset, data, len: len as u64, result: -1 };
        call(number, &mut block);
        block.result == 0
    }

    /// Reads sectors; false on failure.
    pub fn read_sector(&self, offset: u64, sector: &mut [u8]) -> bool {
        self.transfer(5, offset, sector.as_mut_ptr().expose_provenance() as u64, sector.len())
    }

    /// Writes sectors; false on failure.
    pub fn write_sector(&self, offset: u64, sector: &[u8]) -> bool {
        self.transfer(4, offset, address(sector), sector.len())
    }

    /// Sends one frame; false on failure.
    pub fn send(&self, frame: &[u8]) -> bool {
        let mut net =
            Net { handle: self.handle(), data: address(frame), len: frame.len() as u64, result: -1 };
        call(6, &mut net);
        net.result == 0
    }

    /// Receives one frame; `None` when there is none.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let data = buffer.as_mut_ptr().expose_provenance() as u64;
        let mut net = Net { handle: self.handle(), data, len: buffer.len() as u64, result: -1 };
        call(7, &mut net);
        if net.result != 0 {
            return None;
        }
        buffer.get(..net.len as usize)
    }
}
