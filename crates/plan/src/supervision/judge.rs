//! The one judge of an end: from what was seen to a cause, a status and a word for people.

use super::ending::{Cause, Ending, Evidence, Fate, REBOOTING};
use super::lines::Text;
use super::log::Log;
use crate::launch::Voice;

/// What a guest that gives up without a status ends with, as a Solo5 guest that aborts.
const ABORTED: u8 = 255;
/// What QEMU itself fails with.
const FAILED: u8 = 1;
const SIGKILL: u8 = 9;
const SIGSYS: u8 = 31;
/// Status of Firecracker, which catches SIGSYS (`FcExitCode::BadSyscall`).
const FIRECRACKER_FORBIDDEN: u8 = 148;
const BROKEN: &[u8] = b"KVM internal error";

impl Ending {
    /// Judges.
    pub fn of(seen: &Evidence<'_>) -> Self {
        match seen.fate {
            Fate::Killed(SIGKILL) if is_rebooting(seen) => of_reset(seen),
            Fate::Killed(SIGKILL) if seen.oom => {
                noted(Cause::Oom, 128 + SIGKILL, b"the memory limit was exceeded")
            }
            Fate::Killed(SIGSYS) => forbidden(),
            Fate::Killed(_) if seen.broken => noted(Cause::Monitor, 1, BROKEN),
            Fate::Killed(signal) => match seen.stop {
                Some(stop) if signal == SIGKILL => {
                    noted(Cause::Stopped, 128 + stop, b"the monitor was killed")
                }
                Some(stop) => plain(Cause::Stopped, 128 + stop),
                None => noted(Cause::Monitor, 128 + signal, b"ended by a signal"),
            },
            Fate::Exited(code) => match seen.voice {
                Voice::Qmp | Voice::Status => of_qemu(seen, code),
                Voice::Firecracker => of_firecracker(seen, code),
                Voice::CloudHypervisor => of_cloud_hypervisor(seen, code),
                Voice::Solo5 => of_solo5(seen, code),
            },
        }
    }
}

fn plain(cause: Cause, status: u8) -> Ending {
    noted(cause, status, b"")
}

fn noted(cause: Cause, status: u8, note: &[u8]) -> Ending {
    Ending { cause, status, note: Text::cut(note) }
}

fn is_rebooting(seen: &Evidence<'_>) -> bool {
    seen.voice == Voice::CloudHypervisor && seen.shutdown == Some(REBOOTING)
}

fn forbidden() -> Ending {
    noted(Cause::Seccomp, 128 + SIGSYS, b"the monitor made a call that its filter forbids")
}

/// The reason is QEMU's, or the status is the guest's.
fn of_qemu(seen: &Evidence<'_>, code: u8) -> Ending {
    match (seen.shutdown, seen.stop) {
        _ if seen.panicked => panicked(seen),
        (Some(b"guest-shutdown"), _) => plain(Cause::PowerOff, code),
        (Some(b"guest-panic"), _) => panicked(seen),
        (Some(b"guest-reset"), _) => of_console(seen)
            .unwrap_or_else(|| noted(Cause::Reset, ABORTED, b"a reset or a triple fault of the guest")),
        (_, Some(stop)) => plain(Cause::Stopped, 128 + stop),
        (Some(reason), None) => noted(Cause::Monitor, code, reason),
        (None, None) => match seen.statuses.get(usize::from(code)).copied().flatten() {
            // Its own failures to begin have this status, too, and then no guest has spoken.
            Some(_) if code == FAILED && seen.console.tail().iter().all(|part| part.is_empty()) => {
                silent(code)
            }
            Some(status) => plain(Cause::Exit, status),
            None => silent(code),
        },
    }
}

fn silent(code: u8) -> Ending {
    noted(Cause::Monitor, code, b"it said nothing about its guest")
}

/// A machine of its ends by a reset only. A fault may end it with the same status, and is told in the log.
fn of_firecracker(seen: &Evidence<'_>, code: u8) -> Ending {
    match (code, seen.log) {
        (FIRECRACKER_FORBIDDEN, _) => forbidden(),
        (0 | 1, Some(log)) if log.triple_fault => triple_fault(),
        (0 | 1, Some(log)) if log.broken => noted(Cause::Monitor, 1, BROKEN),
        (0, Some(_)) => of_reset(seen),
        _ => unexplained(seen, code),
    }
}

/// It ends when the guest powers off, when it is told to, and when a processor fails, always with 0.
fn of_cloud_hypervisor(seen: &Evidence<'_>, code: u8) -> Ending {
    match seen.log {
        _ if is_rebooting(seen) => of_reset(seen),
        _ if seen.panicked => panicked(seen),
        Some(log) if log.broken => noted(Cause::Monitor, 1, BROKEN),
        Some(log) if log.power_off && code == 0 => plain(Cause::PowerOff, 0),
        _ => unexplained(seen, code),
    }
}

/// The tender's own failures have status 1, and a line on standard error.
fn of_solo5(seen: &Evidence<'_>, code: u8) -> Ending {
    match (seen.stop, code, seen.log) {
        (Some(stop), ..) => plain(Cause::Stopped, 128 + stop),
        (None, 1, Some(log)) if log.last().is_empty() => plain(Cause::Exit, 1),
        (None, 1, _) => unexplained(seen, code),
        (None, ..) => plain(Cause::Exit, code),
    }
}

/// A reset that the monitor tells from a fault.
fn of_reset(seen: &Evidence<'_>) -> Ending {
    match seen.log {
        Some(log) if log.triple_fault => triple_fault(),
        _ if seen.panicked => panicked(seen),
        Some(_) => of_console(seen)
            .unwrap_or_else(|| noted(Cause::Reset, 0, b"the guest reset its machine, which ends it")),
        None => unexplained(seen, ABORTED),
    }
}

/// What Linux said before a reset.
fn of_console(seen: &Evidence<'_>) -> Option<Ending> {
    match (seen.console.init_status(), seen.console.panic()) {
        (Some(status), _) => Some(noted(Cause::Exit, status, b"process 1 of the guest ended")),
        (None, Some(panic)) => Some(noted(Cause::Panic, ABORTED, panic)),
        (None, None) => seen.console.restarted().then(|| plain(Cause::Reboot, 0)),
    }
}

fn panicked(seen: &Evidence<'_>) -> Ending {
    noted(Cause::Panic, ABORTED, seen.console.panic().unwrap_or_default())
}

fn triple_fault() -> Ending {
    noted(Cause::TripleFault, ABORTED, b"a processor of the guest could not handle a fault")
}

/// No guess: it was stopped, or it is the monitor's own end and its last words.
fn unexplained(seen: &Evidence<'_>, code: u8) -> Ending {
    match seen.stop {
        Some(stop) => plain(Cause::Stopped, 128 + stop),
        None => noted(Cause::Monitor, code, seen.log.map(Log::last).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
