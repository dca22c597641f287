//! The static mode: the namespace's own stack forwards between the tap and the container's device, and the guest's
//! packets leave with the container's address.

use std::io::{Error, ErrorKind};
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use urunc_plan::launch::{Routed, Tap};
use urunc_plan::network::{NatRecord, Owner};

use super::ipv4;
use super::nat::{self, Found};
use super::netlink::{Refusal, Socket};
use crate::error::{Result, SysError};

/// Leads from the tap, whose index is `index`, to the device. `alias` is the owner record.
///
/// What outlives the tap is the rule and the device's forwarding; the rule's comment says whether the latter is ours,
/// and is there before it.
pub(super) fn connect(
    socket: &mut Socket,
    netns: BorrowedFd<'_>,
    (tap, index): (&Tap, u32),
    routed: &Routed,
    alias: &str,
) -> Result<()> {
    let guest = guest(tap)?;
    for leftover in nat::find(netns, &routed.nat)? {
        if routed.leftovers.contains(&leftover.record.to_string()) {
            take_back(socket, netns, (routed, guest), &leftover)?;
        }
    }
    let failed = |refusal: Refusal| refusal.on("route", &tap.name);
    ipv4::add_address(socket, index, routed.address).map_err(failed)?;
    ipv4::forward(socket, index, true).map_err(failed)?;
    let owner = Owner::parse(alias).ok_or_else(|| SysError::new("record owner", alias, Errno::INVAL))?;
    let record = NatRecord { owner, forwarding: routed.forwarding.then_some(tap.device_index) };
    nat::add(netns, &routed.nat, guest, &record)?;
    if routed.forwarding
        && let Err(refusal) = ipv4::forward(socket, tap.device_index, true)
    {
        // The first error is the one to report.
        let _ = disconnect(socket, netns, tap, routed);
        return Err(refusal.on("forward from", &tap.device));
    }
    Ok(())
}

/// Undoes what [`connect`] did beside the tap, if it is still this container's.
pub(super) fn disconnect(
    socket: &mut Socket,
    netns: BorrowedFd<'_>,
    tap: &Tap,
    routed: &Routed,
) -> Result<()> {
    let guest = guest(tap)?;
    for own in nat::find(netns, &routed.nat)?.iter().filter(|found| found.record.owner.id == tap.alias) {
        take_back(socket, netns, (routed, guest), own)?;
    }
    Ok(())
}

/// The rule goes last: it is the record of the rest.
fn take_back(
    socket: &mut Socket,
    netns: BorrowedFd<'_>,
    (routed, guest): (&Routed, Ipv4Addr),
    found: &Found,
) -> Result<()> {
    if let Some(index) = found.record.forwarding {
        match ipv4::forward(socket, index, false) {
            Err(Refusal { errno: Errno::NODEV, .. }) | Ok(()) => {}
            Err(refusal) => return Err(refusal.on("end forwarding from device", &index.to_string())),
        }
    }
    nat::remove(netns, &routed.nat, guest, found)
}

fn guest(tap: &Tap) -> Result<Ipv4Addr> {
    let error = || {
        SysError::new("route", &*tap.name, Error::new(ErrorKind::InvalidInput, "the guest has no address"))
    };
    tap.ipv4.map(|(address, _)| address).ok_or_else(error)
}
