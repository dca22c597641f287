//! `kill`: delivers the signal that was asked for, to the process it was meant for.

use std::os::fd::AsFd;

use anyhow::bail;
use urunc_sys::{cgroup, process};

use crate::cli::Global;
use crate::state::{Container, Life};

/// The command. It takes no lock: a signal must reach a container whose `start` hangs.
///
/// # Errors
/// `container not running`: engines look for these words.
pub fn run(global: &Global, id: &str, signal: i32, all: bool) -> anyhow::Result<u8> {
    let (_, container) = super::existing(global, id)?;
    let status = container.status()?;
    if all {
        for pid in cgroup::pids(&container.plan()?.cgroup)? {
            if let Ok(pidfd) = process::pidfd(pid) {
                let _ = process::signal(pidfd.as_fd(), signal);
            }
        }
    }
    let Some(pidfd) = Container::process(&status) else {
        if all || Container::life(&status) == Life::Creating {
            return Ok(0);
        }
        bail!("container not running");
    };
    if ends_a_process(signal) {
        container.save_signal(signal)?;
    }
    if !all {
        process::signal(pidfd.as_fd(), signal)?;
    }
    Ok(0)
}

/// Signals whose default action ends a process (signal(7)); the last one is named by `state`.
fn ends_a_process(signal: i32) -> bool {
    !matches!(signal, 17..=23 | 28)
}
