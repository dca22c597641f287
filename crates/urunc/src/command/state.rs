//! `state`: the truth about one container.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cli::Global;
use crate::signals;
use crate::state::{Container, Life};

/// The command: runc's fields as indented JSON.
///
/// # Errors
/// Unknown container.
pub fn run(global: &Global, id: &str) -> anyhow::Result<u8> {
    let (_, container) = super::existing(global, id)?;
    super::print(&format!("{:#}", describe(&container)?))?;
    Ok(0)
}

/// OCI state and runc's additions: rootfs, created, owner.
///
/// # Errors
/// The state files are damaged.
pub fn describe(container: &Container) -> anyhow::Result<Value> {
    let (record, status) = (container.record()?, container.status()?);
    let life = Container::life(&status);
    let mut annotations = record.annotations.clone();
    annotations.extend(ours(container, life));
    Ok(json!({
        "ociVersion": record.oci_version,
        "id": container.id,
        "pid": if life == Life::Stopped { 0 } else { status.pid },
        "status": life.name(),
        "bundle": record.bundle,
        "rootfs": record.rootfs,
        "created": record.created,
        "annotations": annotations,
        "owner": "",
    }))
}

/// What we add: the plan's own annotations and, once stopped, the signal that was sent.
fn ours(container: &Container, life: Life) -> BTreeMap<String, String> {
    let mut annotations = container.plan().map(|plan| plan.annotations).unwrap_or_default();
    if let Some(signal) = container.signal().filter(|_| life == Life::Stopped) {
        annotations.insert("com.urunc.state.signal".into(), signals::name(signal));
    }
    annotations
}
