//! What surrounds the monitor's process: namespaces, identity, system call filters.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::input::{Namespace, Rlimit};
use crate::ordinary::{CapabilitySets, IdMap};

/// Namespaces and what is set inside them before the jail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// Entries; a private mount namespace is always among those of a monitor.
    pub entries: Vec<Namespace>,
    /// sethostname(2) in a new UTS namespace.
    pub hostname: Option<String>,
    /// setdomainname(2).
    pub domainname: Option<String>,
    /// Files below `/proc/sys` and their values, only of namespaces that are the container's.
    pub sysctl: BTreeMap<String, String>,
    /// `/proc/self/timens_offsets` lines: clock, seconds, nanoseconds.
    pub time_offsets: Vec<(String, i64, u32)>,
    /// `/proc/PID/uid_map` of a new user namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_map: Vec<IdMap>,
    /// `/proc/PID/gid_map`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_map: Vec<IdMap>,
}

/// Who the monitor is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Exactly these supplementary groups.
    pub groups: Vec<u32>,
    /// umask(2).
    pub umask: u32,
    /// Capabilities that are kept; of a monitor, none.
    #[serde(skip_serializing_if = "CapabilitySets::is_none")]
    pub capability_sets: CapabilitySets,
    /// PR_SET_NO_NEW_PRIVS; always true for a monitor.
    pub no_new_privs: bool,
    /// setrlimit(2).
    pub rlimits: Vec<Rlimit>,
    /// /proc/self/oom_score_adj.
    pub oom_score_adj: Option<i32>,
    /// Label for the exec (or, for a built-in, for the process itself).
    pub apparmor: Option<String>,
}

/// A system call filter. Filters stack: the most severe answer wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// `linux.seccomp`, compiled by [`crate::seccomp`].
    Profile(serde_json::Value),
    /// Our own list for an exec'ed monitor: these names are allowed, everything else kills the process.
    Allow(Vec<String>),
    /// Our own list for an exec'ed monitor: these names fail with EPERM, everything else is allowed.
    Deny(Vec<String>),
    /// The built-in tender's own filter, made by the tender from its descriptors.
    Tender,
}
