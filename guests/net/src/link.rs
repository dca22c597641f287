//! A port as smoltcp wants a device.

use guest::Port;
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

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
pub struct Link<P> {
    pub(crate) port: P,
    frames: &'static mut Frames,
    arp: Option<Arp>,
}

impl<P: Port> Link<P> {
    /// The port with the place for its frames.
    pub fn new(port: P, frames: &'static mut Frames, arp: Option<Arp>) -> Self {
        Self { port, frames, arp }
    }
}

impl<P: Port> Device for Link<P> {
    type RxToken<'a>
        = Received<'a>
    where
        P: 'a;
    type TxToken<'a>
        = Sender<'a, P>
    where
        P: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sender<'_, P>)> {
        // What comes may have to be answered at once.
        if !self.port.can_send() {
            return None;
        }
        let Frames { received, sent } = &mut *self.frames;
        let len = loop {
            let frame = self.port.receive(received)?;
            let Some(answer) = self.arp.and_then(|arp| arp.answer(frame)) else { break frame.len() };
            self.port.send(&answer);
        };
        Some((Received(&received[..len]), Sender { port: &mut self.port, buffer: sent, arp: self.arp }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sender<'_, P>> {
        let Self { port, frames, arp } = self;
        port.can_send().then_some(Sender { port, buffer: &mut frames.sent, arp: *arp })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = usize::from(self.port.mtu().min(LARGEST_MTU)) + HEADER;
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
pub struct Sender<'a, P> {
    port: &'a mut P,
    buffer: &'a mut [u8; FRAME],
    arp: Option<Arp>,
}

impl<P: Port> phy::TxToken for Sender<'_, P> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let frame = &mut self.buffer[..len];
        let result = f(frame);
        if let Some(arp) = self.arp {
            arp.hide(frame);
        }
        self.port.send(frame);
        result
    }
}
