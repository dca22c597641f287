//! How a driver talks to its device (Virtual I/O Device 1.2, chapter 4).

mod mmio;
mod pci;

use crate::queue::{Queue, Rings, SIZE};
use crate::registers::Registers;
use crate::words;

pub(crate) use mmio::Mmio;
pub(crate) use pci::Pci;

/// Kind of a device (section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Network device.
    Net = 1,
    /// Block device.
    Block = 2,
}

/// Status bits (section 2.1).
const ACKNOWLEDGE: u8 = 1;
const DRIVER: u8 = 2;
const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;
/// VIRTIO_F_VERSION_1.
const VERSION_1: u64 = 1 << 32;
/// Looks at a device that shall reset itself.
const PATIENCE: u32 = 1 << 20;

/// Why a device cannot be used.
pub type Error = &'static str;

/// Registers of a device, wherever they are.
pub(crate) trait Transport {
    /// Its interface is the one before version 1.
    fn is_legacy(&self) -> bool;
    /// Reads the status.
    fn status(&self) -> u8;
    /// Writes the status.
    fn set_status(&self, status: u8);
    /// Half of the device's features.
    fn features(&self, half: u32) -> u32;
    /// Writes half of the driver's features.
    fn set_features(&self, half: u32, features: u32);
    /// Longest that this queue can be; 0 when there is none.
    fn longest(&self, queue: u16) -> u32;
    /// Gives memory to the queue.
    fn set_queue(&self, queue: u16, rings: &'static Rings) -> Doorbell;
    /// A byte of the device's configuration.
    fn config(&self, offset: u64) -> u8;
}

/// Where a driver says that a queue has new buffers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doorbell {
    place: Registers,
    queue: u16,
}

impl Doorbell {
    /// Says it.
    pub(crate) fn ring(self) {
        // Four bytes is how much there is at an address, two on the PCI bus.
        if self.place.len() == 4 {
            self.place.write32(0, self.queue.into());
        } else {
            self.place.write16(0, self.queue);
        }
    }
}

/// A device as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Device {
    /// On the PCI bus.
    Pci(Pci),
    /// At an address.
    Mmio(Mmio),
}

impl Device {
    /// The first device of a kind.
    pub(crate) fn find(kind: Kind, cmdline: &str) -> Result<Self, Error> {
        if let Some(device) = Pci::find(kind)? {
            return Ok(Self::Pci(device));
        }
        let mut told = words::devices(cmdline).peekable();
        let found = if told.peek().is_some() {
            told.find_map(|address| Mmio::at(address, kind))
        } else {
            Mmio::probe(kind)
        };
        found.map(Self::Mmio).ok_or("there is none")
    }

    fn transport(&self) -> &dyn Transport {
        match self {
            Self::Pci(device) => device,
            Self::Mmio(device) => device,
        }
    }

    /// Resets the device and agrees with it on features, those of `wanted` that it has (section 3.1.1).
    pub(crate) fn begin(&self, wanted: u64) -> Result<u64, Error> {
        let device = self.transport();
        device.set_status(0);
        if !(0..PATIENCE).any(|_| device.status() == 0) {
            return Err("it does not reset");
        }
        // One bit after the other: Firecracker takes no other way.
        device.set_status(ACKNOWLEDGE);
        device.set_status(ACKNOWLEDGE | DRIVER);
        let offered = u64::from(device.features(1)) << 32 | u64::from(device.features(0));
        let features = offered & (wanted | VERSION_1);
        if device.is_legacy() {
            device.set_features(0, features as u32);
            return Ok(features & !VERSION_1);
        }
        if features & VERSION_1 == 0 {
            return Err("it is older than version 1");
        }
        device.set_features(0, features as u32);
        device.set_features(1, (features >> 32) as u32);
        device.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
        if device.status() & FEATURES_OK == 0 {
            return Err("it refuses its own features");
        }
        Ok(features)
    }

    /// A queue in this memory.
    pub(crate) fn queue(&self, number: u16, rings: &'static Rings) -> Result<Queue, Error> {
        if self.transport().longest(number) < SIZE.into() {
            return Err("its queues are too short");
        }
        Ok(Queue::new(rings, self.transport().set_queue(number, rings)))
    }

    /// The device may begin.
    pub(crate) fn go(&self) {
        self.transport().set_status(self.transport().status() | DRIVER_OK);
    }

    /// Bytes of the device's configuration.
    pub(crate) fn config<const N: usize>(&self, offset: u64) -> [u8; N] {
        core::array::from_fn(|index| self.transport().config(offset + index as u64))
    }

    /// Length of the header before each frame (section 5.1.6): the number of buffers came with version 1.
    pub(crate) fn net_header(&self) -> usize {
        if self.transport().is_legacy() { 10 } else { 12 }
    }
}
