//! Which device the guest is connected to, and as what.

use std::fmt;

use crate::error::PlanError;
use crate::input::{DefaultRoute, NamespaceKind, NetDevice, NetFacts, Request};
use crate::launch::Tap;

/// Kinds of devices that carry whole Ethernet frames with an address of their own to the outside. Empty: hardware.
const LAYER2: [&str; 7] = ["", "veth", "macvlan", "netkit", "vlan", "bond", "team"];
/// Kinds that live inside a namespace: they connect its devices with each other, or with a program.
const INTERNAL: [&str; 5] = ["bridge", "ifb", "dummy", "vrf", "vxlan"];
/// IFALIASZ of `linux/if.h` without its NUL.
const ALIAS_BYTES: usize = 255;
/// Suffix of the taps that urunc makes.
const TAP_SUFFIX: &str = "_urunc";

/// Who a tap belongs to, as its interface alias says it: `urunc:<id>:<pid>:<start time>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Container id.
    pub id: String,
    /// Process that holds the tap, in the host's pid namespace.
    pub pid: u32,
    /// Its start time, clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

impl Owner {
    /// Reads an alias; `None` when it is not of this form.
    pub fn parse(alias: &str) -> Option<Self> {
        let (rest, start_time) = alias.strip_prefix("urunc:")?.rsplit_once(':')?;
        let (id, pid) = rest.rsplit_once(':')?;
        Some(Self { id: id.to_owned(), pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "urunc:{}:{}:{}", self.id, self.pid, self.start_time)
    }
}

/// Decides the guest's connection: `None` when the namespace has no device to connect it to.
///
/// `vnet_hdr` says whether the monitor reads and writes the virtio-net header. The tap belongs to `process.user`; a
/// caller that remaps the user overrides `uid` and `gid`.
pub fn tap(req: &Request, net: &NetFacts, vnet_hdr: bool) -> Result<Option<Tap>, PlanError> {
    if net.host_namespace || shares_host_network(req) {
        return if net.devices.is_empty() {
            Ok(None)
        } else {
            Err(refused(
                "the container shares the host's network, whose devices are never redirected to a guest; \
                         give it a network namespace of its own (for no network: one with only lo)",
            ))
        };
    }
    refuse_second_unikernel(net)?;
    let Some(device) = choose(net)? else { return Ok(None) };
    check(device)?;
    let longest = Owner { id: req.id.clone(), pid: u32::MAX, start_time: u64::MAX };
    if longest.to_string().len() > ALIAS_BYTES {
        return Err(refused(format!("container id {}: too long to be recorded as a tap's owner", req.id)));
    }
    Ok(Some(Tap {
        name: free_name(net),
        device: device.name.clone(),
        device_index: device.index,
        mtu: device.mtu,
        uid: req.user.uid,
        gid: req.user.gid,
        vnet_hdr,
        alias: req.id.clone(),
        mac: device.mac.clone(),
        ipv4: device.ipv4.first().copied(),
        gateway: best_route(net, |route| route.index == device.index).and_then(|route| route.gateway),
        nameservers: net.nameservers.clone(),
    }))
}

/// No entry means that the namespace is inherited: the runtime's own.
fn shares_host_network(req: &Request) -> bool {
    let mut entries = req.namespaces.iter().filter(|namespace| namespace.kind == NamespaceKind::Network);
    entries.next().is_none_or(|namespace| namespace.host)
}

/// A tap of ours that a process holds open is a running unikernel; one that nobody holds is a leftover.
fn refuse_second_unikernel(net: &NetFacts) -> Result<(), PlanError> {
    let mut live = net.devices.iter().filter(|device| device.kind == "tun" && device.carrier);
    let owned = live.find_map(|device| Some((device, Owner::parse(&device.alias)?)));
    owned.map_or(Ok(()), |(device, owner)| {
        Err(refused(format!(
            "{} of unikernel {} is already in this network namespace, which carries one unikernel",
            device.name, owner.id
        )))
    })
}

/// The only layer 2 device, or the one of them that has the default route.
fn choose(net: &NetFacts) -> Result<Option<&NetDevice>, PlanError> {
    let route = best_route(net, |_| true);
    let on_route = route.and_then(|route| net.devices.iter().find(|device| device.index == route.index));
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
            let meant = |device: &&NetDevice| !is_internal(device) && (device.up || !device.ipv4.is_empty());
            net.devices.iter().find(meant).map_or(Ok(None), |device| Err(refused(unsuitable(device))))
        }
        [only] => Ok(Some(only)),
        _ => {
            let names = devices.iter().map(|device| device.name.as_str()).collect::<Vec<_>>().join(", ");
            let ambiguous = |why: &str| Err(refused(format!("which of {names} is the guest's? {why}")));
            let (Some(route), Some(device)) = (route, on_route) else {
                return ambiguous("none has the default route");
            };
            if net
                .default_routes
                .iter()
                .any(|other| other.metric == route.metric && other.index != route.index)
            {
                return ambiguous("default routes over several devices have the same metric");
            }
            Ok(Some(device))
        }
    }
}

/// The default route with the lowest metric; the first of equals.
fn best_route(net: &NetFacts, of: impl Fn(&DefaultRoute) -> bool) -> Option<&DefaultRoute> {
    net.default_routes.iter().filter(|route| of(route)).min_by_key(|route| route.metric)
}

fn carries_frames(device: &NetDevice) -> bool {
    LAYER2.contains(&device.kind.as_str()) && !device.mac.is_empty()
}

/// A tun device with a hardware address is a tap.
fn is_internal(device: &NetDevice) -> bool {
    INTERNAL.contains(&device.kind.as_str()) || (device.kind == "tun" && !device.mac.is_empty())
}

fn unsuitable(device: &NetDevice) -> String {
    let NetDevice { name, kind, .. } = device;
    match kind.as_str() {
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

/// What would make the connection fail or be useless.
fn check(device: &NetDevice) -> Result<(), PlanError> {
    let name = &device.name;
    if !device.up {
        return Err(refused(format!("device {name} is down")));
    }
    if device.ingress {
        return Err(refused(format!(
            "device {name} already has an ingress or clsact qdisc of another owner, which is left as it is"
        )));
    }
    Ok(())
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
