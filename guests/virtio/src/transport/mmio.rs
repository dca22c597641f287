//! A device at an address (section 4.2), with the interface of version 1 or the one before.

use super::{Doorbell, Kind, Transport};
use crate::pci;
use crate::queue::{Rings, SIZE};
use crate::registers::Registers;

const MAGIC: u32 = u32::from_le_bytes(*b"virt");
const VERSION: u64 = 0x4;
const DEVICE: u64 = 0x8;
const DEVICE_FEATURES: u64 = 0x10;
const DRIVER_FEATURES: u64 = 0x20;
/// Which half: behind either.
const SELECT: u64 = 4;
const GUEST_PAGE_SIZE: u64 = 0x28;
const QUEUE: u64 = 0x30;
const LONGEST: u64 = 0x34;
const QUEUE_SIZE: u64 = 0x38;
const QUEUE_ALIGN: u64 = 0x3c;
const QUEUE_PAGE: u64 = 0x40;
const QUEUE_READY: u64 = 0x44;
const NOTIFY: u64 = 0x50;
const STATUS: u64 = 0x70;
const DESCRIPTORS: u64 = 0x80;
const AVAILABLE: u64 = 0x90;
const USED: u64 = 0xa0;
const CONFIG: u64 = 0x100;
const LEN: u64 = 0x200;
/// Places of QEMU's microvm, for when the command line names none.
const FIRST: u64 = 0xfeb0_0000;
const PLACES: u64 = 24;
/// Page of the older interface, bytes.
const PAGE: u32 = 4096;

/// A device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mmio {
    registers: Registers,
    is_legacy: bool,
}

impl Mmio {
    /// The device at this address, if it is one of this kind.
    pub(crate) fn at(address: u64, kind: Kind) -> Option<Self> {
        let registers = Registers::map(address, LEN);
        let version = registers.read32(VERSION);
        let is_it = registers.read32(0) == MAGIC
            && matches!(version, 1 | 2)
            && registers.read32(DEVICE) == kind as u32;
        is_it.then_some(Self { registers, is_legacy: version == 1 })
    }

    /// The device of this kind at one of the usual addresses, which are other devices' where there is PCI.
    pub(crate) fn probe(kind: Kind) -> Option<Self> {
        let places = if pci::host_bridge().is_some() { 0 } else { PLACES };
        // Monitors fill them from the end.
        (0..places).rev().find_map(|place| Self::at(FIRST + place * LEN, kind))
    }

    fn write(&self, register: u64, value: u32) {
        self.registers.write32(register, value);
    }
}

impl Transport for Mmio {
    fn is_legacy(&self) -> bool {
        self.is_legacy
    }

    fn status(&self) -> u8 {
        self.registers.read32(STATUS) as u8
    }

    fn set_status(&self, status: u8) {
        self.write(STATUS, status.into());
        if self.is_legacy && status == 0 {
            self.write(GUEST_PAGE_SIZE, PAGE);
        }
    }

    fn features(&self, half: u32) -> u32 {
        self.write(DEVICE_FEATURES + SELECT, half);
        self.registers.read32(DEVICE_FEATURES)
    }

    fn set_features(&self, half: u32, features: u32) {
        self.write(DRIVER_FEATURES + SELECT, half);
        self.write(DRIVER_FEATURES, features);
    }

    fn longest(&self, queue: u16) -> u32 {
        self.write(QUEUE, queue.into());
        self.registers.read32(LONGEST)
    }

    fn set_queue(&self, queue: u16, rings: &'static Rings) -> Doorbell {
        self.write(QUEUE, queue.into());
        self.write(QUEUE_SIZE, SIZE.into());
        if self.is_legacy {
            self.write(QUEUE_ALIGN, PAGE);
            self.write(QUEUE_PAGE, (rings.descriptors() / u64::from(PAGE)) as u32);
        } else {
            self.registers.write64(DESCRIPTORS, rings.descriptors());
            self.registers.write64(AVAILABLE, rings.available());
            self.registers.write64(USED, rings.used());
            self.write(QUEUE_READY, 1);
        }
        Doorbell { place: self.registers.part(NOTIFY, 4), queue }
    }

    fn config(&self, offset: u64) -> u8 {
        self.registers.read8(CONFIG + offset)
    }
}
