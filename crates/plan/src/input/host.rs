//! What the host has to offer.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What this host offers; gathered by `facts` of the `urunc` crate, never by a decision.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// Architecture as `uname -m` says it.
    pub arch: String,
    /// The monitor that the request asks for, if its program was found.
    pub monitor: Option<MonitorFacts>,
    /// Can a real guest run on `/dev/kvm`?
    pub kvm: KvmFacts,
    /// Cgroup hierarchies.
    pub cgroup: CgroupFacts,
    /// systemd is this host's init (sd_booted(3)); looked at for `--systemd-cgroup` only.
    pub systemd: bool,
    /// The kernel knows AppArmor and it is enabled.
    pub apparmor: bool,
    /// Capabilities that the runtime can pass on, one bit each; looked at for an ordinary container only.
    pub capabilities: u64,
    /// Lowest address a process may map, `vm.mmap_min_addr`.
    pub mmap_min_addr: u64,
}

/// An external monitor program on this host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MonitorFacts {
    /// Absolute path of the program.
    pub path: String,
    /// Its ELF interpreter; `None` for a static program.
    pub interpreter: Option<String>,
    /// Every shared object it and its modules need, absolute paths as the loader opens them.
    pub libraries: Vec<String>,
    /// Directories of firmware, data and dlopened modules that exist here.
    pub data: Vec<String>,
}

/// Result of the KVM probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KvmFacts {
    /// Not asked for, so not probed.
    #[default]
    Unprobed,
    /// `/dev/kvm` is missing or cannot be opened.
    Absent,
    /// A virtual machine exists but did not execute an SSE instruction within 100 ms: an instruction emulator.
    Emulated,
    /// Hardware virtualization works.
    Usable,
}

/// Cgroup hierarchies of this host as the runtime sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CgroupFacts {
    /// v1: controller name (`memory`, `name=systemd`, …) to its mount.
    pub v1: BTreeMap<String, CgroupMount>,
    /// The v2 mount, pure or beside v1 hierarchies.
    pub v2: Option<CgroupMount>,
    /// Controllers available in the v2 root (`cgroup.controllers`).
    pub v2_controllers: Vec<String>,
}

/// One mounted cgroup hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CgroupMount {
    /// Mount point.
    pub mount: String,
    /// Path of the runtime's own group below it, starting with `/`.
    pub own: String,
}
