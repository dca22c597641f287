//! A network device as the network stack wants one.

use guest::Port;

use crate::manifest::Entry;
use crate::{BootInfo, clock, println, sleep_until};

/// One device of the guest, with the guest's clocks.
#[derive(Clone, Copy)]
pub struct Wire {
    info: &'static BootInfo,
    device: &'static Entry,
}

impl Wire {
    /// The attached device of that name; without one the reason is printed.
    pub fn open(info: &'static BootInfo, name: &str) -> Option<Self> {
        let Some(device) = info.device(name) else {
            println!("no network device {name}");
            return None;
        };
        Some(Self { info, device })
    }
}

impl Port for Wire {
    fn mac(&self) -> [u8; 6] {
        self.device.mac()
    }

    fn mtu(&self) -> u16 {
        self.device.mtu()
    }

    fn receive<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        self.device.receive(buffer)
    }

    fn send(&mut self, frame: &[u8]) {
        self.device.send(frame);
    }

    fn now(&self) -> u64 {
        clock(1)
    }

    fn seed(&self) -> u64 {
        clock(0).rotate_left(32) ^ clock(1)
    }

    fn sleep_until(&mut self, deadline: u64) {
        sleep_until(self.info, deadline);
    }
}
