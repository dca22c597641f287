//! What the monitor tells: command line and initrd, by either boot protocol.

use core::str;

/// How the guest was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `struct hvm_start_info` (Xen, `arch-x86/hvm/start_info.h`).
    Pvh,
    /// `struct boot_params`, the zero page (Linux, `arch/x86/zero-page.rst`).
    Linux,
    /// Boot information of multiboot 0.6.96, section 3.3.
    Multiboot,
}

/// What a guest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootInfo {
    /// How it was entered.
    pub protocol: Protocol,
    /// Command line; empty when it is not UTF-8.
    pub cmdline: &'static str,
    /// Initrd, or first module.
    pub initrd: Option<&'static [u8]>,
}

/// Memory at an address, or `None` where there is none.
pub type Memory<'a> = &'a dyn Fn(u64, usize) -> Option<&'static [u8]>;

/// Longest command line, bytes: more than any monitor takes.
const LONGEST: usize = 8 << 10;
/// What the entry of Linux tells, and multiboot loaders in eax.
const LINUX: u32 = u32::from_le_bytes(*b"HdrS");
const MULTIBOOT: u32 = 0x2bad_b002;
/// `XEN_HVM_START_MAGIC_VALUE`.
const START: [u8; 4] = 0x336e_c578u32.to_le_bytes();
/// `struct hvm_start_info` before its memory map, bytes.
const START_SIZE: usize = 40;

impl Protocol {
    /// The protocol by what the entry was told, and what is at the address.
    pub fn of(told: u32, address: u64, memory: Memory<'_>) -> Self {
        // Firmware of QEMU's microvm has one value for multiboot and PVH.
        let is_start = || memory(address, 4).is_some_and(|start| start == START);
        match told {
            LINUX => Self::Linux,
            MULTIBOOT if !is_start() => Self::Multiboot,
            _ => Self::Pvh,
        }
    }
}

impl BootInfo {
    /// Reads it from where the monitor says it is; nothing is told when that makes no sense.
    pub fn read(protocol: Protocol, address: u64, memory: Memory<'_>) -> Self {
        let found = match protocol {
            Protocol::Pvh => pvh(address, memory),
            Protocol::Linux => linux(address, memory),
            Protocol::Multiboot => multiboot(address, memory),
        };
        let (cmdline, initrd) = found.unwrap_or_default();
        Self { protocol, cmdline: text(cmdline, memory), initrd }
    }
}

/// Address of the command line, and the initrd.
type Found = (u64, Option<&'static [u8]>);

fn pvh(address: u64, memory: Memory<'_>) -> Option<Found> {
    let start = memory(address, START_SIZE)?;
    if start[..4] != START {
        return None;
    }
    let initrd = || {
        let modules = u32::from_le_bytes(array(start, 12)?);
        let module = memory(quad(start, 16)?, 16).filter(|_| modules > 0)?;
        memory(quad(module, 0)?, usize::try_from(quad(module, 8)?).ok()?)
    };
    Some((quad(start, 24)?, initrd()))
}

fn linux(address: u64, memory: Memory<'_>) -> Option<Found> {
    let page = memory(address, 4096)?;
    if page[0x202..0x206] != *b"HdrS" {
        return None;
    }
    // The upper halves came later, and elsewhere.
    let wide = |low, high| {
        let halves = [high, low].map(|at| array(page, at).map_or(0, u32::from_le_bytes));
        u64::from(halves[0]) << 32 | u64::from(halves[1])
    };
    let (image, size) = (wide(0x218, 0xc0), wide(0x21c, 0xc4));
    let initrd = usize::try_from(size).ok().filter(|size| *size > 0).and_then(|size| memory(image, size));
    Some((wide(0x228, 0xc8), initrd))
}

fn multiboot(address: u64, memory: Memory<'_>) -> Option<Found> {
    const HAS_CMDLINE: u32 = 1 << 2;
    const HAS_MODULES: u32 = 1 << 3;
    let word = |bytes, at| array(bytes, at).map(u32::from_le_bytes);
    let info = memory(address, 28)?;
    let flags = word(info, 0)?;
    let initrd = || {
        let has_one = flags & HAS_MODULES != 0 && word(info, 20)? > 0;
        let module = memory(word(info, 24)?.into(), 8).filter(|_| has_one)?;
        let [start, end] = [word(module, 0)?, word(module, 4)?];
        memory(start.into(), end.checked_sub(start)? as usize)
    };
    let cmdline = if flags & HAS_CMDLINE == 0 { 0 } else { word(info, 16)? };
    Some((cmdline.into(), initrd()))
}

fn text(address: u64, memory: Memory<'_>) -> &'static str {
    let bytes = memory(address, LONGEST).unwrap_or_default();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
    str::from_utf8(&bytes[..end]).unwrap_or_default()
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn quad(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec;

    /// A machine of 64 KiB that holds these parts.
    fn machine(parts: &[(usize, &[u8])]) -> impl Fn(u64, usize) -> Option<&'static [u8]> + use<> {
        let mut bytes = vec![0; 64 << 10];
        for (at, part) in parts {
            bytes[*at..at + part.len()].copy_from_slice(part);
        }
        let bytes: &'static [u8] = Box::leak(bytes.into_boxed_slice());
        move |address, len| bytes.get(address as usize..)?.get(..len)
    }

    fn start(modules: u32, list: u64, cmdline: u64) -> std::vec::Vec<u8> {
        let parts: [&[u8]; 4] = [&START, &1u32.to_le_bytes(), &[0; 4], &modules.to_le_bytes()];
        let addresses = [list, cmdline, 0].map(u64::to_le_bytes);
        [parts.concat(), addresses.concat()].concat()
    }

    #[test]
    fn pvh_tells_command_line_and_first_module() {
        let list = [0x5000u64, 5, 0, 0].map(u64::to_le_bytes).concat();
        let memory = machine(&[
            (0x1000, &start(1, 0x2000, 0x3000)),
            (0x2000, &list),
            (0x3000, b"a b\0c"),
            (0x5000, b"files"),
        ]);
        let info = BootInfo::read(Protocol::Pvh, 0x1000, &memory);
        assert_eq!((info.cmdline, info.initrd), ("a b", Some(&b"files"[..])));
        let memory = machine(&[(0x1000, &start(0, 0x2000, 0x3000)), (0x2000, &list), (0x3000, b"\xff\0")]);
        let info = BootInfo::read(Protocol::Pvh, 0x1000, &memory);
        assert_eq!((info.cmdline, info.initrd), ("", None));
    }

    #[test]
    fn the_zero_page_tells_command_line_and_initrd() {
        let words: [(usize, &[u8]); 6] = [
            (0x7202, b"HdrS"),
            (0x7218, &[0, 0x50, 0, 0]),
            (0x721c, &[5, 0, 0, 0]),
            (0x7228, &[0, 0x30, 0, 0]),
            (0x3000, b"console=ttyS0 x\0"),
            (0x5000, b"files"),
        ];
        let info = BootInfo::read(Protocol::Linux, 0x7000, &machine(&words));
        assert_eq!((info.cmdline, info.initrd), ("console=ttyS0 x", Some(&b"files"[..])));
        // Without an initrd, and one above of what there is.
        let none = [words[0], words[3], words[4]];
        assert_eq!(BootInfo::read(Protocol::Linux, 0x7000, &machine(&none)).initrd, None);
        let above = [&words[..], &[(0x70c0, &[1][..])]].concat();
        assert_eq!(BootInfo::read(Protocol::Linux, 0x7000, &machine(&above)).initrd, None);
    }

    #[test]
    fn multiboot_tells_command_line_and_first_module() {
        let tell = |flags: u32, modules: u32| {
            let words = [flags, 0, 0, 0, 0x3000, modules, 0x2000];
            let memory = machine(&[
                (0x1000, &words.map(u32::to_le_bytes).concat()),
                (0x2000, &[0x5000u32, 0x5005, 0, 0].map(u32::to_le_bytes).concat()),
                (0x3000, b"kernel a\0"),
                (0x5000, b"files"),
            ]);
            let info = BootInfo::read(Protocol::Multiboot, 0x1000, &memory);
            (info.cmdline, info.initrd)
        };
        assert_eq!(tell(0xc, 1), ("kernel a", Some(&b"files"[..])));
        assert_eq!(tell(0x4, 1), ("kernel a", None));
        assert_eq!(tell(0x8, 1), ("", Some(&b"files"[..])));
        assert_eq!(tell(0xc, 0), ("kernel a", None));
    }

    #[test]
    fn the_protocol_is_seen_in_what_is_told() {
        let memory = machine(&[(0x1000, &start(0, 0, 0))]);
        let of = |told, address| Protocol::of(told, address, &memory);
        assert_eq!(of(u32::from_le_bytes(*b"HdrS"), 0x7000), Protocol::Linux);
        assert_eq!(of(0x2bad_b002, 0x7000), Protocol::Multiboot);
        for told in [0, 1, 0x2bad_b002] {
            assert_eq!(of(told, 0x1000), Protocol::Pvh);
        }
    }

    #[test]
    fn what_makes_no_sense_tells_nothing() {
        let nothing = |protocol, address| {
            let memory = machine(&[(0x1000, &start(1, u64::MAX, u64::MAX)), (0x7000, &[0xff; 0x1000])]);
            let info = BootInfo::read(protocol, address, &memory);
            assert_eq!((info.cmdline, info.initrd), ("", None));
        };
        for address in [0, 0x1000, 0x2000, 0x7000, 0xfff0, u64::MAX] {
            nothing(Protocol::Pvh, address);
            nothing(Protocol::Linux, address);
            nothing(Protocol::Multiboot, address);
        }
    }
}
