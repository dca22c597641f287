//! The one judge of an end: from what was seen to a cause, a status and a word for people.

use super::console::Console;
use super::lines::Text;

/// How a guest, or its monitor, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The guest powered its machine off.
    PowerOff,
    /// The guest told its status.
    Exit,
    /// The guest's kernel panicked.
    Panic,
    /// The guest restarted its machine on purpose, which ends it.
    Reboot,
    /// The machine was reset without a word: the guest did it, or took a triple fault.
    Reset,
    /// A stop signal ended it.
    Stopped,
    /// The kernel killed the monitor, for the memory limit.
    Oom,
    /// A system call filter killed the monitor.
    Seccomp,
    /// The monitor ended by itself, or somebody killed it.
    Monitor,
}

impl Cause {
    /// The word in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::PowerOff => "power-off",
            Self::Exit => "exit",
            Self::Panic => "panic",
            Self::Reboot => "reboot",
            Self::Reset => "reset",
            Self::Stopped => "stopped",
            Self::Oom => "oom",
            Self::Seccomp => "seccomp",
            Self::Monitor => "monitor",
        }
    }
}

/// How a process ended, wait(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// exit(2) with this status.
    Exited(u8),
    /// By this signal.
    Killed(u8),
}

/// Longest note, bytes.
const NOTE: usize = 240;
/// One line for people.
pub type Note = Text<NOTE>;

/// What a guest that gives up without a status ends with, as a Solo5 guest that aborts.
const ABORTED: u8 = 255;
const SIGKILL: u8 = 9;
const SIGSYS: u8 = 31;

/// Everything that was seen.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The monitor's end.
    pub fate: Fate,
    /// What QEMU gave as the reason.
    pub shutdown: Option<&'a [u8]>,
    /// The guest said itself that it panicked.
    pub panicked: bool,
    /// The processor could not go on (KVM_EXIT_INTERNAL_ERROR).
    pub broken: bool,
    /// The stop signal that came.
    pub stop: Option<u8>,
    /// The kernel killed in the container's group, for its memory limit.
    pub oom: bool,
    /// The guest's console.
    pub console: &'a Console,
    /// [`StatusMap::table`](crate::launch::StatusMap::table).
    pub statuses: &'a [Option<u8>; 256],
}

/// The truth about an end, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// Why.
    pub cause: Cause,
    /// Exit status of the container's process.
    pub status: u8,
    /// What else there is to say.
    pub note: Note,
}

impl Ending {
    /// Judges.
    pub fn of(seen: &Evidence<'_>) -> Self {
        let plain = |cause, status| Self { cause, status, note: Note::default() };
        let noted = |cause, status, note: &[u8]| Self { cause, status, note: Text::cut(note) };
        let code = match seen.fate {
            Fate::Killed(SIGKILL) if seen.oom => {
                return noted(Cause::Oom, 128 + SIGKILL, b"the memory limit was exceeded");
            }
            Fate::Killed(SIGSYS) => {
                return noted(
                    Cause::Seccomp,
                    128 + SIGSYS,
                    b"the monitor made a call that its filter forbids",
                );
            }
            Fate::Killed(_) if seen.broken => return noted(Cause::Monitor, 1, b"KVM internal error"),
            Fate::Killed(signal) => {
                return match seen.stop {
                    Some(stop) => plain(Cause::Stopped, 128 + stop),
                    None => noted(Cause::Monitor, 128 + signal, b"ended by a signal"),
                };
            }
            Fate::Exited(code) => code,
        };
        let console = seen.console;
        match (seen.shutdown, seen.stop) {
            _ if seen.panicked => noted(Cause::Panic, ABORTED, console.panic().unwrap_or_default()),
            (Some(b"guest-shutdown"), _) => plain(Cause::PowerOff, code),
            (Some(b"guest-panic"), _) => noted(Cause::Panic, ABORTED, console.panic().unwrap_or_default()),
            (Some(b"guest-reset"), _) => match (console.init_status(), console.panic()) {
                (Some(status), _) => noted(Cause::Exit, status, b"process 1 of the guest ended"),
                (None, Some(panic)) => noted(Cause::Panic, ABORTED, panic),
                (None, None) if console.restarted() => plain(Cause::Reboot, 0),
                (None, None) => noted(Cause::Reset, ABORTED, b"a reset or a triple fault of the guest"),
            },
            (_, Some(stop)) => plain(Cause::Stopped, 128 + stop),
            (Some(reason), None) => noted(Cause::Monitor, code, reason),
            (None, None) => match seen.statuses.get(usize::from(code)).copied().flatten() {
                Some(status) => plain(Cause::Exit, status),
                None => noted(Cause::Monitor, code, b"it said nothing about its guest"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::StatusMap;

    fn judge(change: impl FnOnce(&mut Evidence<'_>), said: &str, statuses: &StatusMap) -> (&'static str, u8) {
        let mut console = Console::default();
        console.feed(said.as_bytes());
        let (console, statuses) = (&console, &statuses.table());
        let mut seen = Evidence {
            fate: Fate::Exited(0),
            shutdown: None,
            panicked: false,
            broken: false,
            stop: None,
            oom: false,
            console,
            statuses,
        };
        change(&mut seen);
        let ending = Ending::of(&seen);
        (ending.cause.name(), ending.status)
    }

    #[test]
    fn every_end_has_one_cause() {
        let none = StatusMap::default();
        let reset = |said: &str| judge(|seen| seen.shutdown = Some(b"guest-reset"), said, &none);
        let panic = "Kernel panic - not syncing: ";
        assert_eq!(judge(|seen| seen.shutdown = Some(b"guest-shutdown"), "", &none), ("power-off", 0));
        // Words on the console prove nothing about a power-off.
        assert_eq!(judge(|seen| seen.shutdown = Some(b"guest-shutdown"), panic, &none), ("power-off", 0));
        assert_eq!(reset(""), ("reset", 255));
        assert_eq!(reset("reboot: Restarting system\n"), ("reboot", 0));
        assert_eq!(reset(&format!("{panic}VFS\nreboot: Restarting system\n")), ("panic", 255));
        assert_eq!(reset(&format!("{panic}Attempted to kill init! exitcode=0x00002a00\n")), ("exit", 42));
        assert_eq!(judge(|seen| seen.panicked = true, "", &none), ("panic", 255));
        assert_eq!(judge(|seen| seen.shutdown = Some(b"guest-panic"), "", &none), ("panic", 255));
        assert_eq!(judge(|seen| seen.shutdown = Some(b"host-qmp-quit"), "", &none), ("monitor", 0));
        assert_eq!(judge(|_| (), "", &none), ("monitor", 0));
    }

    #[test]
    fn signals_and_statuses() {
        let none = StatusMap::default();
        let killed = |signal, oom, stop| {
            judge(|seen| (seen.fate, seen.oom, seen.stop) = (Fate::Killed(signal), oom, stop), "", &none)
        };
        assert_eq!(killed(9, true, None), ("oom", 137));
        assert_eq!(killed(9, false, None), ("monitor", 137));
        assert_eq!(killed(9, false, Some(15)), ("stopped", 143));
        assert_eq!(killed(31, false, None), ("seccomp", 159));
        // The limit was hit, but that did not end it.
        assert_eq!(killed(11, true, None), ("monitor", 139));
        let stop =
            |seen: &mut Evidence<'_>| (seen.stop, seen.shutdown) = (Some(2), Some(&b"host-signal"[..]));
        assert_eq!(judge(stop, "", &none), ("stopped", 130));
        // It was asked to power off, and did.
        let asked =
            |seen: &mut Evidence<'_>| (seen.stop, seen.shutdown) = (Some(15), Some(&b"guest-shutdown"[..]));
        assert_eq!(judge(asked, "", &none), ("power-off", 0));
        let broken = |seen: &mut Evidence<'_>| (seen.fate, seen.broken) = (Fate::Killed(9), true);
        assert_eq!(judge(broken, "", &none), ("monitor", 1));
        let mapped = StatusMap { exact: [(3, 0)].into(), debug_exit: true };
        let exit = |code| judge(|seen| seen.fate = Fate::Exited(code), "", &mapped);
        assert_eq!([exit(3), exit(85), exit(2)], [("exit", 0), ("exit", 42), ("monitor", 2)]);
    }
}
