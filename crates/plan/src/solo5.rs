//! Solo5 images: ELF rules, ABI note and manifest (bytes in, facts out; `reference/solo5.md` §2).

use serde::{Deserialize, Serialize};

/// What the headers and notes of a Solo5 image say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Solo5Image {
    /// ABI target number of the note: 1 hvt, 2 spt, 3 virtio, 4 muen, 6 xen.
    pub target: u32,
    /// ABI version.
    pub version: u32,
    /// End of the last loadable segment: the least memory the image needs, bytes.
    pub end: u64,
    /// Declared devices in manifest order, without the reserved first entry.
    pub devices: Vec<Declared>,
}

/// One declared device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Declared {
    /// Name, 1–67 characters.
    pub name: String,
    /// True for NET_BASIC, false for BLOCK_BASIC.
    pub net: bool,
}
