//! Cgroup directories of the container, and what is written into them.

use serde::{Deserialize, Serialize};

/// Cgroup directories and what is written into them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cgroup {
    /// One directory per hierarchy; v2 first when init can be cloned into it.
    pub groups: Vec<CgroupGroup>,
    /// Program for `BPF_PROG_TYPE_CGROUP_DEVICE`, compiled from these rules on v2; empty: not attached.
    pub device_rules: Vec<DeviceRule>,
    /// The unit whose directory the v2 group is, with systemd's driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// A transient scope of systemd's (systemd.scope(5)).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scope {
    /// Name, `prefix-name.scope`.
    pub unit: String,
    /// The slice in which it is, `system.slice`.
    pub slice: String,
    /// Limits by the names of org.freedesktop.systemd1(5): what [`CgroupGroup::writes`] say, in systemd's words, so that
    /// it writes the same when it writes them again.
    pub properties: Vec<(String, Property)>,
}

/// Value of a unit's property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Property {
    /// D-Bus type `t`.
    Number(u64),
    /// D-Bus type `ay`.
    Bytes(Vec<u8>),
}

/// One directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CgroupGroup {
    /// Mount point of the hierarchy.
    pub mount: String,
    /// Directory below the mount point, starting with `/`; every component is made if missing.
    pub path: String,
    /// True for the unified hierarchy.
    pub v2: bool,
    /// v2: controllers to enable in every `cgroup.subtree_control` above: those of the writes must be, the others are for
    /// accounting.
    pub enable: Vec<String>,
    /// Written in order after the directory is made, before the process enters.
    pub writes: Vec<CgroupWrite>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CgroupWrite {
    /// File name in the directory.
    pub file: String,
    /// Value. Empty, for `cpuset.cpus` and `cpuset.mems` of v1: the parent's.
    pub value: String,
}

/// One device rule, already in order, after the default deny.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// `a`, `b` or `c`.
    pub kind: char,
    /// Major number; `None` is all.
    pub major: Option<u32>,
    /// Minor number; `None` is all.
    pub minor: Option<u32>,
    /// Subset of `rwm`.
    pub access: String,
}
