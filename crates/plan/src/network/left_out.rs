//! What the container has and the guest does not get.

use super::device::is_connectable;
use crate::error::excerpt;
use crate::input::{NetDevice, NetFacts, Route};
use crate::launch::{Notice, Port, Tap};

/// Most entries of the notice.
const SHOWN: usize = 5;

/// Other devices, other addresses, and routes by other gateways.
///
/// A guest behind the container's address reaches all of it, but for nameservers.
pub fn left_out(net: &NetFacts, tap: &Tap) -> Option<Notice> {
    let mut left = if tap.port == Port::Redirect { beside(net, tap) } else { Vec::new() };
    left.extend(nameservers(net, tap));
    if left.is_empty() {
        return None;
    }
    if left.len() > SHOWN {
        let more = left.split_off(SHOWN - 1).len();
        left.push(format!("{more} more"));
    }
    let text = format!("the guest does not get {}", left.join(", "));
    Some(Notice { warn: false, text })
}

fn beside(net: &NetFacts, tap: &Tap) -> Vec<String> {
    let (own, others): (Vec<_>, Vec<_>) =
        net.devices.iter().partition(|device| device.index == tap.device_index);
    let others = others.into_iter().filter(|device| is_connectable(device));
    let left = own.iter().flat_map(|device| addresses(device, tap));
    let left = left.chain(others.map(|device| format!("device {}", excerpt(&device.name))));
    left.chain(routes(net, tap)).collect()
}

fn addresses(device: &NetDevice, tap: &Tap) -> Vec<String> {
    let ipv4 = device.ipv4.iter().filter(|own| Some(**own) != tap.ipv4);
    let ipv6 = device.ipv6.iter().filter(|own| Some(**own) != tap.ipv6 && !own.0.is_unicast_link_local());
    let ipv4 = ipv4.map(|(address, prefix)| format!("address {address}/{prefix}"));
    ipv4.chain(ipv6.map(|(address, prefix)| format!("address {address}/{prefix}"))).collect()
}

fn routes(net: &NetFacts, tap: &Tap) -> impl Iterator<Item = String> {
    let routes =
        net.routes.iter().filter(|route| route.index == tap.device_index && route.destination.1 != 0);
    routes.filter_map(|Route { destination: (address, prefix), gateway, .. }| {
        Some(format!("route {address}/{prefix} by {}", (*gateway)?))
    })
}

/// Those that the guest can neither ask nor is led to.
fn nameservers(net: &NetFacts, tap: &Tap) -> impl Iterator<Item = String> {
    let led = tap.resolver.as_ref().map(|resolver| resolver.address.to_string());
    let left = net
        .nameservers
        .iter()
        .filter(move |server| !tap.nameservers.contains(server) && led.as_deref() != Some(server.as_str()));
    left.map(|server| format!("nameserver {}", excerpt(server)))
}
