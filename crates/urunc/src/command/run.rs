//! `run`: create, start, wait, delete.

use std::os::fd::AsFd;

use urunc_sys::process;

use super::create::{self, Created, Outcome};
use super::{delete, start};
use crate::cli::{Global, Launch};
use crate::delegate;

/// The command: the guest's exit code where the monitor gives one.
///
/// # Errors
/// As `create` and `start`; nothing is left then.
pub fn run(global: &Global, launch: &Launch, detach: bool, keep: bool) -> anyhow::Result<u8> {
    let created = match create::create(global, launch, !detach)? {
        Outcome::Created(created) => created,
        Outcome::Delegated(verdict) => return Err(delegate::exec(&verdict.runtime)),
    };
    if let Err(error) = start::start(&created.container) {
        remove(&created);
        return Err(error);
    }
    if detach {
        return Ok(0);
    }
    let code = wait(&created)?;
    if !keep {
        remove(&created);
    }
    Ok(u8::try_from(code).unwrap_or(255))
}

fn remove(created: &Created) {
    if let Err(error) = delete::delete(&created.store, &created.container, true) {
        log::warn!("not undone: {error:#}");
    }
}

/// Waits for the guest; every signal that reaches us is the guest's.
fn wait(created: &Created) -> anyhow::Result<i32> {
    let signals = process::signals_as_fd()?;
    let pidfd = created.child.pidfd.as_fd();
    loop {
        let ready = process::wait_readable(&[pidfd, signals.as_fd()], None)?;
        if ready.first() == Some(&true) {
            return Ok(process::reap(pidfd)?);
        }
        const SIGCHLD: i32 = 17;
        while let Some(number) = process::next_signal(signals.as_fd()) {
            if number != SIGCHLD {
                let _ = process::signal(pidfd, number);
            }
        }
    }
}
