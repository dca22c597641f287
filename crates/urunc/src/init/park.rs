//! Step 8 as init sees it: it waits for one complete START, and for signals.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use urunc_plan::LaunchPlan;
use urunc_sys::{fdpass, process};

use crate::handshake::{self, Message};
use crate::signals;

const SIGPIPE: i32 = 13;

/// What `start` sent.
#[derive(Debug)]
pub(super) struct Order {
    /// Where READY or FAILED goes.
    pub(super) socket: OwnedFd,
    /// The final plan.
    pub(super) plan: LaunchPlan,
    /// The tap, if there is one.
    pub(super) tap: Option<OwnedFd>,
    /// Where the record of the end goes, if init stays to write it.
    pub(super) record: Option<OwnedFd>,
    /// Counter of kills for memory, if init stays to read it.
    pub(super) oom: Option<OwnedFd>,
    /// Seconds that a supervised monitor gets to accept its configuration.
    pub(super) patience: u64,
    /// OCI state for startContainer hooks.
    pub(super) state: String,
    /// What came since.
    pub(super) signals: Signals,
}

/// Signals of a parked init: all are blocked and read from a descriptor, for by default pid 1 would not see them.
#[derive(Debug)]
pub(super) struct Signals(pub(super) OwnedFd);

impl Signals {
    /// Ends this process if a signal has come that ends processes.
    pub(super) fn obey(&self) {
        while let Some(number) = process::next_signal(self.0.as_fd()) {
            // SIGPIPE is what our own writes to a hook raise.
            if signals::ends_a_process(number) && number != SIGPIPE {
                process::exit_now(128 + number);
            }
        }
    }
}

/// Waits for one complete START of a process of ours or of the user `creator`. A connection that ends early changes nothing.
pub(super) fn park(listener: BorrowedFd<'_>, creator: u32, signals: Signals) -> Order {
    loop {
        let fds = [listener, signals.0.as_fd()];
        let Ok(ready) = process::wait_readable(&fds, None) else { process::exit_now(1) };
        signals.obey();
        if ready.first() == Some(&true)
            && let Some((socket, message, fds)) = take_order(listener, creator)
            && let Message::Start { plan, state, patience } = message
        {
            let mut fds = fds.into_iter();
            let tap = plan.net.as_ref().filter(|tap| !tap.persistent).and_then(|_| fds.next());
            let (record, oom) = (fds.next(), fds.next());
            return Order { socket, plan: *plan, tap, record, oom, patience, state, signals };
        }
    }
}

fn take_order(listener: BorrowedFd<'_>, creator: u32) -> Option<(OwnedFd, Message, Vec<OwnedFd>)> {
    let socket = fdpass::accept(listener, creator).ok()?;
    let (message, fds) = handshake::receive(socket.as_fd()).ok()??;
    Some((socket, message, fds))
}
