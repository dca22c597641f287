//! What is asked for: config.json, and the keys of the image.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the engine and the image ask for, parsed once at `create` and frozen.
///
/// Every field reaches the plan: a test mutates each one and expects a different plan or an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "fields of config.json that have nothing to do with each other"
)]
pub struct Request {
    /// Container id, already validated.
    pub id: String,
    /// The image contract: what to boot and on what.
    pub image: ImageKeys,
    /// Facts read from the kernel file named by [`ImageKeys::binary`]; `None` when it was not looked at.
    pub kernel: Option<crate::kernel::KernelFacts>,
    /// Size in bytes of the initrd file, when one is named.
    pub initrd_bytes: Option<u64>,
    /// Facts about the block image, when one is named.
    pub block: Option<BlockFacts>,
    /// `process.args`, before the rules about `cmdline` and `docker --init` are applied.
    pub args: Vec<String>,
    /// `process.env`, in order.
    pub env: Vec<String>,
    /// `process.cwd`.
    pub cwd: String,
    /// `process.terminal`.
    pub terminal: bool,
    /// `process.consoleSize` as (rows, columns).
    pub console_size: Option<(u16, u16)>,
    /// `process.user`.
    pub user: User,
    /// `process.rlimits`.
    pub rlimits: Vec<Rlimit>,
    /// `process.oomScoreAdj`.
    pub oom_score_adj: Option<i32>,
    /// `process.apparmorProfile`.
    pub apparmor: Option<String>,
    /// `process.selinuxLabel`; a declared gap, see `urunc features`.
    pub selinux: Option<String>,
    /// `root.readonly`.
    pub readonly: bool,
    /// `hostname`.
    pub hostname: Option<String>,
    /// `domainname`.
    pub domainname: Option<String>,
    /// `mounts`, in order.
    pub mounts: Vec<Mount>,
    /// `linux.namespaces`, in order.
    pub namespaces: Vec<Namespace>,
    /// The annotation `com.urunc.network.host` is `allow`: the container may share the host's network, unconnected.
    pub host_network: bool,
    /// The guest has an address of its own behind the container's: the annotation `com.urunc.network.mode` is `static`,
    /// or Knative names the container `user-container`.
    pub static_network: bool,
    /// `linux.timeOffsets`: clock name to (seconds, nanoseconds).
    pub time_offsets: BTreeMap<String, (i64, u32)>,
    /// `linux.sysctl`.
    pub sysctl: BTreeMap<String, String>,
    /// `linux.rootfsPropagation`; empty means the default, `rslave`.
    pub propagation: String,
    /// `linux.cgroupsPath`; empty means `/<id>`.
    pub cgroups_path: String,
    /// `--systemd-cgroup`: the cgroup is a scope of systemd's.
    pub systemd_cgroup: bool,
    /// `linux.resources`, verbatim JSON: `plan` turns it into a list of (file, value).
    pub resources: serde_json::Value,
    /// `linux.seccomp`, verbatim JSON.
    pub seccomp: Option<serde_json::Value>,
    /// What only an ordinary container is given.
    #[serde(skip_serializing_if = "crate::ordinary::Ordinary::is_empty")]
    pub ordinary: crate::ordinary::Ordinary,
    /// Settings of the operator's file that concern this container, frozen at create.
    pub settings: crate::settings::Settings,
}

impl Request {
    /// What a Solo5 image declares; `None` for every other kernel.
    pub fn manifest(&self) -> Option<&crate::solo5::Solo5Image> {
        self.kernel.as_ref()?.solo5.as_ref()
    }

    /// The container has a namespace of this kind that is not the runtime's.
    #[must_use]
    pub fn owns(&self, kind: NamespaceKind) -> bool {
        self.namespaces.iter().any(|namespace| namespace.kind == kind && !namespace.host)
    }
}

/// The `com.urunc.unikernel.*` keys after decoding (`images.md` §1.1). Empty string: key absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageKeys {
    /// `unikernelType`.
    pub guest: String,
    /// `hypervisor`.
    pub monitor: String,
    /// `binary`: path of the kernel inside the image.
    pub binary: String,
    /// `cmdline`.
    pub cmdline: String,
    /// `initrd`: path inside the image.
    pub initrd: String,
    /// `block`: path inside the image.
    pub block: String,
    /// `blkMntPoint`.
    pub block_mount_point: String,
    /// `unikernelVersion`.
    pub version: String,
    /// `mountRootfs` (or the older `useDMBlock`).
    pub mount_rootfs: bool,
    /// `solo5NetDev`.
    pub solo5_net: String,
    /// `solo5BlkDev`.
    pub solo5_block: String,
    /// Where the keys came from: `annotations` or `urunc.json`; `kernel`: there is none.
    pub origin: String,
    /// Keys that nobody stated, and what their value was read from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub found: BTreeMap<String, String>,
}

/// What is known of a block image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockFacts {
    /// Size in bytes.
    pub bytes: u64,
    /// It is a block device, not a regular file.
    pub device: bool,
}

/// `process.user`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// Numeric user id in the host's user namespace.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
    /// Supplementary groups, exactly.
    pub groups: Vec<u32>,
    /// File mode creation mask; `None` means 0o022.
    pub umask: Option<u32>,
}

/// One of `process.rlimits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// `RLIMIT_NOFILE` and so on.
    pub kind: String,
    /// Soft limit; `u64::MAX` is infinity.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// One of `mounts`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Absolute path in the container.
    pub destination: String,
    /// File system type, or `bind`.
    pub kind: String,
    /// Source, for binds a host path.
    pub source: String,
    /// Mount options.
    pub options: Vec<String>,
}

/// One of `linux.namespaces`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Which kind.
    pub kind: NamespaceKind,
    /// Join this one instead of making a new one.
    pub path: Option<String>,
    /// The path is the namespace of the runtime itself (same nsfs inode): nothing is isolated.
    #[serde(default)]
    pub host: bool,
}

/// Namespace kinds of namespaces(7), spelled as the OCI spec does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// Process ids.
    Pid,
    /// Network devices and stacks.
    Network,
    /// Mount points.
    Mount,
    /// System V IPC, POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// User and group ids.
    User,
    /// Cgroup root.
    Cgroup,
    /// Boot and monotonic clocks.
    Time,
}
