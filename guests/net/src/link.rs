//! A Solo5 network device as smoltcp wants one.

use core::net::Ipv4Addr;

use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use solo5::manifest::Entry;

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

/// Lets smoltcp use a gateway outside of the guest's network (`10.0.0.2/32` behind `169.254.1.1`, as Calico has it):
/// smoltcp hears ARP from its own networks only, so it gets another address, next to the gateway's. That one must not
/// be seen outside.
#[derive(Debug, Clone, Copy)]
pub struct StandIn {
    /// The invented address.
    pub invented: Ipv4Addr,
    /// The guest's.
    pub real: Ipv4Addr,
}

impl StandIn {
    /// The address in an ARP packet for IPv4 over Ethernet (RFC 826) at this place of the frame.
    fn is_at(self, frame: &[u8], place: usize) -> bool {
        frame.get(12..14) == Some(&[0x08, 0x06])
            && frame.get(place..place + 4) == Some(&self.invented.octets())
    }

    /// Nobody shall learn that the address is here.
    fn is_asked_for(self, frame: &[u8]) -> bool {
        self.is_at(frame, HEADER + 24)
    }

    /// The guest asks as itself.
    fn hide(self, frame: &mut [u8]) {
        const SENDER: usize = HEADER + 14;
        if self.is_at(frame, SENDER) {
            frame[SENDER..SENDER + 4].copy_from_slice(&self.real.octets());
        }
    }
}

/// The device.
pub struct Link {
    device: &'static Entry,
    frames: &'static mut Frames,
    stand_in: Option<StandIn>,
}

impl Link {
    /// The device with the place for its frames.
    pub fn new(device: &'static Entry, frames: &'static mut Frames, stand_in: Option<StandIn>) -> Self {
        Self { device, frames, stand_in }
    }
}

impl Device for Link {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sender<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sender<'_>)> {
        let Frames { received, sent } = &mut *self.frames;
        let len = loop {
            let frame = self.device.receive(received)?;
            if !self.stand_in.is_some_and(|stand_in| stand_in.is_asked_for(frame)) {
                break frame.len();
            }
        };
        let sender = Sender { device: self.device, buffer: sent, stand_in: self.stand_in };
        Some((Received(&received[..len]), sender))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sender<'_>> {
        Some(Sender { device: self.device, buffer: &mut self.frames.sent, stand_in: self.stand_in })
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
    stand_in: Option<StandIn>,
}

impl phy::TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let frame = &mut self.buffer[..len];
        let result = f(frame);
        if let Some(stand_in) = self.stand_in {
            stand_in.hide(frame);
        }
        // A frame that the host does not take is lost, as on any wire.
        self.device.send(frame);
        result
    }
}
