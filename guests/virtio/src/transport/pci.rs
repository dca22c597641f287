//! A device on the PCI bus (section 4.1), modern or transitional, by the interface of version 1.

use super::{Doorbell, Error, Kind, Transport};
use crate::pci::Function;
use crate::queue::{Rings, SIZE};
use crate::registers::Registers;

const VENDOR: u32 = 0x1af4;
/// Device ids: modern ones plus the kind, transitional ones by kind.
const MODERN: u32 = 0x1040;
const TRANSITIONAL: [(Kind, u32); 2] = [(Kind::Net, 0x1000), (Kind::Block, 0x1001)];
/// Number of a vendor's capability, and of those that are looked for.
const VENDOR_SPECIFIC: u8 = 9;
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const DEVICE: u8 = 4;
/// Common configuration.
const DEVICE_FEATURES: u64 = 0x00;
const DRIVER_FEATURES: u64 = 0x08;
/// Behind the register that says which half.
const VALUE: u64 = 4;
const STATUS: u64 = 0x14;
const QUEUE: u64 = 0x16;
const QUEUE_SIZE: u64 = 0x18;
const QUEUE_ENABLE: u64 = 0x1c;
const QUEUE_NOTIFY: u64 = 0x1e;
const DESCRIPTORS: u64 = 0x20;
const AVAILABLE: u64 = 0x28;
const USED: u64 = 0x30;

/// A device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pci {
    common: Registers,
    notify: Registers,
    /// Bytes between the places where queues are notified.
    stride: u64,
    device: Registers,
}

impl Pci {
    /// The first device of this kind.
    pub(crate) fn find(kind: Kind) -> Result<Option<Self>, Error> {
        let is_it = |id: u32| {
            let device = id >> 16;
            let is_transitional = TRANSITIONAL.contains(&(kind, device));
            id & 0xffff == VENDOR && (device == MODERN + kind as u32 || is_transitional)
        };
        let Some(function) = Function::all().find(|function| function.id().is_some_and(is_it)) else {
            return Ok(None);
        };
        Self::new(function).map(Some).ok_or("it is older than version 1")
    }

    fn new(function: Function) -> Option<Self> {
        let capability = |kind: u8| {
            // The first that can be used is the device's favourite.
            function
                .capabilities(VENDOR_SPECIFIC)
                .filter(|at| (function.read(*at) >> 24) as u8 == kind)
                .find_map(|at| Some((at, registers(function, at)?)))
        };
        let (_, common) = capability(COMMON)?;
        let (at, notify) = capability(NOTIFY)?;
        let (_, device) = capability(DEVICE)?;
        function.enable();
        Some(Self { common, notify, stride: function.read(at + 16).into(), device })
    }
}

/// What the capability at this offset points to.
fn registers(function: Function, at: u8) -> Option<Registers> {
    let region = function.region(function.read(at + 4) as u8)?;
    let [offset, len] = [8, 12].map(|field| u64::from(function.read(at + field)));
    Some(Registers::map(region + offset, len))
}

impl Transport for Pci {
    fn is_legacy(&self) -> bool {
        false
    }

    fn status(&self) -> u8 {
        self.common.read8(STATUS)
    }

    fn set_status(&self, status: u8) {
        self.common.write8(STATUS, status);
    }

    fn features(&self, half: u32) -> u32 {
        self.common.write32(DEVICE_FEATURES, half);
        self.common.read32(DEVICE_FEATURES + VALUE)
    }

    fn set_features(&self, half: u32, features: u32) {
        self.common.write32(DRIVER_FEATURES, half);
        self.common.write32(DRIVER_FEATURES + VALUE, features);
    }

    fn longest(&self, queue: u16) -> u32 {
        self.common.write16(QUEUE, queue);
        self.common.read16(QUEUE_SIZE).into()
    }

    fn set_queue(&self, queue: u16, rings: &'static Rings) -> Doorbell {
        self.common.write16(QUEUE, queue);
        self.common.write16(QUEUE_SIZE, SIZE);
        self.common.write64(DESCRIPTORS, rings.descriptors());
        self.common.write64(AVAILABLE, rings.available());
        self.common.write64(USED, rings.used());
        self.common.write16(QUEUE_ENABLE, 1);
        let place = u64::from(self.common.read16(QUEUE_NOTIFY)) * self.stride;
        Doorbell { place: self.notify.part(place, 2), queue }
    }

    fn config(&self, offset: u64) -> u8 {
        self.device.read8(offset)
    }
}
