//! `ps`: the processes of a container.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, bail};
use urunc_sys::cgroup;

use crate::cli::{Format, Global};
use crate::state::{Container, Life};
use crate::table;

/// The command; the table is what ps(1) of the host says about these processes, as runc does it.
///
/// # Errors
/// Unknown container; no ps(1) for the table.
pub fn run(global: &Global, id: &str, format: Format, args: &[OsString]) -> anyhow::Result<u8> {
    let (_, container) = super::existing(global, id)?;
    let status = container.status()?;
    if container.life(&status)? == Life::Stopped && format == Format::Table {
        bail!("container not running");
    }
    let mut pids = cgroup::pids(&container.plan()?.cgroup)?;
    if Container::process(&status)?.is_some() && !pids.contains(&status.pid) {
        pids.push(status.pid);
    }
    pids.sort_unstable();
    super::print(&match format {
        Format::Json => table::ps_json(&pids),
        Format::Table => {
            let mut ps = Command::new("ps");
            let ps = if args.is_empty() { ps.arg("-ef") } else { ps.args(args) };
            let output = ps.output().context("ps")?;
            table::ps(&String::from_utf8_lossy(&output.stdout), &pids)?
        }
    })?;
    Ok(0)
}
