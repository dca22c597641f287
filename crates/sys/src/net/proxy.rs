//! A gateway that the guest cannot ask for by itself: the tap answers in its place.
//!
//! The tap gets the gateway's hardware address as its own and the address that the guest is shown as a local one, and
//! the namespace answers for it, by ARP (arp(7)) or neighbour discovery. All of it ends with the tap.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use urunc_plan::input::Neighbour;
use urunc_plan::launch::Tap;

use super::facts::{self, AF_INET, AF_INET6};
use super::message::{Message, NLM_F_CREATE, NLM_F_DUMP, Reply, u16_at, u32_at};
use super::netlink::{Changes, Refusal, Socket};
use super::{in_namespace, ipv4, kept};
use crate::error::{Result, SysError};
use crate::process;

/// ARP asks three times, once a second (`mcast_solicit` and `retrans_time` of arp(7)), and says that nobody answered.
const PATIENCE: Duration = Duration::from_secs(10);
/// `linux/neighbour.h`, `linux/rtnetlink.h`.
pub(super) const NDA_DST: u16 = 1;
const NTF_USE: u8 = 1;
const NUD_FAILED: u16 = 0x20;
const RTMGRP_NEIGH: u32 = 4;
/// `linux/if_addr.h`.
const IFA_F_NODAD: u32 = 0x02;
const IFA_F_NOPREFIXROUTE: u32 = 0x200;
/// `linux/netconf.h`: the setting for all devices, which holds where it is stricter than a device's own.
const RTM_GETNETCONF: u16 = 82;
const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_RP_FILTER: u16 = 3;
const NETCONFA_IFINDEX_ALL: u32 = 0xffff_ffff;
/// Sources must be reached over the device that they came from; 2 is satisfied with any device.
const STRICT: u32 = 1;

pub(super) type Mac = [u8; 6];

/// The hardware address of the gateway that `tap` is to answer for: the planned one, or what it answers to ARP over
/// `device`. `None` when there is none to answer for.
pub(super) fn address(netns: BorrowedFd<'_>, device: (u32, &str), tap: &Tap) -> Result<Option<Mac>> {
    let first = match &tap.proxy {
        Some(proxy) if proxy.mac.is_empty() => Some(parsed(&asked(netns, device, proxy.gateway)?)?),
        Some(proxy) => Some(parsed(&proxy.mac)?),
        None => None,
    };
    let second = tap.proxy6.as_ref().map(|proxy| parsed(&proxy.mac)).transpose()?;
    if first.is_some() && second.is_some() && first != second {
        let why = "those of IPv4 and IPv6 have different hardware addresses, a tap has one";
        let why = std::io::Error::new(ErrorKind::InvalidInput, why);
        return Err(SysError::new("answer for the gateways of", device.1, why));
    }
    Ok(first.or(second))
}

pub(super) fn parsed(text: &str) -> Result<Mac> {
    let bytes: Vec<u8> = text.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
    <Mac>::try_from(bytes).map_err(|_| SysError::new("use hardware address", text, Errno::INVAL))
}

/// Has the kernel ask, and waits for what comes of it.
fn asked(netns: BorrowedFd<'_>, (index, name): (u32, &str), gateway: Ipv4Addr) -> Result<String> {
    let (mut socket, changes) = in_namespace(netns, || Ok((Socket::open()?, Changes::open(RTMGRP_NEIGH)?)))?;
    let failed = |refusal: Refusal| refusal.on("ask for the gateway over", name);
    let request = Message::new(libc::RTM_NEWNEIGH, NLM_F_CREATE, &ndmsg(index, NTF_USE));
    socket.call(&request.attr(NDA_DST, &gateway.octets())).map_err(failed)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        // A change is the reason to look again, never the answer: anybody in the namespace may send one.
        let replies =
            socket.call(&Message::new(libc::RTM_GETNEIGH, NLM_F_DUMP, &ndmsg(0, 0))).map_err(failed)?;
        let is_gateway = |found: &Neighbour| found.index == index && found.address == IpAddr::from(gateway);
        if let Some(found) = replies.iter().filter_map(facts::neighbour).find(is_gateway) {
            return Ok(found.mac);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let silent = replies.iter().any(|reply| has_failed(reply, index, gateway));
        if silent || process::wait_readable(&[changes.as_fd()], Some(left))? != [true] {
            let why = std::io::Error::new(ErrorKind::HostUnreachable, "it answers no ARP request");
            return Err(SysError::new("ask for the gateway", gateway.to_string(), why));
        }
        changes.clear();
    }
}

/// `struct ndmsg` of IPv4: family, padding, index, state, flags, type.
fn ndmsg(index: u32, flags: u8) -> Vec<u8> {
    [&[AF_INET, 0, 0, 0][..], &index.to_ne_bytes(), &[0, 0, flags, 0]].concat()
}

fn has_failed(reply: &Reply, index: u32, gateway: Ipv4Addr) -> bool {
    u32_at(&reply.body, 4) == Some(index)
        && u16_at(&reply.body, 8) == Some(NUD_FAILED)
        && reply.attrs(ndmsg(0, 0).len()).get(NDA_DST) == Some(&gateway.octets())
}

/// Makes the tap answer for the gateways of its plan with `mac`. Its ingress must have our redirect already.
pub(super) fn answer(socket: &mut Socket, index: u32, tap: &Tap, mac: Mac) -> Result<()> {
    let failed = |refusal: Refusal| refusal.on("answer for the gateway on", &tap.name);
    let set = || Message::new(libc::RTM_NEWLINK, 0, &facts::ifinfomsg(index, 0));
    socket.call(&set().attr(libc::IFLA_ADDRESS, &mac)).map_err(failed)?;
    if let Some(proxy) = &tap.proxy {
        refuse_strict_filter(socket)?;
        // The guest's address is the namespace's, too: a question from it is one from ourselves.
        let settings = [(ipv4::ACCEPT_LOCAL, 1), (ipv4::RP_FILTER, 0), (ipv4::ARP_IGNORE, 0)];
        ipv4::set(socket, index, &settings).map_err(failed)?;
        own(socket, index, proxy.shown.into()).map_err(failed)?;
        kept::arp_requests(socket, index, proxy.shown).map_err(failed)?;
    }
    if let Some(proxy) = &tap.proxy6 {
        own(socket, index, proxy.gateway.into()).map_err(failed)?;
        kept::solicitations(socket, index, proxy.gateway).map_err(failed)?;
    }
    Ok(())
}

/// Gives the tap an address of its own, and no route to others.
fn own(socket: &mut Socket, index: u32, address: IpAddr) -> std::result::Result<(), Refusal> {
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let (family, bytes) = match address {
        IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
    };
    let length = u8::try_from(bytes.len() * 8).unwrap_or_default();
    let body = [&[family, length, 0, libc::RT_SCOPE_LINK][..], &index.to_ne_bytes()].concat();
    let message = Message::new(libc::RTM_NEWADDR, NLM_F_CREATE, &body)
        .attr(libc::IFA_LOCAL, &bytes)
        .number(libc::IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
    socket.call(&message).map(drop)
}

/// A strict reverse path filter for all devices drops the guest's question, and is not ours to change.
fn refuse_strict_filter(socket: &mut Socket) -> Result<()> {
    const NAME: &str = "net.ipv4.conf.all.rp_filter";
    let message =
        Message::new(RTM_GETNETCONF, 0, &[AF_INET, 0, 0, 0]).number(NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL);
    let replies = socket.call(&message).map_err(|refusal| refusal.on("read", NAME))?;
    let value = replies.iter().find_map(|reply| reply.attrs(4).number(NETCONFA_RP_FILTER));
    if value == Some(STRICT) {
        let why =
            "1 keeps the tap from answering for the gateway; use 2 or 0 in the container's network namespace";
        return Err(SysError::new("accept", NAME, std::io::Error::new(ErrorKind::InvalidInput, why)));
    }
    Ok(())
}
