//! The way from the guest to a nameserver on a loopback address of the namespace.
//!
//! A question leaves the guest for an address beyond its gateway. A filter of the tap keeps it for the namespace's
//! stack, where it becomes one from [`Resolver::asker`] to the nameserver; the answer goes back by the same rules. The
//! nameserver may ask others in turn, from the container's address, which is the guest's as well: what comes from
//! port 53 outside goes to the stack, too, and all that answers no question of the namespace on to the guest.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use urunc_plan::launch::{Resolver, Tap};

use super::facts::AF_INET;
use super::message::{Message, NLM_F_CREATE};
use super::netlink::{Refusal, Socket};
use super::nft::filter::{Family, Priority};
use super::nft::{Batch, Hook};
use super::redirect::Cookie;
use super::{in_namespace, ipv4, kept, proxy};
use crate::error::{Result, SysError};

/// `linux/rtnetlink.h`: the gateway is a neighbour, whatever the routes say.
const RTNH_F_ONLINK: u32 = 4;
const RTPROT_STATIC: u8 = 4;
/// `linux/neighbour.h`.
const NDA_LLADDR: u16 = 2;
const NUD_PERMANENT: u16 = 0x80;
/// Port of the domain name system.
const DNS: u16 = 53;
const UDP: u8 = 17;
const TCP: u8 = 6;

/// What is done to the tap, and ends with it.
pub(super) fn prepare(socket: &mut Socket, index: u32, tap: &Tap, resolver: &Resolver) -> Result<()> {
    let Some((guest, _)) = tap.ipv4 else { return Ok(()) };
    let failed = |refusal: Refusal| refusal.on("lead to the nameserver from", &tap.name);
    ipv4::set(socket, index, &[(ipv4::ROUTE_LOCALNET, 1)]).map_err(failed)?;
    let asker = resolver.asker.octets();
    // struct ndmsg: family, padding, index, state, flags, type.
    let state = NUD_PERMANENT.to_ne_bytes();
    let body = [&[AF_INET, 0, 0, 0][..], &index.to_ne_bytes(), &state, &[0, 0]].concat();
    let neighbour = Message::new(libc::RTM_NEWNEIGH, NLM_F_CREATE, &body).attr(proxy::NDA_DST, &asker);
    socket.call(&neighbour.attr(NDA_LLADDR, &proxy::parsed(&tap.mac)?)).map_err(failed)?;
    // Over itself as a gateway: the neighbour is looked up when the destination is the guest's address again. struct
    // rtmsg: family, prefix lengths, type of service, table, protocol, scope, type, flags.
    let unicast = [libc::RT_TABLE_MAIN, RTPROT_STATIC, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST];
    let body = [&[AF_INET, 32, 0, 0][..], &unicast, &RTNH_F_ONLINK.to_ne_bytes()].concat();
    let route = Message::new(libc::RTM_NEWROUTE, NLM_F_CREATE, &body).attr(libc::RTA_DST, &asker);
    let route = route.attr(libc::RTA_GATEWAY, &asker).number(libc::RTA_OIF, index);
    socket.call(&route).map_err(failed)?;
    kept::questions(socket, index, guest, resolver).map_err(failed)
}

/// What outlives the tap: filters beside the redirect of the container's device, and rules. The filters go with the
/// redirect, the rules by [`close`].
pub(super) fn open(
    netns: BorrowedFd<'_>,
    socket: &mut Socket,
    (index, cookie): (u32, &Cookie),
    tap: &Tap,
    resolver: &Resolver,
) -> Result<()> {
    let Some((guest, _)) = tap.ipv4 else { return Ok(()) };
    let failed = |refusal: Refusal| refusal.on("lead answers to the nameserver from", &tap.device);
    kept::arp_replies(socket, tap.device_index, index).map_err(failed)?;
    kept::answers(socket, tap.device_index, guest).map_err(failed)?;
    close(netns, cookie)?;
    let table = table(cookie);
    let name = (table.as_str(), "nameserver");
    let batch = Batch::default().add_device_table(&table, &tap.name).add_table(&table);
    let batch = batch
        .add_filter(&table, "asker", (Hook::Prerouting, Priority::Raw))
        .add_rule((&table, "asker"), &tap.alias, |rule| rule.input(index).set_source(resolver.asker))
        .add_chain(&table, name.1, Hook::Prerouting);
    let ports = [(UDP, Some(resolver.udp)), (TCP, resolver.tcp)];
    let ports = ports.into_iter().filter_map(|(protocol, port)| Some((protocol, port?)));
    let batch = ports.fold(batch, |batch, (protocol, port)| {
        batch.add_rule(name, &tap.alias, |rule| {
            rule.input(index).port(protocol, DNS).dnat(resolver.address, port)
        })
    });
    let batch = batch
        .add_filter(&table, "guest", (Hook::Prerouting, Priority::Mangle))
        .add_rule((&table, "guest"), &tap.alias, |rule| {
            rule.input(tap.device_index).unasked().divert(resolver.asker, index)
        })
        .add_filter(&table, "answer", (Hook::Postrouting, Priority::Last))
        .add_rule((&table, "answer"), &tap.alias, |rule| rule.output(index).set_destination(guest));
    let rules = |refusal: Refusal| {
        refusal.on("add nf_tables rules for the nameserver", &resolver.address.to_string())
    };
    in_namespace(netns, Socket::open_netfilter)?.commit(&batch).map_err(rules)
}

/// Removes the rules of the container that `cookie` is of, if there are any.
pub(super) fn close(netns: BorrowedFd<'_>, cookie: &Cookie) -> Result<()> {
    let mut socket = match in_namespace(netns, Socket::open_netfilter) {
        Err(SysError { source, .. }) if source.raw_os_error() == Some(libc::EPROTONOSUPPORT) => return Ok(()),
        socket => socket?,
    };
    let table = table(cookie);
    for family in [Family::Ipv4, Family::Device] {
        match socket.commit(&Batch::default().delete_named(family, &table)) {
            // There are none, or the kernel has none at all.
            Err(Refusal { errno: Errno::NOENT | Errno::OPNOTSUPP, .. }) | Ok(()) => {}
            Err(refusal) => return Err(refusal.on("remove nf_tables rules", &table)),
        }
    }
    Ok(())
}

/// Each container has its own, so that none removes another's.
fn table(cookie: &Cookie) -> String {
    let hash = cookie.last_chunk().copied().map_or(0, u64::from_be_bytes);
    format!("urunc-{hash:016x}")
}
