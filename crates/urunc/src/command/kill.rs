//! `kill`: delivers the signal that was asked for, to the process it was meant for.

use std::os::fd::AsFd;

use anyhow::bail;
use urunc_sys::{cgroup, process};

use crate::cli::Global;
use crate::signals;
use crate::state::{Container, Life};

const ESRCH: i32 = 3;
const SIGKILL: i32 = 9;

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
    // What is exiting is stopped for everybody, though its process may still be there.
    let alive = container.life(&status)? != Life::Stopped;
    let Some(pidfd) = Container::process(&status)?.filter(|_| alive) else {
        if all {
            return Ok(0);
        }
        bail!("container not running");
    };
    if signals::ends_a_process(signal)
        && let Err(error) = container.save_signal(signal)
    {
        // A full disk must not keep a container alive.
        log::warn!("signal not recorded: {error:#}");
    }
    if all {
        return Ok(0);
    }
    match process::signal(pidfd.as_fd(), signal) {
        Err(error) if error.source.raw_os_error() == Some(ESRCH) => bail!("container not running"),
        sent => sent?,
    }
    if signal == SIGKILL
        && let Ok(plan) = container.plan()
    {
        // The signal waits for a frozen process to go on.
        cgroup::thaw(&plan.cgroup);
    }
    Ok(0)
}
