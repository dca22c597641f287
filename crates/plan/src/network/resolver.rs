//! The way to a nameserver on a loopback address of the container's namespace.

use std::net::{IpAddr, Ipv4Addr};

use crate::input::{Listener, NetFacts};
use crate::launch::{Port, Resolver, Tap};

/// What guests are shown: hosts do not take an address of the first 256 for themselves (RFC 3927, section 2.1), and
/// where they are the guest's own network, one that nobody has (RFC 5737).
const SHOWN: [Ipv4Addr; 2] = [Ipv4Addr::new(169, 254, 0, 53), Ipv4Addr::new(192, 0, 2, 53)];
/// Upper halves of the network for benchmarks (RFC 2544, section C.2.2), 198.18.0.0/15.
const ASKERS: [u16; 2] = [0xc612, 0xc613];
/// Port of the domain name system.
const DNS: u16 = 53;

/// Replaces the first nameserver on a loopback address that somebody answers on by an address that the guest can ask,
/// and leaves out the others.
///
/// The address is beyond the guest's gateway, so that the guest asks nobody for it. A guest without IPv4 or without a
/// gateway has no way to such a nameserver; the way is made beside a redirect.
#[must_use]
pub fn resolve(tap: Tap, net: &NetFacts) -> Tap {
    let resolver = tap.nameservers.iter().find_map(|server| way(&tap, loopback(server)?, &net.listeners));
    let shown = |server: String| match (&resolver, loopback(&server)) {
        (Some(resolver), Some(address)) if address == resolver.address => Some(resolver.shown.to_string()),
        _ => Some(server).filter(|server| !server.parse().is_ok_and(|server: IpAddr| server.is_loopback())),
    };
    let nameservers = tap.nameservers.iter().cloned().filter_map(shown).collect();
    Tap { nameservers, resolver, ..tap }
}

fn loopback(server: &str) -> Option<Ipv4Addr> {
    server.parse().ok().filter(Ipv4Addr::is_loopback)
}

fn way(tap: &Tap, address: Ipv4Addr, listeners: &[Listener]) -> Option<Resolver> {
    let (own, prefix) = tap.ipv4.filter(|_| tap.port == Port::Redirect)?;
    tap.gateway?;
    let shown = SHOWN.into_iter().find(|shown| !super::gateway::same_subnet(own, *shown, prefix))?;
    let udp = port(address, false, listeners)?;
    Some(Resolver { shown, asker: asker(own), address, udp, tcp: port(address, true, listeners) })
}

/// Port 53, or the only one on an address that has no other use: Docker listens on any port of 127.0.0.11, and has
/// rules that lead its containers there. On 127.0.0.1 it could be anybody's.
fn port(address: Ipv4Addr, tcp: bool, listeners: &[Listener]) -> Option<u16> {
    let mut own = listeners.iter().filter(|listener| listener.tcp == tcp);
    let here = |listener: &Listener| listener.address == address || listener.address.is_unspecified();
    if own.clone().any(|listener| here(listener) && listener.port == DNS) {
        return Some(DNS);
    }
    let mut ports = own.by_ref().filter(|listener| listener.address == address).map(|listener| listener.port);
    let only = ports.next().filter(|_| address != Ipv4Addr::LOCALHOST)?;
    ports.next().is_none().then_some(only)
}

/// An address whose two halves have the same sum as those of `own`: one in place of the other changes no checksum, of
/// neither the packet nor what it carries (RFC 1071, section 2), and so none has to be made anew.
fn asker(own: Ipv4Addr) -> Ipv4Addr {
    let (high, low) = (u32::from(own) >> 16, u32::from(own) & 0xffff);
    let first = ASKERS.map(u32::from).into_iter().find(|first| *first != high).unwrap_or_default();
    Ipv4Addr::from((first << 16) | ((high + low + 0xffff - first) % 0xffff))
}
