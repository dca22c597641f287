//! Step 8 of ARCHITECTURE.md: facts of the container's network, the final plan, the connection.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::Context;
use urunc_plan::error::abridged;
use urunc_plan::input::NatFacts;
use urunc_plan::network::Owner;
use urunc_plan::{LaunchPlan, NetFacts, decide};
use urunc_sys::net;

use crate::facts::monitor;
use crate::state::{Container, Record, Status};

/// The runtime's own namespace, and that of the host's init: guests are connected in neither.
const HOST: [&str; 2] = ["/proc/self/ns/net", "/proc/1/ns/net"];
/// How often another start in the same namespace may be faster. Then there is a unikernel, which the facts show.
const ATTEMPTS: u32 = 4;

/// Decides the final plan, stores it, and connects the guest: the plan and the tap.
///
/// # Errors
/// The planner's refusal, or the step of the connection that failed.
pub fn connect(
    container: &Container,
    record: &Record,
    status: &Status,
    netns: &OwnedFd,
) -> anyhow::Result<(LaunchPlan, Option<OwnedFd>)> {
    let mut attempt = 1;
    loop {
        let plan = decide::plan(&record.request, &record.host, Some(&facts(netns, record)?))?;
        let told = container.plan()?.notices;
        plan.notices.iter().filter(|notice| !told.contains(notice)).for_each(crate::log::notice);
        container.save_plan(&plan)?;
        let Some(tap) = &plan.net else { return Ok((plan, None)) };
        let pid = status.pid.unsigned_abs();
        let owner = Owner { id: tap.alias.clone(), pid, start_time: status.start_time };
        match net::connect(netns.as_fd(), tap, &owner.to_string()) {
            Err(error) if attempt < ATTEMPTS && net::overtaken(&error) => attempt += 1,
            connected => {
                let fd = connected.context("network")?;
                // One at a time may have a tap open.
                let passed = (!tap.persistent).then_some(fd);
                return Ok((plan, passed));
            }
        }
    }
}

/// Facts of the container's network namespace, read as late as possible: engines configure it after create.
///
/// # Errors
/// netlink's.
pub fn facts(netns: &OwnedFd, record: &Record) -> anyhow::Result<NetFacts> {
    let mut facts = net::facts(netns.as_fd()).context("network facts")?;
    facts.host_namespace = is_hosts(netns)?;
    if record.request.static_network && !facts.host_namespace {
        facts.nat = nat_facts(netns).context("network facts")?;
    }
    let resolv = record.request.mounts.iter().find(|mount| mount.destination == "/etc/resolv.conf");
    match resolv.map(|mount| small_file(&mount.source)).transpose() {
        Ok(text) => {
            let text = text.unwrap_or_default();
            let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
            facts.nameservers = servers.map(|server| server.trim().to_owned()).collect();
            let loopback = |server: &String| server.parse().is_ok_and(|server: IpAddr| server.is_loopback());
            if facts.nameservers.iter().any(loopback) && !facts.host_namespace {
                facts.listeners = net::listeners(netns.as_fd()).context("network facts")?;
            }
        }
        Err(error) => {
            let error = abridged(&format!("{error:#}"));
            log::warn!("mounts: /etc/resolv.conf: {error}; the guest is told no nameserver");
        }
    }
    Ok(facts)
}

/// iptables(8) is looked for only where the kernel has no nf_tables.
fn nat_facts(netns: &OwnedFd) -> anyhow::Result<NatFacts> {
    let nat = net::nat_facts(netns.as_fd(), None)?;
    let program = if nat.nf_tables { None } else { monitor::iptables()? };
    program.map_or(Ok(nat), |program| Ok(net::nat_facts(netns.as_fd(), Some(&program))?))
}

/// A network namespace that a guest can have been connected in.
///
/// # Errors
/// It cannot be told from the host's.
pub fn is_containers(file: &OwnedFd) -> anyhow::Result<bool> {
    let own = std::fs::File::open(HOST[0]).context(HOST[0])?;
    Ok(net::is_namespace(file.as_fd(), own.as_fd())? && !is_hosts(file)?)
}

fn is_hosts(netns: &OwnedFd) -> anyhow::Result<bool> {
    for path in HOST {
        let host = match std::fs::File::open(path) {
            // A runtime that is confined may not look at init; its own namespace is then all of the host it can touch.
            Err(error) if path != HOST[0] && error.kind() == ErrorKind::PermissionDenied => continue,
            opened => opened.context(path)?,
        };
        if net::same_namespace(netns.as_fd(), host.as_fd())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A regular file of at most 64 KiB of text: whatever else a mount's source may be neither blocks nor fills memory.
fn small_file(path: &str) -> anyhow::Result<String> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).with_context(|| path.to_owned())?;
    String::from_utf8(urunc_sys::atomic::read_all(fd, path, 1 << 16)?).with_context(|| path.to_owned())
}
