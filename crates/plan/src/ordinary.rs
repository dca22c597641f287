//! What config.json asks for an ordinary container (`process` monitor). Another monitor is given none of it.

use serde::{Deserialize, Serialize};

/// The part of the request that only the bundle's own program can have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ordinary {
    /// `process.capabilities`.
    pub capabilities: CapabilitySets,
    /// `process.noNewPrivileges`.
    pub no_new_privs: bool,
    /// `linux.maskedPaths`.
    pub masked: Vec<String>,
    /// `linux.readonlyPaths`.
    pub readonly: Vec<String>,
    /// `linux.devices`.
    pub devices: Vec<Node>,
    /// `linux.uidMappings`.
    pub uid_map: Vec<IdMap>,
    /// `linux.gidMappings`.
    pub gid_map: Vec<IdMap>,
}

impl Ordinary {
    /// Nothing is asked for: of no use in the state on disk, which is small.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The five sets of capabilities(7), as names (`CAP_CHOWN`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CapabilitySets {
    /// What can ever be gained by an exec.
    pub bounding: Vec<String>,
    /// What the kernel checks.
    pub effective: Vec<String>,
    /// What an exec keeps of a file's inheritable set.
    pub inheritable: Vec<String>,
    /// What may become effective.
    pub permitted: Vec<String>,
    /// What an exec of an ordinary program keeps.
    pub ambient: Vec<String>,
}

impl CapabilitySets {
    /// No capability in any set.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// One of `linux.devices`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Path in the container.
    pub path: String,
    /// `c`, `b`, `u` (as `c`) or `p`, mknod(1).
    pub kind: String,
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Mode bits; `None` means 0o666.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// One line of `/proc/PID/uid_map` or `gid_map` (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct IdMap {
    /// First id in the container.
    pub container: u32,
    /// First id on the host.
    pub host: u32,
    /// How many.
    pub size: u32,
}
