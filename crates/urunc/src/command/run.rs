//! `run`: create, start, wait, delete.

use std::os::fd::{AsFd, OwnedFd};

use urunc_sys::process;

use super::create::{self, Created, Outcome};
use super::{delete, start};
use crate::cli::{Global, Launch};
use crate::console::Relay;
use crate::delegate;

const SIGCHLD: i32 = 17;
const SIGWINCH: i32 = 28;

/// The command: the guest's exit code where the monitor gives one.
///
/// # Errors
/// As `create` and `start`; nothing is left then.
pub fn run(global: &Global, launch: &Launch, detach: bool, keep: bool) -> anyhow::Result<u8> {
    let (ours, theirs) = urunc_sys::fdpass::pair()?;
    let created = match create::create(global, launch, (!detach).then_some(theirs))? {
        Outcome::Created(created) => created,
        Outcome::Delegated(verdict) if detach => return create::delegated(global, &launch.id, &verdict),
        Outcome::Delegated(verdict) => return Err(delegate::exec(&verdict.runtime)),
    };
    let relay = match created.container.plan()?.console {
        Some(_) if launch.console_socket.is_none() => Relay::receive(ours.as_fd()),
        _ => Ok(Relay::none()),
    };
    // Before the guest runs: a signal to us is then already its own, and not our end.
    let signals = process::signals_as_fd()?;
    let started = relay.and_then(|relay| start::start(&created.container).map(|()| relay));
    let relay = match started {
        Ok(relay) => relay,
        Err(error) => {
            remove(&created);
            return Err(error);
        }
    };
    if detach {
        return Ok(0);
    }
    // As long as the guest runs, the container is everybody's.
    created.container.unlock();
    let code = wait(&created, &signals, relay)?;
    if !keep && created.container.lock(&created.store)? {
        remove(&created);
    }
    Ok(u8::try_from(code).unwrap_or(255))
}

fn remove(created: &Created) {
    if let Err(error) = delete::delete(&created.store, &created.container, true) {
        log::warn!("not undone: {error:#}");
    }
}

/// Waits for the guest; every signal that reaches us is the guest's, and so is every key.
fn wait(created: &Created, signals: &OwnedFd, mut relay: Relay) -> anyhow::Result<i32> {
    let pidfd = created.child.pidfd.as_fd();
    relay.resize();
    loop {
        let mut fds = vec![pidfd, signals.as_fd()];
        fds.extend(relay.readable());
        let ready = process::wait_readable(&fds, None)?;
        drop(fds);
        relay.pump();
        if ready.first() == Some(&true) {
            relay.drain();
            return Ok(process::reap(pidfd)?);
        }
        while let Some(number) = process::next_signal(signals.as_fd()) {
            match number {
                SIGCHLD => {}
                SIGWINCH => relay.resize(),
                number => drop(process::signal(pidfd, number)),
            }
        }
    }
}
