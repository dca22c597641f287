//! What a plan is: every side effect of a container's life as plain data, and the receipt that `delete` undoes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::input::{Namespace, Rlimit};

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

/// Two ways to run a monitor (ARCHITECTURE.md, "Two ways to run a monitor").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Init becomes the monitor; nothing of ours is left.
    Direct {
        /// Reason.
        why: String,
    },
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

/// Namespaces and what is set inside them before the jail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Namespaces {
    /// Entries; a private mount namespace is always among them.
    pub entries: Vec<Namespace>,
    /// sethostname(2) in a new UTS namespace.
    pub hostname: Option<String>,
    /// setdomainname(2).
    pub domainname: Option<String>,
    /// Files below `/proc/sys` and their values, only of namespaces that are the container's.
    pub sysctl: BTreeMap<String, String>,
    /// `/proc/self/timens_offsets` lines: clock, seconds, nanoseconds.
    pub time_offsets: Vec<(String, i64, u32)>,
}

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
#[serde(deny_unknown_fields)]
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

/// The private root: an own tmpfs that holds exactly this.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Root {
    /// What the root is made of.
    pub base: Base,
    /// Size limit of the tmpfs, bytes.
    pub tmpfs_bytes: u64,
    /// `linux.rootfsPropagation`: `rslave`, `rprivate`, `rshared`, …; of the root, never towards the host.
    pub propagation: String,
    /// Directories to make, in order.
    pub dirs: Vec<Dir>,
    /// Files of the image, bound read-only (or read-write) under fixed names.
    pub image_files: Vec<ImageFile>,
    /// Host files and directories, bound read-only at the same path.
    pub binds: Vec<Bind>,
    /// Host device nodes, bound into `/dev`.
    pub devices: Vec<String>,
    /// File systems to mount (`proc`, `devpts`, …).
    pub mounts: Vec<FsMount>,
    /// Symbolic links: (target, link path).
    pub links: Vec<(String, String)>,
    /// Generated files.
    pub files: Vec<GeneratedFile>,
    /// The root is remounted read-only at the end.
    pub readonly: bool,
}

/// What the new root is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// An empty tmpfs.
    #[default]
    Tmpfs,
    /// The image's own tree (the `process` monitor only).
    Image,
}

/// A directory of the private root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dir {
    /// Absolute path in the private root.
    pub path: String,
    /// Mode bits.
    pub mode: u32,
    /// Owner is the container's user instead of root.
    pub owned: bool,
}

/// A file of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFile {
    /// Path inside the image, resolved with RESOLVE_IN_ROOT.
    pub source: String,
    /// Fixed name in the private root (`/guest/kernel`), or the name of an inherited descriptor for built-ins.
    pub target: String,
    /// The key that named it, for errors.
    pub key: String,
    /// The guest may write to it.
    pub writable: bool,
}

/// A host path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Host path; also the path in the private root.
    pub path: String,
    /// Whether it is a directory.
    pub dir: bool,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsMount {
    /// `proc`, `devpts`, `tmpfs`, `mqueue`, `sysfs`.
    pub kind: String,
    /// What mountinfo shows as its source.
    pub source: String,
    /// Absolute path in the private root.
    pub target: String,
    /// Data string, as mount(2) takes it.
    pub data: String,
}

/// A file written by us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedFile {
    /// Absolute path in the private root.
    pub path: String,
    /// Mode bits.
    pub mode: u32,
    /// Owner is the container's user instead of root.
    pub owned: bool,
    /// Content.
    pub content: String,
}

/// Who the monitor is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Exactly these supplementary groups.
    pub groups: Vec<u32>,
    /// umask(2).
    pub umask: u32,
    /// Capabilities kept in every set; empty unless a monitor's file names one.
    pub capabilities: Vec<String>,
    /// PR_SET_NO_NEW_PRIVS; always true.
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

/// A tap device and its connection to the container's device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    /// First free `tapN_urunc`.
    pub name: String,
    /// Device of the container.
    pub device: String,
    /// Its interface index.
    pub device_index: u32,
    /// MTU, bytes.
    pub mtu: u32,
    /// Owner of the tap.
    pub uid: u32,
    /// Group of the tap.
    pub gid: u32,
    /// TUNSETIFF with IFF_VNET_HDR.
    pub vnet_hdr: bool,
    /// Interface alias: the owner record. `{id}` only; pid and start time are appended by `start`.
    pub alias: String,
    /// The guest's hardware address.
    pub mac: String,
    /// Address and prefix length of the guest.
    pub ipv4: Option<(std::net::Ipv4Addr, u8)>,
    /// Default gateway.
    pub gateway: Option<std::net::Ipv4Addr>,
    /// Nameservers.
    pub nameservers: Vec<String>,
}

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
    /// A listening Unix stream socket bound at this path of the private root, mode 0600, owned by the user.
    Listener(String),
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
    /// QMP greeting on the listener at this path of the private root.
    Qmp(String),
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
    /// The tap of [`LaunchPlan::net`].
    Net {
        /// Hardware address told to the guest.
        mac: String,
        /// MTU told to the guest.
        mtu: u16,
    },
    /// The image file whose target is this name.
    Block {
        /// [`ImageFile::target`].
        file: String,
        /// Sector size, bytes.
        sector_size: u16,
        /// Opened read-write.
        writable: bool,
    },
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
