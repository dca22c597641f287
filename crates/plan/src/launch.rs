//! What a plan is: every side effect of a container's life as plain data, and the receipt that `delete` undoes.

mod cgroup;
mod exec;
mod mode;
mod network;
mod process;
mod root;

pub use cgroup::{Cgroup, CgroupGroup, CgroupWrite, DeviceRule, Property, Scope};
pub use exec::{Attach, Device, Exec, FdSource, Program, Ready, Stderr, Target, Tender};
pub(crate) use mode::FIRECRACKER_LOG;
pub use mode::{Mode, StatusMap, Stop, Voice};
pub use network::{GatewayProxy, GatewayProxy6, Leftover, Nat, Port, Resolver, Routed, Tap};
pub use process::{Filter, Identity, Namespaces};
pub use root::{Base, Bind, Dir, FsMount, GeneratedFile, ImageFile, Member, Root};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The decided launch. `urunc plan` prints it, `create` and `start` store it, init executes it, `delete` reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchPlan {
    /// Format of this structure; [`crate::PLAN_VERSION`].
    pub version: u32,
    /// Guest kind.
    pub guest: String,
    /// Monitor name.
    pub monitor: String,
    /// How the monitor is run.
    pub mode: Mode,
    /// The split of the memory limit.
    pub memory: Memory,
    /// Namespaces to create and join, and what is set inside them.
    pub namespaces: Namespaces,
    /// Cgroup placement and limits.
    pub cgroup: Cgroup,
    /// The monitor's private root.
    pub root: Root,
    /// Who the monitor is.
    pub identity: Identity,
    /// System call filters, in the order of installation.
    pub seccomp: Vec<Filter>,
    /// Connection of the guest to the container's network; decided at `start`.
    pub net: Option<Tap>,
    /// The monitor itself.
    pub exec: Exec,
    /// Terminal of the container.
    pub console: Option<Console>,
    /// What the operator should know; logged once at create.
    pub notices: Vec<Notice>,
    /// Annotations added to the container's state.
    pub annotations: BTreeMap<String, String>,
    /// Source of every leaf: JSON pointer of the nearest ancestor to the input it came from.
    pub sources: BTreeMap<String, String>,
}

/// How the memory limit is split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// RAM of the guest, MiB.
    pub guest_mib: u64,
    /// What the monitor needs beside the guest, bytes.
    pub overhead_bytes: u64,
    /// Limit of the memory cgroup, bytes.
    pub limit_bytes: Option<u64>,
}

/// Terminal of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Console {
    /// Initial size: rows, columns.
    pub size: Option<(u16, u16)>,
}

/// Something to log once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Warn or info.
    pub warn: bool,
    /// One line.
    pub text: String,
}
