//! Takes back what a plan did: from the plan alone, idempotent, never by name outside it.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, bail};
use urunc_plan::LaunchPlan;
use urunc_plan::input::{NamespaceKind, Request};
use urunc_plan::undo::{Undo, undo};
use urunc_sys::{cgroup, net, process, systemd};

use crate::network;
use crate::state::{Container, Store};

/// Longest wait for a killed process, which may sit in an uninterruptible call.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most processes end sooner; one that does not may be frozen.
const SOON: Duration = Duration::from_millis(20);

/// Kills a container's process, even a frozen one, and waits until it is gone.
///
/// # Errors
/// It does not end.
pub fn kill(container: &Container, pidfd: BorrowedFd<'_>) -> anyhow::Result<()> {
    process::kill(pidfd)?;
    if process::wait_readable(&[pidfd], Some(SOON))? == [true] {
        return Ok(());
    }
    if let Ok(plan) = container.plan() {
        cgroup::thaw(&plan.cgroup);
    }
    if process::wait_readable(&[pidfd], Some(PATIENCE))? == [true] {
        return Ok(());
    }
    bail!("the container's process does not end")
}

/// The container's network namespace: of its live process, or by the path of config.json. `None` when neither is there,
/// or when the path means something else by now: a plain file, or by a recycled pid the host's own.
///
/// # Errors
/// It is there and cannot be opened: what we put into it would stay.
pub fn network_namespace(process: Option<i32>, request: &Request) -> anyhow::Result<Option<OwnedFd>> {
    let entry = request.namespaces.iter().find(|entry| entry.kind == NamespaceKind::Network);
    let given = entry.and_then(|entry| entry.path.clone());
    let live = process.map(|pid| format!("/proc/{pid}/ns/net"));
    for path in live.into_iter().chain(given) {
        match std::fs::File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => {
                let found: OwnedFd = opened.context(path)?.into();
                if network::is_containers(&found)? {
                    return Ok(Some(found));
                }
            }
        }
    }
    Ok(None)
}

/// Takes back everything a plan did, of a container whose process is gone.
///
/// # Errors
/// The first thing that could not be taken back; the others are all the same.
pub fn apply(plan: &LaunchPlan, netns: Option<&OwnedFd>) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    for step in undo(plan) {
        let done = match step {
            // A network namespace that nobody can name any more is gone, and the tap with it.
            Undo::Network(tap) => netns.map_or(Ok(()), |netns| net::disconnect(netns.as_fd(), tap)),
            Undo::Cgroup(group) => cgroup::remove(group),
            Undo::Scope(scope) => {
                // Its directory is gone: systemd forgets it by itself, only later.
                systemd::stop_scope(scope).unwrap_or_else(|error| {
                    log::warn!("systemd does not say that it stopped: {:#}", anyhow::Error::from(error));
                });
                Ok(())
            }
        };
        outcome = outcome.and(done);
    }
    Ok(outcome?)
}

/// Takes back the intent alone.
pub fn intent(store: &Store, container: &Container) {
    if let Err(error) = container.remove(store) {
        log::warn!("not undone: {error:#}");
    }
}
