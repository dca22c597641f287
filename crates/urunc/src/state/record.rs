//! What is written down about a container: the frozen record, and its status.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use urunc_plan::{HostFacts, Request};

use crate::bundle::Hooks;
use crate::settings;

/// Format of the record. A release that adds what `start` may not ignore counts it up.
pub const VERSION: u32 = 2;
/// The first one whose init can stay beside a monitor.
pub const SUPERVISES: u32 = 2;

/// Everything `create` froze. What an older release did not write has a default, what a newer one added is ignored:
/// a container outlives the binary that made it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// [`VERSION`] of the release that wrote it.
    pub version: u32,
    /// `ociVersion` of config.json.
    pub oci_version: String,
    /// Bundle, absolute.
    pub bundle: PathBuf,
    /// Root of the image, absolute.
    pub rootfs: PathBuf,
    /// Creation time, RFC 3339.
    pub created: String,
    /// Annotations of config.json.
    pub annotations: BTreeMap<String, String>,
    /// Hooks of config.json.
    pub hooks: Hooks,
    /// config.json had a `process`; without one `start` is refused.
    pub has_process: bool,
    /// Seconds that init and a monitor get to answer at start.
    #[serde(default = "usual_start_timeout")]
    pub start_timeout: u32,
    /// What was asked for.
    pub request: Request,
    /// What the host offered.
    pub host: HostFacts,
}

fn usual_start_timeout() -> u32 {
    settings::START_TIMEOUT
}

/// Where the container is in its life, as last written; [`Container::life`](super::Container::life) is the truth.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Status {
    /// Phase.
    pub phase: Phase,
    /// Process id of init, then of the monitor; 0 before it exists.
    pub pid: i32,
    /// Its start time, clock ticks since boot.
    pub start_time: u64,
    /// Boot in which both are valid.
    pub boot_id: String,
}

/// Phases that are written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Intent.
    #[default]
    Creating,
    /// Init waits for `start`.
    Created,
    /// The monitor accepted its configuration.
    Running,
}
