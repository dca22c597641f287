//! What a network namespace holds: devices, addresses, routes, neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use urunc_plan::input::{Ingress, Neighbour, NetDevice, NetFacts, Route};
use urunc_plan::network::Owner;

use super::message::{Attrs, Message, NLM_F_DUMP, Reply, u16_at, u32_at};
use super::netlink::Socket;
use super::{ipv4, redirect};
use crate::error::Result;
use crate::process;

/// Sizes of the fixed structures: ifinfomsg, ifaddrmsg, rtmsg, rtnexthop, ndmsg.
const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;
const RTMSG: usize = 12;
const RTNEXTHOP: usize = 8;
const NDMSG: usize = 12;
/// `linux/if_link.h`, `linux/if.h`.
const IFLA_INFO_KIND: u16 = 1;
const IFF_LOWER_UP: u32 = 1 << 16;
/// `linux/rtnetlink.h`: next hop of another family.
const RTA_VIA: u16 = 18;
/// `linux/neighbour.h`: attributes, and the states in which the hardware address is known.
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NUD_PERMANENT: u16 = 0x80;
const NUD_KNOWN: u16 = 0x02 | 0x04 | 0x08 | 0x10 | NUD_PERMANENT;
/// `bits/socket.h`, as wide as it is in messages.
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;

/// Reads the namespace that `socket` belongs to.
pub(super) fn gather(socket: &mut Socket) -> Result<NetFacts> {
    // First: a tap that another start connects meanwhile has its owner record before it has a redirect.
    let ingresses = redirect::ingresses(socket).map_err(|refusal| refusal.on("list", "ingress qdiscs"))?;
    let mut dump = |kind: u16, body: &[u8], what: &str| {
        socket.call(&Message::new(kind, NLM_F_DUMP, body)).map_err(|refusal| refusal.on("list", what))
    };
    let links = dump(libc::RTM_GETLINK, &ifinfomsg(0, 0), "network devices")?;
    let addresses = dump(libc::RTM_GETADDR, &[0; IFADDRMSG], "addresses")?;
    let mut routes = Vec::new();
    for family in [AF_INET, AF_INET6] {
        routes.extend(dump(libc::RTM_GETROUTE, &rtmsg(family), "routes")?);
    }
    let neighbours = dump(libc::RTM_GETNEIGH, &[0; NDMSG], "neighbours")?;
    let mut facts = read(&links, &addresses, &routes, &neighbours);
    for device in &mut facts.devices {
        if let Some((_, ingress)) = ingresses.iter().find(|(index, _)| *index == device.index) {
            device.ingress = match ingress {
                redirect::Ingress::Redirect { target, alone: true, .. } => Ingress::Redirect(*target),
                _ => Ingress::Foreign,
            };
        }
        device.owned = Owner::parse(&device.alias).map_or(Ok(false), |owner| runs(&owner))?;
    }
    Ok(facts)
}

/// Whether the process of an owner record runs, or its number is another's by now. One that is exiting keeps no guest.
pub(super) fn runs(owner: &Owner) -> Result<bool> {
    let Ok(pid) = i32::try_from(owner.pid) else { return Ok(false) };
    let stat = process::stat(pid)?;
    Ok(stat.is_some_and(|stat| stat.start_time == owner.start_time && !stat.exiting))
}

/// What the replies to the dumps say; what is beyond single messages is still to be looked at.
pub(super) fn read(links: &[Reply], addresses: &[Reply], routes: &[Reply], neighbours: &[Reply]) -> NetFacts {
    let mut devices: Vec<NetDevice> = links.iter().filter_map(device).collect();
    for (index, address, prefix) in addresses.iter().filter_map(address) {
        let Some(device) = devices.iter_mut().find(|device| device.index == index) else { continue };
        match address {
            IpAddr::V4(address) => device.ipv4.push((address, prefix)),
            IpAddr::V6(address) => device.ipv6.push((address, prefix)),
        }
    }
    NetFacts {
        devices,
        routes: routes.iter().flat_map(self::routes).collect(),
        neighbours: neighbours.iter().filter_map(neighbour).collect(),
        ..NetFacts::default()
    }
}

/// Fails when there is no device of this index; its name is for the error only.
pub(super) fn exists(socket: &mut Socket, (index, name): (u32, &str)) -> Result<()> {
    let message = Message::new(libc::RTM_GETLINK, 0, &ifinfomsg(index, 0));
    socket.call(&message).map(drop).map_err(|refusal| refusal.on("find device", name))
}

/// Reads RTM_NEWLINK, all but addresses and qdiscs; `None` for the loopback device and other messages.
pub(super) fn device(reply: &Reply) -> Option<NetDevice> {
    let flags = u32_at(&reply.body, 8)?;
    let has = |flag: i32| flags & flag.cast_unsigned() != 0;
    if reply.kind != libc::RTM_NEWLINK || has(libc::IFF_LOOPBACK) {
        return None;
    }
    let attrs = reply.attrs(IFINFOMSG);
    let ethernet = u16_at(&reply.body, 2)? == libc::ARPHRD_ETHER;
    Some(NetDevice {
        name: attrs.text(libc::IFLA_IFNAME),
        index: u32_at(&reply.body, 4)?,
        kind: attrs.inside(libc::IFLA_LINKINFO).text(IFLA_INFO_KIND),
        mac: attrs.get(libc::IFLA_ADDRESS).filter(|_| ethernet).map_or_else(String::new, mac),
        mtu: attrs.number(libc::IFLA_MTU)?,
        up: has(libc::IFF_UP),
        carrier: flags & IFF_LOWER_UP != 0,
        alias: attrs.text(libc::IFLA_IFALIAS),
        forwarding: ipv4::setting(&attrs, ipv4::FORWARDING) == Some(1),
        ..NetDevice::default()
    })
}

/// `aa:bb:cc:dd:ee:ff`; empty for an address that is none (a device in layer 3 mode has only zeros).
fn mac(bytes: &[u8]) -> String {
    if bytes.len() != 6 || bytes.iter().all(|&byte| byte == 0) {
        return String::new();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Reads RTM_NEWADDR: device, its own address (on a point-to-point link IFA_ADDRESS is the peer's), prefix length.
fn address(reply: &Reply) -> Option<(u32, IpAddr, u8)> {
    if reply.kind != libc::RTM_NEWADDR {
        return None;
    }
    let attrs = reply.attrs(IFADDRMSG);
    let own = attrs.get(libc::IFA_LOCAL).or_else(|| attrs.get(libc::IFA_ADDRESS))?;
    Some((u32_at(&reply.body, 4)?, ip(*reply.body.first()?, own)?, *reply.body.get(1)?))
}

/// Reads RTM_NEWROUTE: one entry per next hop of a unicast route of the main table, else none.
fn routes(reply: &Reply) -> Vec<Route> {
    let attrs = reply.attrs(RTMSG);
    let (Some(&family), Some(&prefix)) = (reply.body.first(), reply.body.get(1)) else { return Vec::new() };
    let unicast = reply.kind == libc::RTM_NEWROUTE
        && reply.body.get(7) == Some(&libc::RTN_UNICAST)
        && attrs.number(libc::RTA_TABLE) == Some(u32::from(libc::RT_TABLE_MAIN));
    let unspecified: &[u8] = if family == AF_INET { &[0; 4] } else { &[0; 16] };
    let destination = ip(family, attrs.get(libc::RTA_DST).unwrap_or(unspecified));
    let Some(destination) = destination.filter(|_| unicast) else { return Vec::new() };
    let metric = attrs.number(libc::RTA_PRIORITY).unwrap_or(0);
    let route = |index: u32, hop: &Attrs<'_>| {
        let gateway = hop.get(libc::RTA_GATEWAY).and_then(|gateway| ip(family, gateway));
        // struct rtvia: family, address.
        let via = hop.get(RTA_VIA).and_then(|via| ip(*via.first()?, via.get(2..)?));
        Route { destination: (destination, prefix), index, gateway: gateway.or(via), metric }
    };
    if let Some(index) = attrs.number(libc::RTA_OIF) {
        return vec![route(index, &attrs)];
    }
    let mut hops = attrs.get(libc::RTA_MULTIPATH).unwrap_or_default();
    let mut routes = Vec::new();
    // struct rtnexthop: length (with its attributes), flags, hops, index.
    while let Some((length, index)) = u16_at(hops, 0).zip(u32_at(hops, 4)) {
        let Some(inner) = hops.get(RTNEXTHOP..usize::from(length)) else { break };
        routes.push(route(index, &Attrs(inner)));
        hops = hops.get(super::message::aligned(usize::from(length))..).unwrap_or_default();
    }
    routes
}

/// Reads RTM_NEWNEIGH; `None` for other messages, and for a neighbour whose hardware address is not known.
pub(super) fn neighbour(reply: &Reply) -> Option<Neighbour> {
    if reply.kind != libc::RTM_NEWNEIGH {
        return None;
    }
    // struct ndmsg: family, padding, index, state.
    let state = u16_at(&reply.body, 8).filter(|state| state & NUD_KNOWN != 0)?;
    let attrs = reply.attrs(NDMSG);
    let mac = attrs.get(NDA_LLADDR).map(mac).filter(|mac| !mac.is_empty())?;
    let address = ip(*reply.body.first()?, attrs.get(NDA_DST)?)?;
    Some(Neighbour { index: u32_at(&reply.body, 4)?, address, mac, permanent: state & NUD_PERMANENT != 0 })
}

/// An address in network order.
fn ip(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
        AF_INET6 => <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
        _ => None,
    }
}

/// `struct rtmsg`: all routes of a family.
fn rtmsg(family: u8) -> [u8; RTMSG] {
    let mut body = [0; RTMSG];
    body[0] = family;
    body
}

/// `struct ifinfomsg`: a device by index (0: by name), and flags to set.
pub(super) fn ifinfomsg(index: u32, flags: u32) -> Vec<u8> {
    [0, index, flags, flags].map(u32::to_ne_bytes).concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply(message: &Message) -> Reply {
        let bytes = message.finish(1).unwrap();
        Reply::split(&bytes).unwrap().0
    }

    #[test]
    fn every_next_hop_of_a_multipath_default_route_is_listed() {
        let hop = |index: u32, kind: u16, gateway: &[u8]| {
            let length = u16::try_from(4 + gateway.len()).unwrap();
            let attr = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), gateway].concat();
            [&(length + 8).to_ne_bytes()[..], &[0, 0], &index.to_ne_bytes(), &attr].concat()
        };
        let ipv6: Ipv6Addr = "fe80::1".parse().unwrap();
        let via = [&u16::from(AF_INET6).to_ne_bytes()[..], &ipv6.octets()].concat();
        let hops = [hop(2, libc::RTA_GATEWAY, &[10, 0, 0, 1]), hop(3, libc::RTA_GATEWAY, &[10, 0, 1, 1])];
        let hops = [&hops.concat()[..], &hop(4, RTA_VIA, &via)].concat();
        let body = [2, 0, 0, 0, 254, 0, 0, libc::RTN_UNICAST, 0, 0, 0, 0];
        let message = Message::new(libc::RTM_NEWROUTE, 0, &body)
            .number(libc::RTA_TABLE, 254)
            .number(libc::RTA_PRIORITY, 100)
            .attr(libc::RTA_MULTIPATH, &hops);
        let route =
            |index, gateway: IpAddr| Route { index, gateway: Some(gateway), metric: 100, ..Route::default() };
        let expected =
            [route(2, [10, 0, 0, 1].into()), route(3, [10, 0, 1, 1].into()), route(4, ipv6.into())];
        assert_eq!(routes(&reply(&message)), expected);
    }

    #[test]
    fn neighbours_without_an_address_are_left_out() {
        let message = |state: u16, mac: &[u8]| {
            let body = [&[AF_INET, 0, 0, 0][..], &7u32.to_ne_bytes(), &state.to_ne_bytes(), &[0, 1]].concat();
            let message = Message::new(libc::RTM_NEWNEIGH, 0, &body).attr(NDA_DST, &[10, 0, 0, 1]);
            neighbour(&reply(&message.attr(NDA_LLADDR, mac)))
        };
        let known = |permanent| Neighbour {
            index: 7,
            address: Ipv4Addr::new(10, 0, 0, 1).into(),
            mac: "02:00:00:00:00:09".into(),
            permanent,
        };
        let mac = [2, 0, 0, 0, 0, 9];
        assert_eq!(message(NUD_PERMANENT, &mac), Some(known(true)));
        assert_eq!(message(0x04, &mac), Some(known(false)));
        // Incomplete, failed, needs none.
        for state in [0x01, 0x20, 0x40] {
            assert_eq!(message(state, &mac), None);
        }
        assert_eq!(message(0x02, &[0; 6]), None);
        assert_eq!(message(0x02, &mac[..4]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_replies_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..200), multipath in any::<bool>()) {
            let mut body = body;
            if multipath && body.len() > 32 {
                body[..8].copy_from_slice(&[2, 0, 0, 0, 254, 0, 0, libc::RTN_UNICAST]);
                body[12..20].copy_from_slice(&[8, 0, 15, 0, 254, 0, 0, 0]);
                body[20..24].copy_from_slice(&[180, 0, 9, 0]);
            }
            for kind in [libc::RTM_NEWLINK, libc::RTM_NEWADDR, libc::RTM_NEWROUTE, libc::RTM_NEWNEIGH] {
                let reply = Reply { kind, flags: 0, sequence: 1, body: body.clone() };
                let replies = std::slice::from_ref(&reply);
                let _ = read(replies, replies, replies, replies);
            }
        }
    }
}
