//! Registers of devices in memory.

use core::ptr;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// End of what is mapped where it is.
const MAPPED: u64 = 4 << 30;
/// The window is here, and has so many pages for what is elsewhere.
const WINDOW: u64 = 512 << 30;
const PAGES: usize = 512;
const PAGE: u64 = 2 << 20;
/// Present, writable, not cached, large.
const DEVICE: u64 = 0x9b;

// The page directory of the window, in `boot.s`.
unsafe extern "C" {
    safe static virtio_window: [AtomicU64; PAGES];
}

/// Pages of the window that are taken.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Some registers, little-endian.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registers {
    address: u64,
    len: u64,
}

impl Registers {
    /// The registers at a physical address.
    ///
    /// # Panics
    /// When there are too many of them.
    pub(crate) fn map(address: u64, len: u64) -> Self {
        if address.checked_add(len).is_some_and(|end| end <= MAPPED) {
            return Self { address, len };
        }
        let (first, offset) = (address / PAGE, address % PAGE);
        let count = (offset + len).div_ceil(PAGE);
        let place = TAKEN.fetch_add(count as usize, Ordering::Relaxed);
        for (index, page) in (first..first + count).enumerate() {
            virtio_window[place + index].store((page * PAGE) | DEVICE, Ordering::Release);
        }
        Self { address: WINDOW + place as u64 * PAGE + offset, len }
    }

    /// Some of these registers.
    ///
    /// # Panics
    /// When they are not.
    pub(crate) fn part(self, offset: u64, len: u64) -> Self {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "registers outside of a device");
        Self { address: self.address + offset, len }
    }

    /// Bytes of them.
    pub(crate) fn len(self) -> u64 {
        self.len
    }

    fn at<T>(self, offset: u64) -> *mut T {
        let place = self.part(offset, size_of::<T>() as u64);
        ptr::with_exposed_provenance_mut(place.address as usize)
    }

    /// Reads a byte.
    pub(crate) fn read8(self, offset: u64) -> u8 {
        // SAFETY: a device's registers are mapped here, inside of what `part` allows.
        unsafe { self.at::<u8>(offset).read_volatile() }
    }

    /// Reads two bytes.
    pub(crate) fn read16(self, offset: u64) -> u16 {
        // SAFETY: as above; registers are aligned to their sizes.
        unsafe { self.at::<u16>(offset).read_volatile() }
    }

    /// Reads four bytes.
    pub(crate) fn read32(self, offset: u64) -> u32 {
        // SAFETY: as above.
        unsafe { self.at::<u32>(offset).read_volatile() }
    }

    /// Writes a byte.
    pub(crate) fn write8(self, offset: u64, value: u8) {
        // SAFETY: as above; a device may change memory that it was given by its driver only.
        unsafe { self.at::<u8>(offset).write_volatile(value) };
    }

    /// Writes two bytes.
    pub(crate) fn write16(self, offset: u64, value: u16) {
        // SAFETY: as above.
        unsafe { self.at::<u16>(offset).write_volatile(value) };
    }

    /// Writes four bytes.
    pub(crate) fn write32(self, offset: u64, value: u32) {
        // SAFETY: as above.
        unsafe { self.at::<u32>(offset).write_volatile(value) };
    }

    /// Writes eight bytes, as two registers.
    pub(crate) fn write64(self, offset: u64, value: u64) {
        self.write32(offset, value as u32);
        self.write32(offset + 4, (value >> 32) as u32);
    }
}
