//! The private root: an own tmpfs, and all that is in it.

use serde::{Deserialize, Serialize};

use crate::ordinary::Node;

/// The private root: an own tmpfs that holds exactly this.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
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
    /// Device nodes of config.json (the `process` monitor only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Node>,
    /// File systems to mount (`proc`, `devpts`, …).
    pub mounts: Vec<FsMount>,
    /// Symbolic links: (target, link path).
    pub links: Vec<(String, String)>,
    /// Generated files.
    pub files: Vec<GeneratedFile>,
    /// Paths that are hidden behind something empty, resolved below the root (the `process` monitor only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masked: Vec<String>,
    /// Paths that become read-only (the `process` monitor only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readonly_paths: Vec<String>,
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
    /// The image's own tree, entered where it lies: the mount namespace is not the container's, so nothing is mounted
    /// (the `process` monitor only).
    Chroot,
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
    /// The file is a cpio archive, copied and given this member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<Member>,
}

/// A file in a cpio archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its content.
    pub content: String,
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
    /// It is made read-only once it is furnished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub readonly: bool,
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
