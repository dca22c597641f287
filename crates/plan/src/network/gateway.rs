//! How the guest reaches its gateway.
//!
//! Kubernetes networks have point-to-point addresses (/32) with a gateway outside of them, and some gateways answer no
//! ARP request: the namespace has a permanent neighbour entry for them, which the guest cannot know.

use std::net::Ipv4Addr;

use super::{default_routes, refused};
use crate::PlanError;
use crate::error::excerpt;
use crate::input::{Neighbour, NetFacts};
use crate::launch::{GatewayProxy, Tap};
use crate::machine::Addressing;

/// Adds the help that a guest of this kind needs.
///
/// A guest that takes a gateway of its own subnet only is shown the other address of a /31 pair. That one is lost to
/// nobody: what is sent there goes to the gateway, too, and from there to the address's owner.
///
/// # Errors
/// A default route without a gateway, which no guest can be told.
pub fn reach(tap: Tap, net: &NetFacts, addressing: Addressing) -> Result<Tap, PlanError> {
    let (Some((address, prefix)), false) = (tap.ipv4, addressing == Addressing::Own) else {
        return Ok(tap);
    };
    let Some(gateway) = tap.gateway else {
        return match default_routes(net, true).iter().find(|route| route.index == tap.device_index) {
            None => Ok(tap),
            Some(route) => {
                let device = excerpt(&tap.device);
                let hop = route.gateway.map_or("no gateway".to_owned(), |hop| format!("the gateway {hop}"));
                Err(refused(format!(
                    "the IPv4 default route over {device} has {hop}, a guest needs an IPv4 one"
                )))
            }
        };
    };
    let known = |neighbour: &&Neighbour| neighbour.index == tap.device_index && neighbour.address == gateway;
    let known = net.neighbours.iter().find(known);
    let proxy = if addressing == Addressing::AnyGateway || same_subnet(address, gateway, prefix) {
        let silent = known.filter(|neighbour| neighbour.permanent);
        silent.map(|silent| GatewayProxy { shown: gateway, prefix, gateway, mac: silent.mac.clone() })
    } else {
        let mac = known.map(|neighbour| neighbour.mac.clone()).unwrap_or_default();
        let shown = Ipv4Addr::from(u32::from(address) ^ 1);
        Some(GatewayProxy { shown, prefix: 31, gateway, mac })
    };
    Ok(Tap { proxy, ..tap })
}

fn same_subnet(a: Ipv4Addr, b: Ipv4Addr, prefix: u8) -> bool {
    (u32::from(a) ^ u32::from(b)).leading_zeros() >= prefix.into()
}
