//! What a network namespace holds: devices, addresses, default routes.

use std::net::Ipv4Addr;

use urunc_plan::input::{DefaultRoute, NetDevice, NetFacts};

use super::message::{Attrs, Message, NLM_F_DUMP, Reply, u16_at, u32_at};
use super::netlink::Socket;
use super::redirect;
use crate::error::Result;

/// Sizes of the fixed structures: ifinfomsg, ifaddrmsg, rtmsg, rtnexthop.
const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;
const RTMSG: usize = 12;
const RTNEXTHOP: usize = 8;
/// `linux/if_link.h`, `linux/if.h`.
const IFLA_INFO_KIND: u16 = 1;
const IFF_LOWER_UP: u32 = 1 << 16;

/// Reads the namespace that `socket` belongs to.
pub(super) fn gather(socket: &mut Socket) -> Result<NetFacts> {
    let inet = u8::try_from(libc::AF_INET).unwrap_or_default();
    let mut dump = |kind: u16, body: &[u8], what: &str| {
        socket.call(&Message::new(kind, NLM_F_DUMP, body)).map_err(|refusal| refusal.on("list", what))
    };
    let links = dump(libc::RTM_GETLINK, &ifinfomsg(0, 0), "network devices")?;
    let addresses = dump(libc::RTM_GETADDR, &[inet, 0, 0, 0, 0, 0, 0, 0], "addresses")?;
    let routes = dump(libc::RTM_GETROUTE, &[inet, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "routes")?;
    let occupied = redirect::occupied(socket).map_err(|refusal| refusal.on("list", "ingress qdiscs"))?;
    let mut facts = read(&links, &addresses, &routes);
    for device in &mut facts.devices {
        device.ingress = occupied.contains(&device.index);
    }
    Ok(facts)
}

/// What the replies to the three dumps say; ingresses are still to be looked at.
pub(super) fn read(links: &[Reply], addresses: &[Reply], routes: &[Reply]) -> NetFacts {
    let mut devices: Vec<NetDevice> = links.iter().filter_map(device).collect();
    for device in &mut devices {
        device.ipv4 = addresses.iter().filter_map(|reply| address(reply, device.index)).collect();
    }
    let default_routes = routes.iter().flat_map(default_routes).collect();
    NetFacts { devices, default_routes, ..NetFacts::default() }
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
        ingress: false,
        ipv4: Vec::new(),
    })
}

/// `aa:bb:cc:dd:ee:ff`; empty for an address that is none (a device in layer 3 mode has only zeros).
fn mac(bytes: &[u8]) -> String {
    if bytes.len() != 6 || bytes.iter().all(|&byte| byte == 0) {
        return String::new();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Reads RTM_NEWADDR of one device: its own address (on a point-to-point link IFA_ADDRESS is the peer's).
fn address(reply: &Reply, index: u32) -> Option<(Ipv4Addr, u8)> {
    if reply.kind != libc::RTM_NEWADDR || u32_at(&reply.body, 4)? != index {
        return None;
    }
    let attrs = reply.attrs(IFADDRMSG);
    let own = attrs.get(libc::IFA_LOCAL).or_else(|| attrs.get(libc::IFA_ADDRESS))?;
    Some((ipv4(own)?, *reply.body.get(1)?))
}

/// Reads RTM_NEWROUTE: one entry per next hop of a default route of the main table, else none.
fn default_routes(reply: &Reply) -> Vec<DefaultRoute> {
    let attrs = reply.attrs(RTMSG);
    let table = attrs.number(libc::RTA_TABLE);
    let unicast_default = reply.kind == libc::RTM_NEWROUTE
        && reply.body.get(1) == Some(&0)
        && reply.body.get(7) == Some(&libc::RTN_UNICAST)
        && table == Some(u32::from(libc::RT_TABLE_MAIN));
    if !unicast_default {
        return Vec::new();
    }
    let metric = attrs.number(libc::RTA_PRIORITY).unwrap_or(0);
    let gateway = |hop: &Attrs<'_>| hop.get(libc::RTA_GATEWAY).and_then(ipv4);
    if let Some(index) = attrs.number(libc::RTA_OIF) {
        return vec![DefaultRoute { index, gateway: gateway(&attrs), metric }];
    }
    let mut hops = attrs.get(libc::RTA_MULTIPATH).unwrap_or_default();
    let mut routes = Vec::new();
    // struct rtnexthop: length (with its attributes), flags, hops, index.
    while let Some((length, index)) = u16_at(hops, 0).zip(u32_at(hops, 4)) {
        let Some(inner) = hops.get(RTNEXTHOP..usize::from(length)) else { break };
        routes.push(DefaultRoute { index, gateway: gateway(&Attrs(inner)), metric });
        hops = hops.get(super::message::aligned(usize::from(length))..).unwrap_or_default();
    }
    routes
}

fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}

/// `struct ifinfomsg`: a device by index (0: by name), and flags to set.
pub(super) fn ifinfomsg(index: u32, flags: u32) -> Vec<u8> {
    [0, index, flags, flags].map(u32::to_ne_bytes).concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_next_hop_of_a_multipath_default_route_is_listed() {
        let hop = |index: u32, gateway: [u8; 4]| {
            let attr = [&8u16.to_ne_bytes()[..], &libc::RTA_GATEWAY.to_ne_bytes(), &gateway].concat();
            [&16u16.to_ne_bytes()[..], &[0, 0], &index.to_ne_bytes(), &attr].concat()
        };
        let hops = [hop(2, [10, 0, 0, 1]), hop(3, [10, 0, 1, 1])].concat();
        let body = [2, 0, 0, 0, 254, 0, 0, libc::RTN_UNICAST, 0, 0, 0, 0];
        let message = Message::new(libc::RTM_NEWROUTE, 0, &body)
            .number(libc::RTA_TABLE, 254)
            .number(libc::RTA_PRIORITY, 100)
            .attr(libc::RTA_MULTIPATH, &hops);
        let bytes = message.finish(1).unwrap();
        let (reply, _) = Reply::split(&bytes).unwrap();
        let route = |index, last: [u8; 4]| DefaultRoute { index, gateway: Some(last.into()), metric: 100 };
        assert_eq!(default_routes(&reply), [route(2, [10, 0, 0, 1]), route(3, [10, 0, 1, 1])]);
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
            for kind in [libc::RTM_NEWLINK, libc::RTM_NEWADDR, libc::RTM_NEWROUTE] {
                let reply = Reply { kind, flags: 0, sequence: 1, body: body.clone() };
                let _ = (device(&reply), address(&reply, 1), default_routes(&reply));
            }
        }
    }
}
