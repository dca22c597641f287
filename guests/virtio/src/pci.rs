//! PCI devices of the first bus, by the configuration ports (mechanism 1).

use core::sync::atomic::{AtomicU32, Ordering};

use crate::machine::{in32, out32};

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;
/// Configuration registers.
const COMMAND: u8 = 0x04;
const HEADER: u8 = 0x0c;
const BARS: u8 = 0x10;
const CAPABILITIES: u8 = 0x34;
/// Command: memory, bus master, no interrupt line.
const MEMORY: u32 = 1 << 1;
const MASTER: u32 = 1 << 2;
const NO_INTERRUPT: u32 = 1 << 10;
const HAS_CAPABILITIES: u32 = 1 << 20;
const HAS_FUNCTIONS: u32 = 1 << 23;
/// Vendor of a function that is not there.
const NOTHING: u32 = 0xffff;

/// Where devices go that nobody has given a place: for devices on every machine here.
static FREE: AtomicU32 = AtomicU32::new(0xe000_0000);

/// Vendor and device (upper half) of the host bridge, if there is one.
pub(crate) fn host_bridge() -> Option<u32> {
    Function(0).id()
}

/// A function of a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function(u32);

impl Function {
    /// All of the first bus.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let devices = if host_bridge().is_some() { 0..32 } else { 0..0 };
        devices.map(|device| Self(device << 11)).filter(|first| first.id().is_some()).flat_map(|first| {
            let count = if first.read(HEADER) & HAS_FUNCTIONS == 0 { 1 } else { 8 };
            (0..count).map(move |number| Self(first.0 | number << 8))
        })
    }

    /// Vendor and device (upper half).
    pub(crate) fn id(self) -> Option<u32> {
        // A monitor without a bus may leave there what was asked for, whose lower half is no vendor either.
        Some(self.read(0)).filter(|id| ![0, NOTHING].contains(&(id & NOTHING)))
    }

    /// Four bytes of the configuration; the offset is rounded down.
    pub(crate) fn read(self, offset: u8) -> u32 {
        out32(ADDRESS, ENABLE | self.0 | u32::from(offset & !3));
        in32(DATA)
    }

    fn write(self, offset: u8, value: u32) {
        out32(ADDRESS, ENABLE | self.0 | u32::from(offset & !3));
        out32(DATA, value);
    }

    /// Lets the device answer in memory and use the guest's.
    pub(crate) fn enable(self) {
        self.write(COMMAND, self.read(COMMAND) & 0xffff | MEMORY | MASTER | NO_INTERRUPT);
    }

    /// Offsets of the capabilities with this number.
    pub(crate) fn capabilities(self, number: u8) -> impl Iterator<Item = u8> {
        let has_some = self.read(COMMAND) & HAS_CAPABILITIES != 0;
        let first = has_some.then(|| self.read(CAPABILITIES) as u8);
        let list = core::iter::successors(first, move |at| Some((self.read(*at) >> 8) as u8));
        // A list of more is a ring.
        list.take(48).take_while(|at| *at >= 0x40).filter(move |at| self.read(*at) as u8 == number)
    }

    /// Address of a memory region; it gets one if it has none. `None` when it is no memory.
    pub(crate) fn region(self, number: u8) -> Option<u64> {
        let at = BARS + 4 * number;
        let low = self.read(at);
        if number > 5 || low & 1 != 0 {
            return None;
        }
        let is_wide = low & 6 == 4;
        let high = if is_wide && number < 5 { self.read(at + 4) } else { 0 };
        let address = u64::from(high) << 32 | u64::from(low & !15);
        if address == 0 { self.place(at, is_wide) } else { Some(address) }
    }

    fn place(self, at: u8, is_wide: bool) -> Option<u64> {
        self.write(at, u32::MAX);
        let size = (self.read(at) & !15).wrapping_neg();
        if size == 0 {
            return None;
        }
        // Sizes are powers of two, and so are their alignments.
        let place = FREE.load(Ordering::Relaxed).next_multiple_of(size);
        FREE.store(place + size, Ordering::Relaxed);
        self.write(at, place);
        if is_wide {
            self.write(at + 4, 0);
        }
        Some(place.into())
    }
}
