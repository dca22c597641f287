//! What is seen of an end, and what can be said about it.

use super::console::Console;
use super::lines::Text;
use super::log::Log;
use crate::launch::Voice;

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
    /// The machine was reset without a word: the guest did it, or, on QEMU, took a triple fault.
    Reset,
    /// A fault while a fault was handled while a fault was handled.
    TripleFault,
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
            Self::TripleFault => "triple-fault",
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

/// Cloud Hypervisor was about to start its guest anew, and was killed for that.
pub const REBOOTING: &[u8] = b"rebooting";

/// Everything that was seen.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// How the monitor tells of its guest.
    pub voice: Voice,
    /// The monitor's end.
    pub fate: Fate,
    /// What QEMU gave as the reason, or [`REBOOTING`].
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
    /// The monitor's log; `None`: it was not read to its end.
    pub log: Option<&'a Log>,
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
