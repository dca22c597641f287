//! The guest's addresses on its device, and the loop that serves them.

use core::fmt::Write as _;

use guest::Port;
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketSet};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, Ipv6Address};

use crate::Text;
use crate::arp::Arp;
use crate::link::{Frames, Link};
use crate::options::{Cidr, Options};

/// Frames received before anything is sent: as many answers leave in one go.
const BATCH: usize = 64;
/// Longest sleep.
const DAY: Duration = Duration::from_secs(86_400);

/// What a guest does with its sockets.
pub trait Service {
    /// Takes what came in, and leaves what shall go out.
    fn serve(&mut self, sockets: &mut SocketSet<'_>, now: Instant);

    /// Everything has gone out: looks at what is over. Returns when it wants to be called again at the latest.
    fn settle(&mut self, _sockets: &mut SocketSet<'_>, _now: Instant) -> Option<Instant> {
        None
    }
}

/// The guest's end of the network.
pub struct Stack<P> {
    link: Link<P>,
    interface: Interface,
    /// The guest's addresses, as text.
    pub addresses: Text<128>,
}

impl<P: Port> Stack<P> {
    /// Gives the addresses to the port.
    pub fn new(options: &Options, port: P, frames: &'static mut Frames) -> Self {
        let mac = EthernetAddress(port.mac());
        let arp = Arp::new(options, mac.0);
        let mut config = Config::new(mac.into());
        config.random_seed = port.seed();
        let now = now(&port);
        let mut link = Link::new(port, frames, arp);
        let mut interface = Interface::new(config, &mut link, now);
        configure(&mut interface, options, mac, arp);
        Self { link, interface, addresses: text(options) }
    }

    /// Serves for ever.
    pub fn run(&mut self, sockets: &mut SocketSet<'_>, service: &mut impl Service) -> ! {
        loop {
            // Reading the clock is a system call: one time for a whole round.
            let now = now(&self.link.port);
            let busy = self.receive(sockets, now);
            service.serve(sockets, now);
            while self.interface.poll_egress(now, &mut self.link, sockets) != PollResult::None {}
            let deadline = service.settle(sockets, now);
            if !busy {
                self.wait(sockets, now, deadline);
            }
        }
    }

    /// Takes a batch of frames; true when there may be more.
    fn receive(&mut self, sockets: &mut SocketSet<'_>, now: Instant) -> bool {
        (0..BATCH).all(|_| {
            let result = self.interface.poll_ingress_single(now, &mut self.link, sockets);
            result != PollIngressSingleResult::None
        })
    }

    /// Until a frame comes or somebody's time has.
    fn wait(&mut self, sockets: &SocketSet<'_>, now: Instant, deadline: Option<Instant>) {
        let stack = self.interface.poll_at(now, sockets);
        let until = stack.into_iter().chain(deadline).min().unwrap_or(now + DAY);
        if until > now {
            self.link.port.sleep_until(until.total_micros().unsigned_abs() * 1000);
        }
    }
}

fn now(port: &impl Port) -> Instant {
    Instant::from_micros((port.now() / 1000).cast_signed())
}

fn configure(interface: &mut Interface, options: &Options, mac: EthernetAddress, arp: Option<Arp>) {
    interface.update_ip_addrs(|addresses| {
        // There is room for these four.
        let mut add = |address: IpAddress, prefix| {
            let _ = addresses.push(IpCidr::new(address, prefix));
        };
        if let Some(Cidr { address, prefix }) = options.ipv4 {
            add(address.into(), prefix);
        }
        if let Some(Cidr { address, prefix }) = arp.and_then(|arp| arp.invented()) {
            add(address.into(), prefix);
        }
        if let Some(Cidr { address, prefix }) = options.ipv6 {
            add(address.into(), prefix);
            add(link_local(mac).into(), 64);
        }
    });
    // There is room for these two.
    if let Some(gateway) = options.ipv4_gateway {
        let _ = interface.routes_mut().add_default_ipv4_route(gateway);
    }
    if let Some(gateway) = options.ipv6_gateway {
        let _ = interface.routes_mut().add_default_ipv6_route(gateway);
    }
}

/// The link-local address with the interface identifier of RFC 4291, appendix A.
fn link_local(EthernetAddress(mac): EthernetAddress) -> Ipv6Address {
    let mut address = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, 0, 0, 0];
    address[13..].copy_from_slice(&mac[3..]);
    address.into()
}

fn text(options: &Options) -> Text<128> {
    let mut text = Text::new();
    // A text takes everything.
    let _ = match (options.ipv4, options.ipv6) {
        (Some(v4), Some(v6)) => write!(text, "{} and {}", v4.address, v6.address),
        (Some(v4), None) => write!(text, "{}", v4.address),
        (None, Some(v6)) => write!(text, "{}", v6.address),
        (None, None) => Ok(()),
    };
    text
}
