//! `ps`: the processes of a container.

use anyhow::bail;
use urunc_sys::cgroup;

use crate::cli::{Format, Global};
use crate::state::{Container, Life};
use crate::table;

/// The command.
///
/// # Errors
/// Unknown container.
pub fn run(global: &Global, id: &str, format: Format) -> anyhow::Result<u8> {
    let (_, container) = super::existing(global, id)?;
    let status = container.status()?;
    if Container::life(&status) == Life::Stopped && format == Format::Table {
        bail!("container not running");
    }
    let mut pids = cgroup::pids(&container.plan()?.cgroup);
    if Container::process(&status).is_some() && !pids.contains(&status.pid) {
        pids.push(status.pid);
    }
    pids.sort_unstable();
    super::print(&table::processes(&pids, format))?;
    Ok(0)
}
