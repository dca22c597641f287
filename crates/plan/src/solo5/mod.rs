//! Solo5 images: ELF rules, ABI note and manifest. Bytes in, facts out.
//!
//! The rules are those of Solo5's own tenders (`elf_load`, `mft_validate`), which are stricter than ELF: a static
//! executable, page-separated segments, nothing both writable and executable.

mod elf;
mod notes;

use serde::{Deserialize, Serialize};

use crate::read::ReadAt;

/// ABI target number of the `hvt` tender (`solo5/elf_abi.h`).
pub const TARGET_HVT: u32 = 1;
/// ABI target number of the `spt` tender.
pub const TARGET_SPT: u32 = 2;
/// ABI target number of images that are virtual machines: QEMU loads them, by its own rules.
pub const TARGET_VIRTIO: u32 = 3;
/// Lowest address of a segment and of the entry point.
pub const LOWEST_ADDRESS: u64 = 0x10_0000;
/// Size of the pages that segments are rounded to, bytes.
pub const PAGE: u64 = 0x1000;
/// Longest device name, bytes without the terminator.
pub const MAX_NAME: usize = 67;
/// Longest command line, bytes without the terminator.
pub const MAX_CMDLINE: usize = 8191;

/// What the headers and notes of a Solo5 image say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Solo5Image {
    /// ABI target number of the note: 1 hvt, 2 spt, 3 virtio, 4 muen, 6 xen.
    pub target: u32,
    /// ABI version.
    pub version: u32,
    /// ELF machine number: 62 x86_64, 183 aarch64.
    pub machine: u16,
    /// End of the last loadable segment, a pure .bss one included: the least memory the image needs, bytes.
    pub end: u64,
    /// Declared devices in manifest order, without the reserved first entry.
    pub devices: Vec<Declared>,
}

/// One declared device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Declared {
    /// Name: 1–67 ASCII letters and digits.
    pub name: String,
    /// True for NET_BASIC, false for BLOCK_BASIC.
    pub net: bool,
}

/// How the image is brought into memory; read again by the tender, never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Entry point, inside an executable segment.
    pub entry: u64,
    /// End of the last loaded segment, page-aligned: `kernel_end` of the boot information.
    pub kernel_end: u64,
    /// Segments by ascending address; they share no page.
    pub segments: Vec<Segment>,
}

/// A part of the file and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Position in the file.
    pub offset: u64,
    /// Guest address.
    pub vaddr: u64,
    /// Bytes of the file, never 0.
    pub filesz: u64,
    /// Bytes in memory; the rest is zero.
    pub memsz: u64,
    /// PT_LOAD flags: 4 read, 2 write, 1 execute; never write and execute.
    pub flags: u32,
}

impl Segment {
    /// First page.
    pub fn start(&self) -> u64 {
        self.vaddr & !(PAGE - 1)
    }

    /// End of the last page. No overflow: checked by [`parse_load`].
    pub fn end(&self) -> u64 {
        (self.vaddr + self.memsz).next_multiple_of(PAGE)
    }
}

/// Reads the facts of an image; `None` when the file is not a Solo5 image (no 64-bit little-endian ELF, or no ABI
/// note). The error of a broken image names the rule and the offset or program header.
pub fn parse(file: &dyn ReadAt) -> Result<Option<Solo5Image>, String> {
    Ok(parse_load(file)?.map(|(image, _)| image))
}

/// [`parse`], with the load list.
pub fn parse_load(file: &dyn ReadAt) -> Result<Option<(Solo5Image, Load)>, String> {
    let Some(elf) = elf::Headers::read(file)? else { return Ok(None) };
    let Some(notes) = notes::read(file, &elf.programs)? else { return Ok(None) };
    let load = match elf.load(file.size()) {
        Err(_) if notes.target == TARGET_VIRTIO => Load { entry: 0, kernel_end: 0, segments: Vec::new() },
        load => load?,
    };
    let image = Solo5Image {
        target: notes.target,
        version: notes.version,
        machine: elf.machine,
        end: elf.memory_end()?.max(load.kernel_end),
        devices: notes.devices,
    };
    Ok(Some((image, load)))
}
