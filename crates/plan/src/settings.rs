//! The operator's settings (`/etc/urunc/config.toml`) as data; read and checked by the `urunc` crate.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What of config.toml a plan depends on, frozen at create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Who runs bundles without image keys: `runc` (default), `crun`, an absolute path, or `process`: nobody else, they
    /// are run by the `process` monitor.
    pub delegate: String,
    /// `[monitors.NAME]`.
    pub monitors: BTreeMap<String, MonitorSettings>,
    /// Path of the file the settings came from; empty: built-in defaults.
    pub origin: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { delegate: "runc".to_owned(), monitors: BTreeMap::new(), origin: String::new() }
    }
}

/// `[monitors.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MonitorSettings {
    /// `default_memory_mb`: guest RAM in MiB when there is no memory limit.
    pub default_memory_mb: Option<u64>,
    /// `default_vcpus`.
    pub default_vcpus: Option<u32>,
    /// `path`: absolute path of the program; empty: searched in PATH (or built in).
    pub path: String,
    /// `data_path`: directory of firmware and data.
    pub data_path: String,
    /// `uid_range`: first uid and count; uid 0 is remapped into it, by a hash of the id.
    pub uid_range: Option<(u32, u32)>,
    /// `machine`: the board, of a monitor that has several; empty: the guest's choice.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub machine: String,
    /// `vhost`: the host's kernel takes the guest's frames, where the monitor can have that; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vhost: Option<bool>,
    /// `allow_emulation`: QEMU may fall back to TCG; default true.
    pub allow_emulation: Option<bool>,
}
