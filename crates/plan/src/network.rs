//! Which device the guest is connected to, and as what.

mod device;
mod gateway;
mod left_out;
mod owner;
mod resolver;
mod routed;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use gateway::reach;
pub use left_out::left_out;
pub use owner::{NatRecord, Owner};
pub use resolver::resolve;
pub use routed::{STATIC_GUEST, TABLE};

use crate::error::{PlanError, excerpt};
use crate::input::{Ingress, NamespaceKind, NetDevice, NetFacts, Request, Route};
use crate::launch::{Leftover, Port, Tap};

/// IFALIASZ of `linux/if.h` without its NUL.
const ALIAS_BYTES: usize = 255;
/// Suffix of the taps that urunc makes.
const TAP_SUFFIX: &str = "_urunc";

/// Decides the guest's connection: `None` when the namespace has no device to connect it to.
///
/// `vnet_hdr` says whether the monitor reads and writes the virtio-net header. The tap belongs to `process.user`; a
/// caller that remaps the user overrides `uid` and `gid`.
///
/// # Errors
/// The host's own network, a second unikernel, and devices that cannot be connected, by name.
pub fn tap(req: &Request, net: &NetFacts, vnet_hdr: bool) -> Result<Option<Tap>, PlanError> {
    if net.host_namespace || shares_host_network(req) {
        return if net.devices.is_empty() || req.host_network {
            Ok(None)
        } else {
            Err(refused(
                "the container shares the host's network, whose devices are never redirected to a guest; give it a \
                 network namespace of its own, or the annotation com.urunc.network.host=allow for no connection",
            ))
        };
    }
    refuse_second_unikernel(net)?;
    let left: Vec<&NetDevice> = net.devices.iter().filter(|device| is_leftover(device)).collect();
    let Some(device) = device::choose(net)? else { return Ok(None) };
    // Of the stack's own frames nobody needs the ingress.
    if !(req.static_network && device.ingress == Ingress::Foreign) {
        device::check_ingress(device, net, &left.iter().map(|tap| tap.index).collect::<Vec<_>>())?;
    }
    device::check(device, net)?;
    let longest = Owner { id: req.id.clone(), pid: u32::MAX, start_time: u64::MAX };
    if longest.to_string().len() > ALIAS_BYTES {
        return Err(refused(format!("container id {}: too long to be recorded as a tap's owner", req.id)));
    }
    let tap = Tap {
        name: free_name(net),
        device: device.name.clone(),
        device_index: device.index,
        port: Port::Redirect,
        mtu: device.mtu,
        uid: req.user.uid,
        gid: req.user.gid,
        vnet_hdr,
        persistent: false,
        alias: req.id.clone(),
        mac: device.mac.clone(),
        ipv4: device.ipv4.first().copied(),
        gateway: gateway(net, device),
        ipv6: device.ipv6.iter().copied().find(|(address, _)| !address.is_unicast_link_local()),
        gateway6: gateway6(net, device),
        nameservers: net.nameservers.clone(),
        resolver: None,
        proxy: None,
        proxy6: None,
        leftovers: left.iter().map(|tap| leftover(tap)).collect(),
    };
    Ok(Some(if req.static_network { routed::behind(tap, device, net)? } else { tap }))
}

/// No entry means that the namespace is inherited: the runtime's own.
fn shares_host_network(req: &Request) -> bool {
    let mut entries = req.namespaces.iter().filter(|namespace| namespace.kind == NamespaceKind::Network);
    entries.next().is_none_or(|namespace| namespace.host)
}

/// A tap of ours whose owner runs and which is held open is a unikernel's.
fn refuse_second_unikernel(net: &NetFacts) -> Result<(), PlanError> {
    let mut live = net.devices.iter().filter(|device| device.owned && device.carrier);
    let live = live.find_map(|device| Some((device, Owner::of(device)?)));
    live.map_or(Ok(()), |(device, owner)| {
        Err(refused(format!(
            "{} of unikernel {} is already in this network namespace, which carries one unikernel",
            excerpt(&device.name),
            excerpt(&owner.id)
        )))
    })
}

fn is_leftover(device: &NetDevice) -> bool {
    !device.owned && Owner::of(device).is_some()
}

fn leftover(device: &NetDevice) -> Leftover {
    Leftover { name: device.name.clone(), alias: device.alias.clone() }
}

/// Default routes of one family, the lowest metric first, else in the kernel's order.
fn default_routes(net: &NetFacts, ipv4: bool) -> Vec<&Route> {
    let is_default = |route: &&Route| route.destination.1 == 0 && route.destination.0.is_ipv4() == ipv4;
    let mut routes: Vec<&Route> = net.routes.iter().filter(is_default).collect();
    routes.sort_by_key(|route| route.metric);
    routes
}

/// Next hop of the device's best default route.
fn next_hop(net: &NetFacts, device: &NetDevice, ipv4: bool) -> Option<IpAddr> {
    default_routes(net, ipv4).into_iter().find(|route| route.index == device.index)?.gateway
}

fn gateway(net: &NetFacts, device: &NetDevice) -> Option<Ipv4Addr> {
    // A route of IPv4 may have a next hop of IPv6 (RFC 5549).
    next_hop(net, device, true).and_then(|hop| if let IpAddr::V4(hop) = hop { Some(hop) } else { None })
}

fn gateway6(net: &NetFacts, device: &NetDevice) -> Option<Ipv6Addr> {
    next_hop(net, device, false).and_then(|hop| if let IpAddr::V6(hop) = hop { Some(hop) } else { None })
}

/// The first `tapN_urunc` that no device has, whoever owns it.
fn free_name(net: &NetFacts) -> String {
    let taken = |name: &String| net.devices.iter().any(|device| device.name == *name);
    let mut names = (0u32..).map(|number| format!("tap{number}{TAP_SUFFIX}"));
    names.find(|name| !taken(name)).unwrap_or_default()
}

fn refused(why: impl Into<String>) -> PlanError {
    PlanError::Network { why: why.into() }
}
