//! `delete`: undoes the stored plan; needs neither bundle nor image nor monitor.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::bail;
use urunc_plan::{LaunchPlan, NetFacts, decide};
use urunc_sys::process::Stat;

use super::start::printable;
use crate::cli::Global;
use crate::exit;
use crate::hooks::{self, Place};
use crate::network;
use crate::state::{self, Container, Life, Record, Status, Store};
use crate::undo;

/// The command.
///
/// # Errors
/// Unknown (unless forced), or still running.
pub fn run(global: &Global, id: &str, force: bool) -> anyhow::Result<u8> {
    let found = match Store::open(&global.root)? {
        Some(store) => store.find(id)?.map(|container| (container, store)),
        None => None,
    };
    let Some((container, store)) = found else {
        if force {
            return Ok(0);
        }
        bail!("container {id} does not exist");
    };
    if force {
        // Before the lock: a `create` or `start` that holds it then fails and lets go.
        kill_process(&container)?;
    }
    if container.lock(&store)? {
        delete(&store, &container, force)?;
    } else if !force {
        bail!("container {id} does not exist");
    }
    Ok(0)
}

fn kill_process(container: &Container) -> anyhow::Result<()> {
    let process = readable(container.status())?.map_or(Ok(None), |status| Container::process(&status))?;
    process.map_or(Ok(()), |pidfd| undo::kill(container, pidfd.as_fd()))
}

/// Deletes a container whose lock the caller holds.
///
/// # Errors
/// It runs, or something of it is left.
pub fn delete(store: &Store, container: &Container, force: bool) -> anyhow::Result<()> {
    let status = match container.status_if_any() {
        // Its process, if any, is found in its groups.
        Err(error) if force && !state::is_unread(&error) => Status::default(),
        status => status?.unwrap_or_default(),
    };
    let (life, own) = container.look(&status)?;
    if !force && matches!(life, Life::Running | Life::Creating) && status.pid > 0 {
        bail!("cannot delete container {} that is not stopped: {}", container.id, life.name());
    }
    let record = readable(container.record())?;
    let process = Container::process(&status)?;
    let pid = process.as_ref().map(|_| status.pid);
    let netns = record.as_ref().map_or(Ok(None), |record| undo::network_namespace(pid, &record.request))?;
    if let Some(pidfd) = process {
        undo::kill(container, pidfd.as_fd())?;
    }
    let plan = match container.plan_if_any() {
        Err(error) if !state::is_unread(&error) => {
            decided_again(record.as_ref(), netns.as_ref()).map_or(Err(error), |plan| Ok(Some(plan)))
        }
        plan => plan,
    };
    if life == Life::Stopped {
        tell_end(container, plan.as_ref().ok().and_then(Option::as_ref), own.as_ref());
    }
    match plan {
        Ok(Some(plan)) => undo::apply(&plan, netns.as_ref())?,
        Err(error) if !force || state::is_unread(&error) => return Err(error),
        Ok(None) | Err(_) => {}
    }
    if let Some(record) = &record {
        poststop(container, record, &status);
    }
    container.remove(store)
}

/// How it ended, once, and what its guest said last if that was no good end.
fn tell_end(container: &Container, plan: Option<&LaunchPlan>, process: Option<&Stat>) {
    let Some(exit) = exit::known(container, plan, process) else {
        return;
    };
    let detail =
        if exit.detail.is_empty() { String::new() } else { format!(" ({})", printable(&exit.detail)) };
    let last = exit.console.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let last = last.filter(|_| exit.status != 0).map(|line| format!("; its guest said: {}", printable(line)));
    let (id, cause, status) = (&container.id, exit.cause, exit.status);
    log::info!("container {id} ended: {cause}, status {status}{detail}{}", last.unwrap_or_default());
}

/// What a state file says; `None` when it is missing or damaged, which must not keep a container alive.
fn readable<T>(loaded: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match loaded {
        Err(error) if state::is_unread(&error) => Err(error),
        loaded => Ok(loaded.ok()),
    }
}

/// A plan is a function of what was recorded: one that is damaged, or of another release, is decided once more.
fn decided_again(record: Option<&Record>, netns: Option<&OwnedFd>) -> Option<LaunchPlan> {
    let record = record?;
    let facts = netns.and_then(|netns| network::facts(netns, record).ok());
    let plan = |facts: Option<&NetFacts>| decide::plan(&record.request, &record.host, facts);
    plan(facts.as_ref()).or_else(|_| plan(None)).ok()
}

/// poststop hooks cannot stop a delete: their failures are warnings (OCI spec, lifecycle step 13).
pub(crate) fn poststop(container: &Container, record: &Record, status: &Status) {
    if status.pid == 0 || record.hooks.poststop.is_empty() {
        return;
    }
    let state = state::oci_state(&container.id, record, Life::Stopped, 0);
    for error in hooks::run_all("poststop", &record.hooks.poststop, Place::here(&state)) {
        log::warn!("{error:#}");
    }
}
