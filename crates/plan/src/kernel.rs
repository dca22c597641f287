//! What kind of kernel a file is, from its first bytes: ELF class and machine, Solo5 notes, multiboot, bzImage.

use serde::{Deserialize, Serialize};

/// Facts about the kernel file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelFacts {
    /// Size in bytes.
    pub bytes: u64,
    /// Container format.
    pub format: KernelFormat,
    /// `x86_64`, `aarch64`, `i386`, or the ELF machine number in decimal.
    pub machine: String,
    /// Solo5 image: checked headers, ABI and manifest.
    pub solo5: Option<crate::solo5::Solo5Image>,
    /// Why the file cannot be used, if its headers are broken; names offset and rule.
    pub broken: Option<String>,
}

/// Container format of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KernelFormat {
    /// None of the others.
    #[default]
    Unknown,
    /// 64-bit ELF.
    Elf64,
    /// 32-bit ELF (an EM_386 multiboot kernel is a QEMU kernel).
    Elf32,
    /// Linux x86 boot protocol.
    Bzimage,
    /// Linux arm64 Image.
    Arm64Image,
}
