//! A split virtqueue (Virtual I/O Device 1.2, section 2.7): each buffer has one descriptor, or one of a chain that its
//! driver made once and for all.

use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use crate::transport::Doorbell;

/// Descriptors of every queue.
pub(crate) const SIZE: u16 = 64;
const LEN: usize = SIZE as usize;
/// The next descriptor belongs to this one.
pub(crate) const NEXT: u16 = 1;
/// The device writes.
pub(crate) const WRITE: u16 = 2;
/// In the available ring: the driver wants no interrupts. In the used ring: the device wants no notifications.
const SILENT: u16 = 1;

#[repr(C)]
#[derive(Debug)]
struct Descriptor {
    address: AtomicU64,
    len: AtomicU32,
    flags: AtomicU16,
    next: AtomicU16,
}

#[repr(C)]
#[derive(Debug)]
struct Available {
    flags: AtomicU16,
    index: AtomicU16,
    ring: [AtomicU16; LEN],
    event: AtomicU16,
}

#[repr(C)]
#[derive(Debug)]
struct Element {
    id: AtomicU32,
    len: AtomicU32,
}

#[repr(C, align(4096))]
#[derive(Debug)]
struct Used {
    flags: AtomicU16,
    index: AtomicU16,
    ring: [Element; LEN],
}

/// Memory of a queue, which the device reads and writes at any time. The order and the alignment are those of the
/// interface before version 1, which knows one address only.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct Rings {
    descriptors: [Descriptor; LEN],
    available: Available,
    used: Used,
}

impl Rings {
    /// Nothing is on its way.
    pub(crate) const fn new() -> Self {
        Self {
            descriptors: [const {
                Descriptor {
                    address: AtomicU64::new(0),
                    len: AtomicU32::new(0),
                    flags: AtomicU16::new(0),
                    next: AtomicU16::new(0),
                }
            }; LEN],
            available: Available {
                flags: AtomicU16::new(0),
                index: AtomicU16::new(0),
                ring: [const { AtomicU16::new(0) }; LEN],
                event: AtomicU16::new(0),
            },
            used: Used {
                flags: AtomicU16::new(0),
                index: AtomicU16::new(0),
                ring: [const { Element { id: AtomicU32::new(0), len: AtomicU32::new(0) } }; LEN],
            },
        }
    }

    /// Address of the descriptors.
    pub(crate) fn descriptors(&self) -> u64 {
        (&raw const self.descriptors).expose_provenance() as u64
    }

    /// Address of the available ring.
    pub(crate) fn available(&self) -> u64 {
        (&raw const self.available).expose_provenance() as u64
    }

    /// Address of the used ring.
    pub(crate) fn used(&self) -> u64 {
        (&raw const self.used).expose_provenance() as u64
    }
}

/// The driver's side of a queue.
#[derive(Debug)]
pub(crate) struct Queue {
    rings: &'static Rings,
    doorbell: Doorbell,
    /// Buffers given and taken so far, modulo 65536.
    given: u16,
    taken: u16,
}

impl Queue {
    /// A queue in this memory.
    pub(crate) fn new(rings: &'static Rings, doorbell: Doorbell) -> Self {
        rings.available.flags.store(SILENT, Ordering::Relaxed);
        Self { rings, doorbell, given: 0, taken: 0 }
    }

    /// Says what a descriptor is for.
    pub(crate) fn describe(&self, id: u16, (address, len): (u64, usize), flags: u16) {
        let descriptor = &self.rings.descriptors[usize::from(id % SIZE)];
        descriptor.address.store(address, Ordering::Relaxed);
        descriptor.len.store(len as u32, Ordering::Relaxed);
        descriptor.flags.store(flags, Ordering::Relaxed);
        descriptor.next.store((id + 1) % SIZE, Ordering::Relaxed);
    }

    /// Gives a descriptor, with those that belong to it, to the device; it need not look yet.
    pub(crate) fn give(&mut self, id: u16) {
        let available = &self.rings.available;
        available.ring[usize::from(self.given % SIZE)].store(id, Ordering::Relaxed);
        self.given = self.given.wrapping_add(1);
        available.index.store(self.given, Ordering::Release);
    }

    /// Tells the device, if it wants to be told.
    pub(crate) fn tell(&self) {
        // Either the device sees what was given, or it is seen to be waiting: a write, then a read, in that order. An
        // exchange is an instruction that every emulator knows, other than a fence.
        self.rings.available.index.swap(self.given, Ordering::SeqCst);
        if self.rings.used.flags.load(Ordering::SeqCst) & SILENT == 0 {
            self.doorbell.ring();
        }
    }

    /// There is something to take.
    pub(crate) fn is_ready(&self) -> bool {
        self.rings.used.index.load(Ordering::Acquire) != self.taken
    }

    /// Takes a descriptor back, with how many bytes the device wrote.
    pub(crate) fn take(&mut self) -> Option<(u16, usize)> {
        if !self.is_ready() {
            return None;
        }
        let element = &self.rings.used.ring[usize::from(self.taken % SIZE)];
        self.taken = self.taken.wrapping_add(1);
        let id = element.id.load(Ordering::Relaxed) as u16 % SIZE;
        Some((id, element.len.load(Ordering::Relaxed) as usize))
    }
}
