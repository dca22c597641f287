//! The row about networks: devices, addresses, routes, queues and their filters, packet filters, by netlink(7) dumps.

use crate::{Scope, filters};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};

// Message types of linux/rtnetlink.h: the GET request; its answer is the type minus two.
const GETLINK: u16 = 18;
const GETADDR: u16 = 22;
const GETROUTE: u16 = 26;
const GETQDISC: u16 = 38;
const GETTFILTER: u16 = 46;

const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
/// Parent of filters on the ingress hook, `TC_H_INGRESS` of linux/pkt_sched.h.
const INGRESS: u32 = 0xffff_0000;

/// The caller's own namespace among the named ones.
const OWN: &str = "self";

/// The devices of the caller's network namespace (tagged ones in a narrow scope) and of the named ones.
pub(crate) fn links(scope: &Scope, out: &mut BTreeSet<String>) {
    let whole = scope.netns.iter().any(|name| name == OWN);
    out.extend(describe().into_iter().filter(|line| whole || scope.owns(line)));
    for name in scope.netns.iter().filter(|name| *name != OWN) {
        let Ok(namespace) = File::open(format!("/run/netns/{name}")) else { continue };
        // A thread of its own: the caller's network namespace never changes.
        let lines = std::thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .map(|()| describe())
                .unwrap_or_default()
        });
        out.extend(lines.join().unwrap_or_default().into_iter().map(|line| format!("{name}: {line}")));
    }
}

/// One line per object of the current network namespace, with device names instead of numbers.
fn describe() -> Vec<String> {
    // Protocol 0 of this family is NETLINK_ROUTE.
    let Ok(socket) =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
    else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    let mut names = BTreeMap::new();
    for message in dump(&socket, route(GETLINK), &[0; 16]) {
        let attributes = attributes(&message, 16);
        let text = |kind| attributes.get(&kind).map(|v| text(v)).unwrap_or_default();
        let mtu = attributes.get(&4).map_or(0, |v| number(v, 0));
        // IFF_UP is bit 0 of the flags at offset 8; IFLA_LINKINFO (18) holds the kind as its first attribute.
        let kind =
            attributes.get(&18).map(|v| self::text(v.get(4..).unwrap_or_default())).unwrap_or_default();
        let up = if number(&message, 8) & 1 == 1 { "up" } else { "down" };
        lines.push(format!("device {} {kind} {up} mtu={mtu} alias={}", text(3), text(20)));
        // IFLA_AF_SPEC (26), AF_INET (2), IFLA_INET_CONF (1): an array that begins with IPV4_DEVCONF_FORWARDING.
        let inside = |outer: Option<&Vec<u8>>, kind| self::attributes(outer?, 0).remove(&kind);
        let settings = inside(inside(attributes.get(&26), 2).as_ref(), 1).unwrap_or_default();
        lines.push(format!("device {} forwarding={}", text(3), number(&settings, 0)));
        names.insert(number(&message, 4), text(3));
    }
    let name = |index: u32| names.get(&index).cloned().unwrap_or_else(|| index.to_string());
    for message in dump(&socket, route(GETADDR), &[0; 8]) {
        let local = attributes(&message, 8).get(&1).map(|v| address(v)).unwrap_or_default();
        let prefix = message.get(1).copied().unwrap_or_default();
        lines.push(format!("address {local}/{prefix} on {}", name(number(&message, 4))));
    }
    for message in dump(&socket, route(GETROUTE), &[0; 12]) {
        let attributes = attributes(&message, 12);
        let field = |kind| attributes.get(&kind).map(|v| address(v)).unwrap_or_default();
        let device = attributes.get(&4).map(|v| name(number(v, 0))).unwrap_or_default();
        let prefix = message.get(1).copied().unwrap_or_default();
        let table = attributes.get(&15).map_or(0, |v| number(v, 0));
        lines.push(format!("route {}/{prefix} via {} on {device} table={table}", field(1), field(5)));
    }
    for message in dump(&socket, route(GETQDISC), &[0; 20]) {
        let kind = attributes(&message, 20).get(&1).map(|v| text(v)).unwrap_or_default();
        // An ingress or clsact queue has a fixed handle; the handles of others count up by themselves.
        if matches!(kind.as_str(), "ingress" | "clsact") {
            let index = number(&message, 4);
            lines.push(format!("queue {kind} on {}", name(index)));
            lines.extend(
                filters(&socket, index).into_iter().map(|f| format!("filter {f} on {}", name(index))),
            );
        }
    }
    lines.extend(filters::describe());
    lines
}

/// Filters at the ingress hook of a device: kind, handle and priority.
fn filters(socket: &OwnedFd, index: u32) -> Vec<String> {
    let mut header = [0; 20];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[12..16].copy_from_slice(&INGRESS.to_ne_bytes());
    dump(socket, route(GETTFILTER), &header)
        .iter()
        .map(|m| {
            let kind = attributes(m, 20).get(&1).map(|v| text(v)).unwrap_or_default();
            format!("{kind} handle={:x} priority={}", number(m, 8), number(m, 16) >> 16)
        })
        .collect()
}

/// A request and its answer.
fn route(kind: u16) -> (u16, u16) {
    (kind, kind - 2)
}

/// Sends one dump request; returns the payloads of the answers. An error ends the dump: what is not there is not there.
pub(crate) fn dump(socket: &OwnedFd, (kind, expected): (u16, u16), header: &[u8]) -> Vec<Vec<u8>> {
    let length = u32::try_from(16 + header.len()).unwrap_or_default();
    let mut request = length.to_ne_bytes().to_vec();
    request.extend(kind.to_ne_bytes());
    request.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 8]);
    request.extend(header);
    let mut payloads = Vec::new();
    if rustix::net::send(socket, &request, SendFlags::empty()).is_err() {
        return payloads;
    }
    let mut buffer = vec![0u8; 1 << 16];
    loop {
        let Ok((_, size)) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty()) else {
            return payloads;
        };
        let mut rest = buffer.get(..size).unwrap_or_default();
        while rest.len() >= 16 {
            let length = (number(rest, 0) as usize).clamp(16, rest.len());
            let answer = u16::from_ne_bytes([rest[4], rest[5]]);
            if answer == NLMSG_DONE || answer != expected {
                return payloads;
            }
            payloads.push(rest[16..length].to_vec());
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// Attributes behind the fixed header of a message, by number without the nesting flag.
pub(crate) fn attributes(message: &[u8], header: usize) -> BTreeMap<u16, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut rest = message.get(header..).unwrap_or_default();
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]])).clamp(4, rest.len());
        found.insert(u16::from_ne_bytes([rest[2], rest[3]]) & 0x3fff, rest[4..length].to_vec());
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// An address of either family.
fn address(bytes: &[u8]) -> String {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        Ipv4Addr::from(v4).to_string()
    } else {
        <[u8; 16]>::try_from(bytes).map(|v6| Ipv6Addr::from(v6).to_string()).unwrap_or_default()
    }
}
