//! What init becomes: an external program, or the built-in monitor and its devices.

use serde::{Deserialize, Serialize};

/// The monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exec {
    /// An external program.
    Program(Program),
    /// The built-in Solo5 monitor: init becomes it, without an exec.
    Tender(Tender),
}

/// An external program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Path in the private root.
    pub path: String,
    /// argv, element by element; `args[0]` is the program's name.
    pub args: Vec<String>,
    /// Environment; empty but for what the monitor's file names.
    pub env: Vec<String>,
    /// Working directory in the private root.
    pub cwd: String,
    /// Descriptors it inherits, at 3, 4, … in this order.
    pub fds: Vec<FdSource>,
    /// Where its standard error goes.
    pub stderr: Stderr,
    /// How `start` learns that the configuration was accepted.
    pub ready: Ready,
}

/// What an inherited descriptor is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FdSource {
    /// The tap, opened by `start` in the network namespace.
    Tap,
    /// The monitor's end of the connected socket over which init controls it.
    Control,
    /// A pipe to init, for a copy of the guest's console.
    ConsoleCopy,
}

/// Where standard error goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stderr {
    /// The container's own.
    Container,
    /// [`crate::MONITOR_LOG`] on the private tmpfs.
    Log,
}

/// How `start` learns that the monitor runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// The exec (or the tender's preparation) itself.
    Exec,
    /// QMP greeting on [`FdSource::Control`].
    Qmp,
    /// A machine that runs, by what an HTTP API tells.
    Api {
        /// The API's socket in the private root.
        socket: String,
        /// What is asked for.
        path: String,
    },
}

/// The built-in monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tender {
    /// Which ABI target.
    pub target: Target,
    /// The guest's command line, at most 8191 bytes.
    pub cmdline: String,
    /// Guest memory, MiB.
    pub memory_mib: u64,
    /// Devices, in manifest order; every declared one.
    pub attach: Vec<Attach>,
}

/// Solo5 target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Sandboxed process tender.
    Spt,
    /// Hardware virtualized tender, on `/dev/kvm`.
    Hvt,
}

impl Target {
    /// Name of the process that is the guest.
    #[must_use]
    pub fn process_name(self) -> &'static str {
        match self {
            Self::Spt => "solo5-spt",
            Self::Hvt => "solo5-hvt",
        }
    }
}

/// One device of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Name in the manifest.
    pub name: String,
    /// What it is.
    pub device: Device,
}

/// A device of a Solo5 guest. Descriptors are matched by kind and order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The tap of [`crate::LaunchPlan::net`].
    Net {
        /// Hardware address told to the guest.
        mac: String,
        /// MTU told to the guest.
        mtu: u16,
    },
    /// The image file whose target is this name.
    Block {
        /// [`crate::launch::ImageFile::target`].
        file: String,
        /// Sector size, bytes.
        sector_size: u16,
        /// Opened read-write.
        writable: bool,
    },
}
