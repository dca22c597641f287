//! ARP for IPv4 over Ethernet (RFC 826), where smoltcp's falls short.
//!
//! It listens to senders of the guest's own network only. A network of one address (`10.0.0.2/32`, as Calico has it)
//! knows nobody then: neither its gateway, which is elsewhere (`169.254.1.1`), nor a host that asks with an address of
//! its own. So the guest has another address, next to the gateway's, of which nobody may learn; and it answers
//! strangers here.

use core::net::Ipv4Addr;

use crate::options::{Cidr, Options};

/// An ARP packet in its frame, bytes.
const LENGTH: usize = 42;
/// Ethernet type, hardware Ethernet, protocol IPv4, lengths of their addresses.
const KIND: [u8; 8] = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4];
const REQUEST: [u8; 2] = [0, 1];
const REPLY: [u8; 2] = [0, 2];

/// The guest's addresses as its neighbours may know them.
#[derive(Debug, Clone, Copy)]
pub struct Arp {
    own: Cidr<Ipv4Addr>,
    mac: [u8; 6],
    /// The address next to a gateway in another network.
    invented: Option<Ipv4Addr>,
}

impl Arp {
    /// For these addresses; `None` without one of IPv4.
    pub fn new(options: &Options, mac: [u8; 6]) -> Option<Self> {
        let own = options.ipv4?;
        let far = options.ipv4_gateway.filter(|gateway| !own.contains(*gateway));
        let invented = far.map(|gateway| Ipv4Addr::from_bits(gateway.to_bits() ^ 1));
        Some(Self { own, mac, invented })
    }

    /// The invented network of two addresses: the gateway's and this one.
    pub fn invented(&self) -> Option<Cidr<Ipv4Addr>> {
        self.invented.map(|address| Cidr { address, prefix: 31 })
    }

    /// The answer to a frame that came, when a stranger asks for the guest; everybody else is smoltcp's.
    pub fn answer(&self, frame: &[u8]) -> Option<[u8; LENGTH]> {
        let request = frame.first_chunk::<LENGTH>().filter(|packet| packet[12..20] == KIND)?;
        let (sender, target) = (address(request, 28), address(request, 38));
        let known = self.own.contains(sender) || self.invented().is_some_and(|net| net.contains(sender));
        if known || target != self.own.address || request[20..22] != REQUEST {
            return None;
        }
        let mut answer = *request;
        answer[..6].copy_from_slice(&request[22..28]);
        answer[6..12].copy_from_slice(&self.mac);
        answer[20..22].copy_from_slice(&REPLY);
        answer[22..28].copy_from_slice(&self.mac);
        answer[28..32].copy_from_slice(&request[38..42]);
        answer[32..42].copy_from_slice(&request[22..32]);
        Some(answer)
    }

    /// The guest asks and answers as itself: changes a frame on its way out.
    pub fn hide(&self, frame: &mut [u8]) {
        if let Some(packet) = frame.first_chunk_mut::<LENGTH>()
            && packet[12..20] == KIND
            && Some(address(packet, 28)) == self.invented
        {
            packet[28..32].copy_from_slice(&self.own.address.octets());
        }
    }
}

fn address(packet: &[u8; LENGTH], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
    const PEER: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn arp(cmdline: &str) -> Arp {
        Arp::new(&Options::parse(cmdline).unwrap(), MAC).unwrap()
    }

    fn packet(operation: [u8; 2], sender: [u8; 4], target: [u8; 4]) -> [u8; LENGTH] {
        let parts: [&[u8]; 8] = [&[0xff; 6], &PEER, &KIND, &operation, &PEER, &sender, &[0; 6], &target];
        parts.concat().try_into().unwrap()
    }

    #[test]
    fn a_gateway_in_the_network_needs_nothing() {
        let arp = arp("--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1");
        assert_eq!(arp.invented(), None);
        assert_eq!(arp.answer(&packet(REQUEST, [10, 0, 0, 1], [10, 0, 0, 2])), None);
        let frame = packet(REQUEST, [10, 0, 0, 2], [10, 0, 0, 1]);
        let mut sent = frame;
        arp.hide(&mut sent);
        assert_eq!(sent, frame);
    }

    #[test]
    fn nobody_learns_of_the_invented_address() {
        let arp = arp("--ipv4=10.0.0.2/32 --ipv4-gateway=169.254.1.1");
        assert_eq!(arp.invented(), Some(Cidr { address: Ipv4Addr::new(169, 254, 1, 0), prefix: 31 }));
        assert_eq!(arp.answer(&packet(REQUEST, [10, 9, 9, 9], [169, 254, 1, 0])), None);
        for operation in [REQUEST, REPLY] {
            let mut sent = packet(operation, [169, 254, 1, 0], [169, 254, 1, 1]);
            arp.hide(&mut sent);
            assert_eq!(sent, packet(operation, [10, 0, 0, 2], [169, 254, 1, 1]));
        }
    }

    #[test]
    fn strangers_that_ask_for_the_guest_are_answered() {
        let arp = arp("--ipv4=10.0.0.2/32 --ipv4-gateway=169.254.1.1");
        let answer = arp.answer(&packet(REQUEST, [192, 168, 7, 8], [10, 0, 0, 2]));
        let parts: [&[u8]; 8] = [&PEER, &MAC, &KIND, &REPLY, &MAC, &[10, 0, 0, 2], &PEER, &[192, 168, 7, 8]];
        assert_eq!(answer.unwrap()[..], parts.concat());
        // Asked by the gateway, for somebody else, and told: smoltcp's.
        assert_eq!(arp.answer(&packet(REQUEST, [169, 254, 1, 1], [10, 0, 0, 2])), None);
        assert_eq!(arp.answer(&packet(REQUEST, [192, 168, 7, 8], [10, 0, 0, 3])), None);
        assert_eq!(arp.answer(&packet(REPLY, [192, 168, 7, 8], [10, 0, 0, 2])), None);
    }

    #[test]
    fn other_and_short_frames_are_left_alone() {
        let arp = arp("--ipv4=10.0.0.2/32 --ipv4-gateway=169.254.1.1");
        let (asked, sent) = (
            packet(REQUEST, [192, 168, 7, 8], [10, 0, 0, 2]),
            packet(REQUEST, [169, 254, 1, 0], [10, 0, 0, 2]),
        );
        for len in 0..LENGTH {
            let mut frame = sent;
            arp.hide(&mut frame[..len]);
            assert_eq!((arp.answer(&asked[..len]), frame), (None, sent));
        }
        for at in 12..20 {
            let mut frame = asked;
            frame[at] ^= 0x80;
            assert_eq!(arp.answer(&frame), None);
        }
    }
}
