//! `state`: the truth about one container.

use std::collections::BTreeMap;

use urunc_sys::process::Stat;

use crate::cli::Global;
use crate::state::{Container, Life};
use crate::table::{self, ContainerState};
use crate::{exit, signals};

/// The command: runc's fields as indented JSON.
///
/// # Errors
/// Unknown container.
pub fn run(global: &Global, id: &str) -> anyhow::Result<u8> {
    let (_, container) = super::existing(global, id)?;
    super::print(&table::state(&describe(&container)?)?)?;
    Ok(0)
}

/// OCI state and runc's additions: rootfs, created, owner.
///
/// # Errors
/// The state files are damaged.
pub fn describe(container: &Container) -> anyhow::Result<ContainerState> {
    let (record, mut status) = (container.record()?, container.status()?);
    let (mut life, mut process) = container.look(&status)?;
    if status.pid == 0 && life == Life::Stopped {
        // Nobody is at work any more: either `create` died, or it has ended since the status was read.
        status = container.status()?;
        (life, process) = container.look(&status)?;
    }
    let mut annotations = record.annotations;
    annotations.extend(ours(container, life, process.as_ref()));
    Ok(ContainerState {
        oci_version: record.oci_version,
        id: container.id.clone(),
        pid: if life == Life::Stopped { 0 } else { status.pid },
        status: life.name().to_owned(),
        bundle: record.bundle.display().to_string(),
        rootfs: record.rootfs.display().to_string(),
        created: record.created,
        annotations,
        owner: String::new(),
    })
}

/// What we add: the plan's own annotations and, once stopped, the signal that was sent and what is known of the end.
fn ours(container: &Container, life: Life, process: Option<&Stat>) -> BTreeMap<String, String> {
    let plan = container.plan().ok();
    let mut annotations = plan.as_ref().map(|plan| plan.annotations.clone()).unwrap_or_default();
    let stopped = life == Life::Stopped;
    if let Some(signal) = container.signal().filter(|_| stopped) {
        annotations.insert("com.urunc.state.signal".into(), signals::name(signal));
    }
    if let Some(exit) = stopped.then(|| exit::known(container, plan.as_ref(), process)).flatten() {
        annotations.insert("com.urunc.state.exit.cause".into(), exit.cause);
        annotations.insert("com.urunc.state.exit.status".into(), exit.status.to_string());
        if !exit.detail.is_empty() {
            annotations.insert("com.urunc.state.exit.detail".into(), exit.detail);
        }
    }
    annotations
}
