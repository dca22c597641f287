//! A Solo5 network device as smoltcp wants one.

use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use solo5::manifest::Entry;

use crate::arp::Arp;

/// Largest MTU that is used, bytes: jumbo frames.
pub const LARGEST_MTU: u16 = 9000;
/// Ethernet header, bytes.
const HEADER: usize = 14;
const FRAME: usize = LARGEST_MTU as usize + HEADER;

/// Place for one frame in each direction.
#[derive(Debug)]
pub struct Frames {
    received: [u8; FRAME],
    sent: [u8; FRAME],
}

impl Frames {
    /// Empty ones.
    pub const NEW: Self = Self { received: [0; FRAME], sent: [0; FRAME] };
}

/// The device.
pub struct Link {
    device: &'static Entry,
    frames: &'static mut Frames,
    arp: Option<Arp>,
}

impl Link {
    /// The device with the place for its frames.
    pub fn new(device: &'static Entry, frames: &'static mut Frames, arp: Option<Arp>) -> Self {
        Self { device, frames, arp }
    }
}

impl Device for Link {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sender<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sender<'_>)> {
        let Frames { received, sent } = &mut *self.frames;
        let len = loop {
            let frame = self.device.receive(received)?;
            let Some(answer) = self.arp.and_then(|arp| arp.answer(frame)) else { break frame.len() };
            self.device.send(&answer);
        };
        Some((Received(&received[..len]), Sender { device: self.device, buffer: sent, arp: self.arp }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sender<'_>> {
        Some(Sender { device: self.device, buffer: &mut self.frames.sent, arp: self.arp })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = usize::from(self.device.mtu().min(LARGEST_MTU)) + HEADER;
        capabilities
    }
}

/// A frame that came.
#[derive(Debug)]
pub struct Received<'a>(&'a [u8]);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// The chance to send a frame.
pub struct Sender<'a> {
    device: &'static Entry,
    buffer: &'a mut [u8; FRAME],
    arp: Option<Arp>,
}

impl phy::TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let frame = &mut self.buffer[..len];
        let result = f(frame);
        if let Some(arp) = self.arp {
            arp.hide(frame);
        }
        // A frame that the host does not take is lost, as on any wire.
        self.device.send(frame);
        result
    }
}
