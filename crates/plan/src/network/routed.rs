//! The static mode: a guest with an address of its own behind the container's (Knative, whose queue-proxy shares the pod).

use std::net::{IpAddr, Ipv4Addr};

use super::{NatRecord, Owner, refused};
use crate::PlanError;
use crate::error::excerpt;
use crate::input::{NatFacts, NetDevice, NetFacts};
use crate::launch::{Nat, Port, Routed, Tap};

/// Address of the tap; queue-proxy is told the guest's.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 16, 1, 1);
/// Address of the guest.
pub const STATIC_GUEST: Ipv4Addr = Ipv4Addr::new(172, 16, 1, 2);
/// The two and no other: each further address would be one of the pod's network that cannot be reached any more.
const PREFIX: u8 = 30;
/// Name of our table of nf_tables.
pub const TABLE: &str = "urunc-nat";
const CHAIN: &str = "postrouting";
/// Most bytes of a rule's comment, by NFT_USERDATA_MAXLEN without type, length and NUL.
const COMMENT_BYTES: usize = 253;

/// Turns a connection that would redirect the device into one behind it.
pub(super) fn behind(tap: Tap, device: &NetDevice, net: &NetFacts) -> Result<Tap, PlanError> {
    if device.ipv4.is_empty() {
        let name = excerpt(&device.name);
        return Err(refused(format!(
            "device {name} has no IPv4 address, which the static mode hides a guest behind"
        )));
    }
    let longest = Owner { id: tap.alias.clone(), pid: u32::MAX, start_time: u64::MAX };
    let longest = NatRecord { owner: longest, forwarding: Some(u32::MAX) };
    if longest.to_string().len() > COMMENT_BYTES {
        return Err(refused(format!(
            "container id {}: too long to be recorded as a rule's owner",
            tap.alias
        )));
    }
    refuse_overlap(net, &tap.leftovers.iter().map(|tap| tap.name.as_str()).collect::<Vec<_>>())?;
    let (leftovers, switched) = leftovers(&net.nat, device.index)?;
    let routed = Routed {
        address: (GATEWAY, PREFIX),
        nat: translator(&net.nat)?,
        forwarding: !device.forwarding || switched,
        leftovers,
    };
    Ok(Tap {
        port: Port::Routed(routed),
        ipv4: Some((STATIC_GUEST, PREFIX)),
        gateway: Some(GATEWAY),
        ipv6: None,
        gateway6: None,
        ..tap
    })
}

/// The pod's network may hold the two addresses only as part of something larger.
fn refuse_overlap(net: &NetFacts, reclaimed: &[&str]) -> Result<(), PlanError> {
    let ours = |address: IpAddr| matches!(address, IpAddr::V4(address) if in_subnet(address));
    let overlaps = |what: String| {
        refused(format!("{what} is within {GATEWAY}/{PREFIX}, which the static mode needs for the guest"))
    };
    for device in net.devices.iter().filter(|device| !reclaimed.contains(&device.name.as_str())) {
        if let Some((address, _)) = device.ipv4.iter().find(|(address, _)| in_subnet(*address)) {
            return Err(overlaps(format!("address {address} of {}", excerpt(&device.name))));
        }
    }
    let reclaimed = |index: u32| {
        net.devices.iter().any(|device| device.index == index && reclaimed.contains(&device.name.as_str()))
    };
    for route in net.routes.iter().filter(|route| !reclaimed(route.index)) {
        let (destination, prefix) = route.destination;
        if prefix >= PREFIX && ours(destination) {
            return Err(overlaps(format!("route {destination}/{prefix}")));
        }
        if let Some(gateway) = route.gateway.filter(|gateway| ours(*gateway)) {
            return Err(overlaps(format!("gateway {gateway}")));
        }
    }
    Ok(())
}

fn in_subnet(address: Ipv4Addr) -> bool {
    (u32::from(address) ^ u32::from(GATEWAY)) >> (32 - PREFIX) == 0
}

/// Records of rules to remove, and whether one of them has made the device forward.
fn leftovers(nat: &NatFacts, device: u32) -> Result<(Vec<String>, bool), PlanError> {
    let records = nat.rules.iter().map(|rule| (rule, NatRecord::parse(&rule.record)));
    let mut leftovers = Vec::new();
    let mut switched = false;
    for (rule, record) in records {
        let Some(record) = record else { continue };
        if rule.owned {
            let id = excerpt(&record.owner.id);
            return Err(refused(format!(
                "unikernel {id} is already behind this network namespace's address, which carries one"
            )));
        }
        switched |= record.forwarding == Some(device);
        leftovers.push(rule.record.clone());
    }
    Ok((leftovers, switched))
}

fn translator(nat: &NatFacts) -> Result<Nat, PlanError> {
    match (nat.nf_tables, &nat.iptables) {
        (true, _) if nat.foreign => {
            Err(refused(format!("a table ip {TABLE} of another owner is in the way, and is left as it is")))
        }
        (true, _) => Ok(Nat::Nftables { table: TABLE.to_owned(), chain: CHAIN.to_owned() }),
        (false, Some(program)) => Ok(Nat::Iptables { program: program.clone() }),
        (false, None) => Err(refused(
            "the static mode needs nf_tables in the kernel, or the program iptables; there is neither",
        )),
    }
}
