//! Network namespaces, tap devices, redirects: synchronous rtnetlink.

mod facts;
mod ipv4;
mod kept;
mod listeners;
mod message;
mod nat;
mod netlink;
mod nft;
mod proxy;
mod redirect;
mod resolver;
mod routed;
mod tap;

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::thread::LinkNameSpaceType::Network;
use rustix::thread::move_into_link_name_space;
use urunc_plan::input::{NatFacts, NetFacts};
use urunc_plan::launch::{Port, Tap};

use crate::error::{Result, SysError};
pub use listeners::listeners;
use netlink::{Answer, Socket};

/// Runs `f` in another network namespace and comes back.
///
/// Only the calling thread moves. A way back that fails is an error whatever `f` returned: the caller is then in the
/// wrong namespace and must end.
pub fn in_namespace<T>(netns: BorrowedFd<'_>, f: impl FnOnce() -> Result<T>) -> Result<T> {
    const OWN: &str = "/proc/thread-self/ns/net";
    let home = rustix::fs::open(OWN, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| SysError::new("open", OWN, errno))?;
    move_into_link_name_space(netns, Some(Network))
        .map_err(|errno| SysError::new("enter", "the container's network namespace", errno))?;
    let outcome = f();
    move_into_link_name_space(home.as_fd(), Some(Network))
        .map_err(|errno| SysError::new("return to", "the runtime's network namespace", errno))?;
    outcome
}

/// Whether two descriptors mean the same namespace (same device and inode of nsfs, namespaces(7)).
pub fn same_namespace(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> Result<bool> {
    Ok(identity(a)? == identity(b)?)
}

/// Whether a file is a namespace at all, and not what has its name now: all namespaces are on one device. `own` is one.
pub fn is_namespace(file: BorrowedFd<'_>, own: BorrowedFd<'_>) -> Result<bool> {
    Ok(identity(file)?.0 == identity(own)?.0)
}

fn identity(fd: BorrowedFd<'_>) -> Result<(u64, u64)> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| SysError::new("stat", "a network namespace", errno))?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Reads what a network namespace holds: every device but loopback, addresses, unicast routes of the main table,
/// neighbours.
///
/// Whether it is the host's, and its nameservers, are not its own to know and stay empty.
pub fn facts(netns: BorrowedFd<'_>) -> Result<NetFacts> {
    facts::gather(&mut in_namespace(netns, Socket::open)?)
}

/// Reads what can rewrite addresses in a network namespace, and the rules of ours there. `iptables` is the program of
/// that name, which is of use where the kernel has no nf_tables.
pub fn nat_facts(netns: BorrowedFd<'_>, iptables: Option<&str>) -> Result<NatFacts> {
    nat::gather(netns, iptables)
}

/// Reads one datagram as the kernel answers request `sequence`: the facts in it, and the devices that redirects of
/// ours in it lead to. `None` when the answer goes on in the next datagram.
///
/// # Errors
/// The kernel's refusal, or EBADMSG for what is no answer.
pub fn parse(datagram: &[u8], sequence: u32) -> Result<Option<(NetFacts, Vec<u32>)>> {
    let mut answer = Answer::to(sequence);
    let whole = answer.take(datagram).map_err(|refusal| refusal.on("read", "netlink answer"))?;
    let replies = &answer.replies;
    let facts = facts::read(replies, replies, replies, replies);
    Ok(whole.then(|| (facts, redirect::targets(replies))))
}

/// Creates the tap and connects it with the container's device, both ways; returns the tap.
///
/// The descriptor is non-blocking and closed on exec. `alias` is the tap's owner record,
/// [`urunc_plan::network::Owner`]. On failure everything is as before; a device whose ingress is in use by others is
/// refused and not touched. A redirect's tap has no address but that of a gateway it answers for: but for questions of
/// names ([`Tap::resolver`]), the container's own stack has no part in the connection. A routed one has the guest's
/// gateway.
///
/// # Errors
/// One that is [`overtaken`] when another start was faster: facts that are read again say so in words.
pub fn connect(netns: BorrowedFd<'_>, tap: &Tap, alias: &str) -> Result<OwnedFd> {
    let (mut socket, fd) = in_namespace(netns, || Ok((Socket::open()?, tap::create(tap)?)))?;
    let device = (tap.device_index, tap.device.as_str());
    facts::exists(&mut socket, device)?;
    for leftover in &tap.leftovers {
        tap::reclaim(&mut socket, leftover)?;
    }
    match &tap.port {
        Port::Redirect => redirected(&mut socket, netns, tap, alias)?,
        Port::Routed(routed) => {
            redirect::release(&mut socket, device, |cookie| resolver::close(netns, cookie))?;
            let index = tap::configure(&mut socket, tap, alias)?;
            routed::connect(&mut socket, netns, (tap, index), routed, alias)?;
        }
    }
    if tap.persistent {
        tap::keep(&fd, tap)?;
    }
    Ok(fd)
}

/// Has [`connect`] failed because another start was faster? Then what it was to make is there: the tap, a qdisc, a filter.
/// What is only opened, or made by this start itself, may be busy for other reasons.
pub fn overtaken(error: &SysError) -> bool {
    const OTHERS: [&str; 6] =
        ["enter", "open", "open netlink socket", "own tap", "return to", "set offloads of"];
    let there = matches!(error.source.kind(), ErrorKind::AlreadyExists | ErrorKind::ResourceBusy);
    there && !OTHERS.contains(&error.op)
}

fn redirected(socket: &mut Socket, netns: BorrowedFd<'_>, tap: &Tap, alias: &str) -> Result<()> {
    let device = (tap.device_index, tap.device.as_str());
    redirect::reclaim(socket, device, |cookie| resolver::close(netns, cookie))?;
    let gateway = proxy::address(netns, device, tap)?;
    let cookie = redirect::cookie(&tap.alias);
    let index = tap::configure(socket, tap, alias)?;
    redirect::add(socket, (index, &tap.name), tap.device_index, &cookie)?;
    if let Some(mac) = gateway {
        proxy::answer(socket, index, tap, mac)?;
    }
    if let Some(resolver) = &tap.resolver {
        resolver::prepare(socket, index, tap, resolver)?;
    }
    // Last, because these outlive the tap: up to here the end of its descriptor undoes everything.
    redirect::add(socket, device, index, &cookie)?;
    if let Some(resolver) = &tap.resolver {
        resolver::open(netns, socket, (index, &cookie), tap, resolver).inspect_err(|_| {
            // The first error is the one to report.
            let _ = redirect::remove(socket, device, &cookie);
        })?;
    }
    Ok(())
}

/// Undoes [`connect`], or what an interrupted one left; also when the tap or the device is gone already.
///
/// Only what carries this container's mark is removed, and an ingress qdisc without filters on the planned device:
/// the mark is on the filter, so an interruption between the two leaves such a one. Doing it again changes nothing.
pub fn disconnect(netns: BorrowedFd<'_>, tap: &Tap) -> Result<()> {
    let mut socket = in_namespace(netns, Socket::open)?;
    match &tap.port {
        Port::Redirect => {
            let cookie = redirect::cookie(&tap.alias);
            if tap.resolver.is_some() {
                // Before the redirect, by which a later start knows that there are rules.
                resolver::close(netns, &cookie)?;
            }
            redirect::remove(&mut socket, (tap.device_index, &tap.device), &cookie)?;
        }
        Port::Routed(routed) => routed::disconnect(&mut socket, netns, tap, routed)?,
    }
    tap::remove(&mut socket, tap)
}
