//! Packet filters of a network namespace: tables, chains and rules of nf_tables.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink};

use crate::links::{attributes, dump, text};

/// Messages of linux/netfilter/nf_tables.h, in the subsystem 10: the GET request, its answer is the type minus one.
const GETTABLE: u16 = 10 << 8 | 1;
const GETCHAIN: u16 = 10 << 8 | 4;
const GETRULE: u16 = 10 << 8 | 7;
/// Size of `struct nfgenmsg`; its first byte is the family, 0 asks for all.
const HEADER: usize = 4;

/// One line per object of the current network namespace; a kernel without nf_tables has none.
pub(crate) fn describe() -> Vec<String> {
    let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
    let Ok(socket) = rustix::net::socket_with(family, SocketType::RAW, flags, Some(netlink::NETFILTER))
    else {
        return Vec::new();
    };
    let tables = list(&socket, GETTABLE, |name| format!("table {}", name(1)));
    let chains = list(&socket, GETCHAIN, |name| format!("chain {} of table {}", name(3), name(1)));
    let rules = list(&socket, GETRULE, |name| format!("rule in chain {} of table {}", name(2), name(1)));
    [tables, chains, numbered(&rules)].concat()
}

/// `line` makes it from the text attributes of an object.
fn list(socket: &OwnedFd, request: u16, line: impl Fn(&dyn Fn(u16) -> String) -> String) -> Vec<String> {
    let objects = dump(socket, (request, request - 1), &[0; HEADER]);
    let described = objects.iter().map(|object| {
        let attributes = attributes(object, HEADER);
        let name = |kind| attributes.get(&kind).map(|value| text(value)).unwrap_or_default();
        format!("family {} {}", object.first().copied().unwrap_or_default(), line(&name))
    });
    described.collect()
}

/// Rules have no names: each is counted within its chain.
fn numbered(rules: &[String]) -> Vec<String> {
    let number = |at: usize, rule: &String| rules.iter().take(at).filter(|other| *other == rule).count();
    rules.iter().enumerate().map(|(at, rule)| format!("{rule}, number {}", number(at, rule))).collect()
}
