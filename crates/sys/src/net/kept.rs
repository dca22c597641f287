//! Frames that the namespace's own stack gets, before the redirect behind: filters of tc-u32(8).

use std::net::{Ipv4Addr, Ipv6Addr};

use urunc_plan::launch::Resolver;

use super::message::Message;
use super::netlink::{Refusal, Socket};
use super::redirect::{PREFERENCE, TC_U32_TERMINAL, TCA_U32_SEL, copy, u32_filter};

/// `linux/if_ether.h`.
const ETH_P_IP: u16 = 0x0800;
const ETH_P_ARP: u16 = 0x0806;
const ETH_P_IPV6: u16 = 0x86dd;
/// `tcm_info` of the filters here: each preference is of one protocol.
pub(super) const COPIED_ARP: u32 = info(PREFERENCE - 1, ETH_P_ARP);
const KEPT_SOLICITATIONS: u32 = info(PREFERENCE - 2, ETH_P_IPV6);
pub(super) const KEPT_ANSWERS: u32 = info(PREFERENCE - 3, ETH_P_IP);
/// Operations of ARP (RFC 826).
const REQUEST: u32 = 1;
const REPLY: u32 = 2;
/// Port of the domain name system.
const DNS: u32 = 53;

/// Bits that count, their value, and the offset in the network header.
type Key = (u32, u32, u32);
type Outcome = std::result::Result<(), Refusal>;

const fn info(preference: u32, protocol: u16) -> u32 {
    preference << 16 | protocol.to_be() as u32
}

/// The ARP requests for `address`.
///
/// `tc filter add dev INDEX parent ffff: pref PREFERENCE-1 protocol arp u32 match u16 1 0xffff at 6 match u32 ADDRESS
/// 0xffffffff at 24`.
pub(super) fn arp_requests(socket: &mut Socket, index: u32, address: Ipv4Addr) -> Outcome {
    add(socket, (index, COPIED_ARP), &[(0xffff, REQUEST, 4), (u32::MAX, address.into(), 24)], |filter| filter)
}

/// The neighbour solicitations for `address` (RFC 4861, section 4.3): next header ICMPv6, type, target.
pub(super) fn solicitations(socket: &mut Socket, index: u32, address: Ipv6Addr) -> Outcome {
    let mut keys = vec![(0xff00, 58 << 8, 4), (0xff00_0000, 135 << 24, 40)];
    let words = address.octets();
    let words = words.chunks_exact(4).filter_map(|word| word.first_chunk().copied().map(u32::from_be_bytes));
    keys.extend(words.zip([48, 52, 56, 60]).map(|(word, offset)| (u32::MAX, word, offset)));
    add(socket, (index, KEPT_SOLICITATIONS), &keys, |filter| filter)
}

/// The questions that the guest sends where it is shown the nameserver, and nothing else: the tap is open to loopback
/// addresses, and so it could reach whatever listens there.
pub(super) fn questions(socket: &mut Socket, index: u32, guest: Ipv4Addr, resolver: &Resolver) -> Outcome {
    let keys = [(u32::MAX, guest.into(), 12), (u32::MAX, resolver.shown.into(), 16), (0xffff, DNS, 20)];
    in_one_packet(socket, index, &keys)
}

/// What name servers outside say to the container's address: it may be an answer to the nameserver inside.
pub(super) fn answers(socket: &mut Socket, index: u32, container: Ipv4Addr) -> Outcome {
    in_one_packet(socket, index, &[(u32::MAX, container.into(), 16), (0xffff_0000, DNS << 16, 20)])
}

/// The answers to ARP requests, which the guest gets as well: both may have asked.
pub(super) fn arp_replies(socket: &mut Socket, index: u32, guest: u32) -> Outcome {
    add(socket, (index, COPIED_ARP), &[(0xffff, REPLY, 4)], |filter| copy(filter, guest))
}

/// UDP and TCP whose ports are where they are expected: behind a header without options, in a packet that is no
/// fragment. All fragments of a packet take the guest's way.
fn in_one_packet(socket: &mut Socket, index: u32, keys: &[Key]) -> Outcome {
    [libc::IPPROTO_UDP, libc::IPPROTO_TCP].into_iter().try_for_each(|protocol| {
        let whole =
            [(0xff00_0000, 0x4500_0000, 0), (0x3fff, 0, 4), (0x00ff_0000, protocol.cast_unsigned() << 16, 8)];
        add(socket, (index, KEPT_ANSWERS), &[&whole, keys].concat(), |filter| filter)
    })
}

fn add(
    socket: &mut Socket,
    (index, info): (u32, u32),
    keys: &[Key],
    act: impl FnOnce(Message) -> Message,
) -> Outcome {
    let mut selector = vec![0; 16];
    selector[0] = TC_U32_TERMINAL;
    selector[2] = u8::try_from(keys.len()).unwrap_or_default();
    // struct tc_u32_key: mask, value, offset, offset mask.
    for (mask, value, offset) in keys {
        let key = [mask.to_be_bytes(), value.to_be_bytes(), offset.to_ne_bytes(), [0; 4]];
        selector.extend(key.concat());
    }
    let filter = u32_filter(index, info, |options| act(options.attr(TCA_U32_SEL, &selector)));
    socket.call(&filter).map(drop)
}
