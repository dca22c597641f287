//! How the guest reaches its gateway.
//!
//! Kubernetes networks have point-to-point addresses (/32) with a gateway outside of them, and some gateways answer no
//! ARP request: the namespace has a permanent neighbour entry for them, which the guest cannot know.

use std::net::{IpAddr, Ipv4Addr};

use super::{default_routes, refused};
use crate::PlanError;
use crate::error::excerpt;
use crate::input::{Neighbour, NetFacts};
use crate::launch::{GatewayProxy, GatewayProxy6, Tap};
use crate::machine::Addressing;

/// Adds the help that a guest of this kind needs.
///
/// # Errors
/// A default route without a gateway, which no guest can be told.
pub fn reach(tap: Tap, net: &NetFacts, addressing: Addressing) -> Result<Tap, PlanError> {
    if addressing == Addressing::Own {
        return Ok(tap);
    }
    let (proxy, proxy6) = (proxy(&tap, net, addressing)?, proxy6(&tap, net));
    Ok(Tap { proxy, proxy6, ..tap })
}

/// A guest that takes a gateway of its own subnet only is shown the other address of a /31 pair. That one is lost to
/// nobody: what is sent there goes to the gateway, too, and from there to the address's owner.
fn proxy(tap: &Tap, net: &NetFacts, addressing: Addressing) -> Result<Option<GatewayProxy>, PlanError> {
    let Some((address, prefix)) = tap.ipv4 else { return Ok(None) };
    let Some(gateway) = tap.gateway else { return without_gateway(tap, net).map_or(Ok(None), Err) };
    let known = known(net, tap, gateway.into());
    if addressing == Addressing::AnyGateway || same_subnet(address, gateway, prefix) {
        let silent = known.filter(|neighbour| neighbour.permanent);
        let proxy =
            |silent: &Neighbour| GatewayProxy { shown: gateway, prefix, gateway, mac: silent.mac.clone() };
        return Ok(silent.map(proxy));
    }
    let mac = known.map(|neighbour| neighbour.mac.clone()).unwrap_or_default();
    let shown = Ipv4Addr::from(u32::from(address) ^ 1);
    Ok(Some(GatewayProxy { shown, prefix: 31, gateway, mac }))
}

fn proxy6(tap: &Tap, net: &NetFacts) -> Option<GatewayProxy6> {
    let gateway = tap.ipv6.and(tap.gateway6)?;
    let silent = known(net, tap, gateway.into()).filter(|neighbour| neighbour.permanent)?;
    Some(GatewayProxy6 { gateway, mac: silent.mac.clone() })
}

fn known<'a>(net: &'a NetFacts, tap: &Tap, address: IpAddr) -> Option<&'a Neighbour> {
    let of_tap = |known: &&Neighbour| known.index == tap.device_index && known.address == address;
    net.neighbours.iter().find(of_tap)
}

/// What is wrong with the device's default route, if it has one.
fn without_gateway(tap: &Tap, net: &NetFacts) -> Option<PlanError> {
    let route = default_routes(net, true).into_iter().find(|route| route.index == tap.device_index)?;
    let hop = route.gateway.map_or("no gateway".to_owned(), |hop| format!("the gateway {hop}"));
    let device = excerpt(&tap.device);
    Some(refused(format!("the IPv4 default route over {device} has {hop}, a guest needs an IPv4 one")))
}

pub(super) fn same_subnet(a: Ipv4Addr, b: Ipv4Addr, prefix: u8) -> bool {
    (u32::from(a) ^ u32::from(b)).leading_zeros() >= prefix.into()
}
