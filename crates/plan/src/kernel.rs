//! What kind of kernel a file is, from its first bytes: ELF class and machine, Solo5 notes, multiboot, bzImage.

use serde::{Deserialize, Serialize};

use crate::machine::BootProtocol;
use crate::read::ReadAt;
use crate::solo5;

mod entries;
mod marks;

/// Facts about the kernel file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelFacts {
    /// Size in bytes.
    pub bytes: u64,
    /// Container format.
    pub format: KernelFormat,
    /// `x86_64`, `aarch64`, `i386`, or the ELF machine number in decimal.
    pub machine: String,
    /// An ELF file with Xen's PHYS32_ENTRY note (18).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pvh: bool,
    /// A multiboot 1 header that QEMU loads.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub multiboot: bool,
    /// The guest kind that the file is marked with; empty: it could be one of several.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub guest: String,
    /// An application of Hermit's, which is no kernel but what its loader starts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hermit: bool,
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

impl KernelFacts {
    fn is_solo5(&self, target: u32) -> bool {
        self.solo5.as_ref().is_some_and(|image| image.target == target)
    }

    /// Can the file get control by this protocol?
    pub fn entered_by(&self, boot: BootProtocol) -> bool {
        match boot {
            BootProtocol::Solo5Spt => self.is_solo5(solo5::TARGET_SPT),
            BootProtocol::Solo5Hvt => self.is_solo5(solo5::TARGET_HVT),
            BootProtocol::Bzimage => self.format == KernelFormat::Bzimage,
            BootProtocol::Pvh => self.pvh,
            BootProtocol::Linux64 => {
                // A multiboot header says that it begins with 32 bits.
                let plain = self.solo5.is_none() && !self.multiboot;
                self.format == KernelFormat::Elf64 && self.machine == "x86_64" && plain
            }
            // Solo5's images for Xen have its header, too, and do not come up without Xen.
            BootProtocol::Multiboot => {
                self.multiboot && (self.solo5.is_none() || self.is_solo5(solo5::TARGET_VIRTIO))
            }
            BootProtocol::Arm64Image => self.format == KernelFormat::Arm64Image,
            BootProtocol::Program => false,
        }
    }
}

/// Most program headers that are looked at; kernels have fewer than twenty.
const MAX_PROGRAM_HEADERS: u16 = 128;

/// Looks at the headers of a file. Whatever is wrong with them is a fact as well.
pub fn inspect(file: &dyn ReadAt) -> KernelFacts {
    let mut facts = KernelFacts { bytes: file.size(), ..KernelFacts::default() };
    if facts.bytes == 0 {
        facts.broken = Some("the file is empty".to_owned());
    } else if bytes::<4>(file, 0) == Some(*b"\x7fELF") {
        facts.broken = elf(file, &mut facts).err();
    } else if bytes::<2>(file, 0x1fe) == Some([0x55, 0xaa]) && bytes::<4>(file, 0x202) == Some(*b"HdrS") {
        facts.broken = bzimage(file, &mut facts).err();
    } else if bytes::<4>(file, 0x38) == Some(*b"ARM\x64") {
        facts.format = KernelFormat::Arm64Image;
        "linux".clone_into(&mut facts.guest);
        "aarch64".clone_into(&mut facts.machine);
    }
    facts
}

/// Where the two ELF classes keep what is needed here (gABI, "ELF Header", "Program Header").
struct Layout {
    header: u64,
    phoff: u64,
    phentsize: u64,
    entry_bytes: u16,
    offset: u64,
    filesz: u64,
    align: u64,
    wide: bool,
}

const ELF32: Layout = Layout {
    header: 52,
    phoff: 28,
    phentsize: 42,
    entry_bytes: 32,
    offset: 4,
    filesz: 16,
    align: 28,
    wide: false,
};
const ELF64: Layout = Layout {
    header: 64,
    phoff: 32,
    phentsize: 54,
    entry_bytes: 56,
    offset: 8,
    filesz: 32,
    align: 48,
    wide: true,
};

impl Layout {
    fn address(&self, file: &dyn ReadAt, at: u64) -> Option<u64> {
        if self.wide {
            bytes(file, at).map(u64::from_le_bytes)
        } else {
            bytes(file, at).map(u32::from_le_bytes).map(u64::from)
        }
    }
}

fn elf(file: &dyn ReadAt, facts: &mut KernelFacts) -> Result<(), String> {
    let header = || truncated(file, "the ELF header");
    let [class, data] = bytes::<2>(file, 4).ok_or_else(header)?;
    let layout = match class {
        1 => ELF32,
        2 => ELF64,
        _ => return Err(format!("ELF class {class} is neither 32 nor 64 bit")),
    };
    facts.format = if layout.wide { KernelFormat::Elf64 } else { KernelFormat::Elf32 };
    if data != 1 {
        return Err("the ELF file is not little-endian".to_owned());
    }
    if file.size() < layout.header {
        return Err(header());
    }
    facts.machine = match half(file, 18).ok_or_else(header)? {
        3 => "i386".to_owned(),
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        other => other.to_string(),
    };
    let kind = half(file, 16).ok_or_else(header)?;
    if !matches!(kind, 2 | 3) {
        return Err(format!("ELF type {kind} is not an executable"));
    }
    let (table, count) = programs(file, &layout)?;
    if entries::of_x86(file) {
        facts.pvh = entries::pvh(file, &layout, table, count);
        facts.multiboot = entries::multiboot(file, facts.machine == "i386");
    }
    facts.hermit = marks::of_hermit(file);
    marks::guest(file, &layout).unwrap_or_default().clone_into(&mut facts.guest);
    if layout.wide {
        facts.solo5 = solo5::parse(file)?;
    }
    Ok(())
}

/// Offset and number of the program headers. Each, and everything it points to, must lie in the file.
fn programs(file: &dyn ReadAt, layout: &Layout) -> Result<(u64, u16), String> {
    let header = || truncated(file, "the ELF header");
    let table = layout.address(file, layout.phoff).ok_or_else(header)?;
    let size = half(file, layout.phentsize).ok_or_else(header)?;
    let count = half(file, layout.phentsize + 2).ok_or_else(header)?;
    if count == 0 || count > MAX_PROGRAM_HEADERS {
        return Err(format!("{count} program headers, expected 1 to {MAX_PROGRAM_HEADERS}"));
    }
    if size != layout.entry_bytes {
        return Err(format!("program headers of {size} bytes, expected {}", layout.entry_bytes));
    }
    for index in 0..count {
        let name = || truncated(file, &format!("program header {index}"));
        let entry = table.checked_add(u64::from(index) * u64::from(size)).ok_or_else(name)?;
        let inside = entry.checked_add(u64::from(size)).is_some_and(|end| end <= file.size());
        if !inside {
            return Err(name());
        }
        let offset = layout.address(file, entry + layout.offset).ok_or_else(name)?;
        let filesz = layout.address(file, entry + layout.filesz).ok_or_else(name)?;
        if filesz != 0 && offset.checked_add(filesz).is_none_or(|end| end > file.size()) {
            return Err(truncated(file, &format!("the content of program header {index}")));
        }
    }
    Ok((table, count))
}

/// Setup header of the Linux x86 boot protocol (kernel documentation, `arch/x86/boot.rst`).
fn bzimage(file: &dyn ReadAt, facts: &mut KernelFacts) -> Result<(), String> {
    let header = || truncated(file, "the setup header");
    facts.format = KernelFormat::Bzimage;
    "linux".clone_into(&mut facts.guest);
    let xloadflags = half(file, 0x236).ok_or_else(header)?;
    if xloadflags & 1 == 1 { "x86_64" } else { "i386" }.clone_into(&mut facts.machine);
    let [sectors] = bytes::<1>(file, 0x1f1).ok_or_else(header)?;
    // For historical reasons 0 means 4; the boot sector comes on top.
    let setup = (u64::from(if sectors == 0 { 4 } else { sectors }) + 1) * 512;
    let system = u64::from(bytes(file, 0x1f4).map(u32::from_le_bytes).ok_or_else(header)?) * 16;
    if setup + system > file.size() {
        return Err(truncated(file, "the compressed kernel"));
    }
    Ok(())
}

fn truncated(file: &dyn ReadAt, what: &str) -> String {
    format!("truncated at {what}: the file has {} bytes", file.size())
}

fn bytes<const N: usize>(file: &dyn ReadAt, at: u64) -> Option<[u8; N]> {
    let mut buffer = [0; N];
    file.read_at(at, &mut buffer).then_some(buffer)
}

fn half(file: &dyn ReadAt, at: u64) -> Option<u16> {
    bytes(file, at).map(u16::from_le_bytes)
}
