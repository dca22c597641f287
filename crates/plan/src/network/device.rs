//! Which device of the namespace is the guest's.

use super::{default_routes, refused};
use crate::PlanError;
use crate::error::excerpt;
use crate::input::{Ingress, NetDevice, NetFacts, Route};

/// Kinds of devices that carry whole Ethernet frames with an address of their own to the outside. Empty: hardware.
const LAYER2: [&str; 7] = ["", "veth", "macvlan", "netkit", "vlan", "bond", "team"];
/// Kinds that live inside a namespace: they connect its devices with each other, or with a program.
const INTERNAL: [&str; 5] = ["bridge", "ifb", "dummy", "vrf", "vxlan"];
/// Every host must be able to receive an IPv4 datagram of this size (RFC 791, section 3.2); no network of an engine is
/// as narrow.
const LEAST_MTU: u32 = 576;

/// The only layer 2 device, or the one of them that has the default route.
///
/// As in Linux, the default route with the lowest metric counts, that of IPv4 before that of IPv6. Where Linux takes
/// the first of two with the same metric, their order says nothing about which device is meant: refused.
pub(super) fn choose(net: &NetFacts) -> Result<Option<&NetDevice>, PlanError> {
    let routes = [true, false].map(|ipv4| default_routes(net, ipv4));
    let on_route = routes.iter().find_map(|routes| routes.first());
    let on_route = on_route.and_then(|route| net.devices.iter().find(|device| device.index == route.index));
    if let Some(device) = on_route.filter(|device| !carries_frames(device)) {
        return Err(refused(unsuitable(device)));
    }
    let mut devices: Vec<&NetDevice> = net.devices.iter().filter(|device| carries_frames(device)).collect();
    if devices.iter().any(|device| device.up) {
        devices.retain(|device| device.up);
    }
    match devices[..] {
        [] => {
            // Fallback devices like tunl0 and sit0 are in every namespace, down and without an address.
            let meant = |device: &&NetDevice| {
                let addressed = !device.ipv4.is_empty() || !device.ipv6.is_empty();
                !is_internal(device) && (device.up || addressed)
            };
            net.devices.iter().find(meant).map_or(Ok(None), |device| Err(refused(unsuitable(device))))
        }
        [only] => Ok(Some(only)),
        _ => one_of(&devices, on_route, &routes).map(Some),
    }
}

fn one_of<'a>(
    devices: &[&'a NetDevice],
    on_route: Option<&'a NetDevice>,
    routes: &[Vec<&Route>; 2],
) -> Result<&'a NetDevice, PlanError> {
    let names = devices.iter().map(|device| device.name.as_str()).collect::<Vec<_>>().join(", ");
    let ambiguous = |why: &str| refused(format!("which of {} is the guest's? {why}", excerpt(&names)));
    let routes = routes.iter().find(|routes| !routes.is_empty()).map_or(&[][..], Vec::as_slice);
    let equal = |other: &&Route| routes.first().is_some_and(|best| best.metric == other.metric);
    let Some(device) = on_route else { return Err(ambiguous("none has the default route")) };
    if routes.iter().copied().filter(equal).any(|route| route.index != device.index) {
        return Err(ambiguous("default routes over several devices have the same metric"));
    }
    Ok(device)
}

/// A guest could be connected to it.
pub(super) fn is_connectable(device: &NetDevice) -> bool {
    device.up && carries_frames(device)
}

fn carries_frames(device: &NetDevice) -> bool {
    LAYER2.contains(&device.kind.as_str()) && !device.mac.is_empty()
}

/// A tun device with a hardware address is a tap.
fn is_internal(device: &NetDevice) -> bool {
    INTERNAL.contains(&device.kind.as_str()) || (device.kind == "tun" && !device.mac.is_empty())
}

fn unsuitable(device: &NetDevice) -> String {
    let (name, kind) = (excerpt(&device.name), excerpt(&device.kind));
    match device.kind.as_str() {
        "ipvlan" | "ipvtap" => {
            format!(
                "device {name} is an {kind}, which shares its parent's hardware address; use macvlan or veth"
            )
        }
        _ if device.mac.is_empty() => {
            format!(
                "device {name} ({kind}) carries no Ethernet frames; a guest needs veth, macvlan or netkit in L2 mode"
            )
        }
        _ => format!("device {name} is a {kind}; a guest can be connected to veth, macvlan or netkit"),
    }
}

/// What would make any connection fail or be useless.
pub(super) fn check(device: &NetDevice, net: &NetFacts) -> Result<(), PlanError> {
    let name = excerpt(&device.name);
    if !device.up {
        return Err(refused(format!("device {name} is down")));
    }
    if device.mtu < LEAST_MTU {
        return Err(refused(format!(
            "device {name} has an MTU of {}, a guest needs at least {LEAST_MTU}",
            device.mtu
        )));
    }
    let over = |route: &Route| route.index == device.index && route.destination.0.is_ipv4();
    match device.ipv4.first() {
        Some((address, _)) if !net.routes.iter().any(over) => Err(refused(format!(
            "device {name} has the address {address}, but no route leads over it; nothing could be reached"
        ))),
        _ => Ok(()),
    }
}

/// What keeps a redirect from the device. `reclaimed` are the devices that are removed first.
pub(super) fn check_ingress(device: &NetDevice, net: &NetFacts, reclaimed: &[u32]) -> Result<(), PlanError> {
    let name = excerpt(&device.name);
    match device.ingress {
        Ingress::Foreign => Err(refused(format!(
            "device {name} already has an ingress or clsact qdisc of another owner, which is left as it is"
        ))),
        // A device that is not there has gone since.
        Ingress::Redirect(target) if !reclaimed.contains(&target) => {
            let led = net.devices.iter().find(|other| other.index == target);
            led.map_or(Ok(()), |led| {
                let led = excerpt(&led.name);
                Err(refused(format!("device {name} is already redirected to {led}, by another start")))
            })
        }
        _ => Ok(()),
    }
}
