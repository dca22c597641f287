//! `kernel::inspect` on made files: every format, every truncation, arbitrary bytes.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use urunc_plan::kernel::{KernelFacts, KernelFormat, inspect};

fn facts(bytes: &[u8]) -> KernelFacts {
    inspect(&bytes)
}

/// An executable with two program headers: 64 bytes of code at its end, and an empty one.
fn elf(wide: bool, machine: u16) -> Vec<u8> {
    let (header, entry, offset, filesz) = if wide { (64, 56, 8, 32) } else { (52, 32, 4, 16) };
    let mut file = vec![0; header + 2 * entry + 64];
    file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1]);
    let mut half = |at: usize, value: usize| {
        file[at..at + 2].copy_from_slice(&u16::try_from(value).unwrap().to_le_bytes());
    };
    half(16, 2);
    half(18, usize::from(machine));
    half(if wide { 32 } else { 28 }, header);
    half(if wide { 54 } else { 42 }, entry);
    half(if wide { 56 } else { 44 }, 2);
    half(header, 1);
    half(header + offset, header + 2 * entry);
    half(header + filesz, 64);
    file
}

fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 512 * 2 + 160];
    file[0x1f1] = 1;
    file[0x1f4] = 10;
    file[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x236] = 1;
    file
}

#[test]
fn formats() {
    let arm64 = [vec![0; 0x38], b"ARM\x64".to_vec(), vec![0; 64]].concat();
    let table = [
        (elf(true, 62), KernelFormat::Elf64, "x86_64"),
        (elf(true, 183), KernelFormat::Elf64, "aarch64"),
        (elf(true, 243), KernelFormat::Elf64, "243"),
        (elf(false, 3), KernelFormat::Elf32, "i386"),
        (bzimage(), KernelFormat::Bzimage, "x86_64"),
        (arm64, KernelFormat::Arm64Image, "aarch64"),
        (b"#!/bin/sh\n".to_vec(), KernelFormat::Unknown, ""),
    ];
    for (file, format, machine) in table {
        let facts = facts(&file);
        assert_eq!((facts.format, facts.machine.as_str(), facts.broken), (format, machine, None));
        assert_eq!(facts.bytes, file.len() as u64);
        assert_eq!(facts.solo5, None);
    }
}

#[test]
fn every_truncation_is_broken_or_unknown() {
    for file in [elf(true, 62), elf(false, 3), bzimage()] {
        for length in 0..file.len() {
            let facts = facts(&file[..length]);
            let broken = facts.broken.is_some();
            assert!(broken || facts.format == KernelFormat::Unknown, "{length} bytes: {facts:?}");
            if facts.format != KernelFormat::Unknown {
                assert!(facts.broken.unwrap().starts_with("truncated at "), "{length} bytes");
            }
        }
    }
}

#[test]
fn broken_headers_are_named() {
    let broken = |change: fn(&mut Vec<u8>)| {
        let mut file = elf(true, 62);
        change(&mut file);
        facts(&file).broken.unwrap()
    };
    assert_eq!(facts(&[]).broken.unwrap(), "the file is empty");
    assert_eq!(broken(|file| file[4] = 3), "ELF class 3 is neither 32 nor 64 bit");
    assert_eq!(broken(|file| file[5] = 2), "the ELF file is not little-endian");
    assert_eq!(broken(|file| file[16] = 1), "ELF type 1 is not an executable");
    assert_eq!(broken(|file| file[56] = 0), "0 program headers, expected 1 to 128");
    assert_eq!(broken(|file| file[56..58].fill(0xff)), "65535 program headers, expected 1 to 128");
    assert_eq!(broken(|file| file[54] = 32), "program headers of 32 bytes, expected 56");
    assert_eq!(
        broken(|file| file[32..40].fill(0xff)),
        "truncated at program header 0: the file has 240 bytes"
    );
    assert_eq!(
        broken(|file| file[72..80].fill(0xff)),
        "truncated at the content of program header 0: the file has 240 bytes"
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        mut file in prop::collection::vec(any::<u8>(), 0..1400),
        base in prop::sample::select(vec![0_u8, 1, 2, 3]),
        holes in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        // Half-valid files reach deeper than noise.
        let model = match base { 0 => Vec::new(), 1 => elf(true, 62), 2 => elf(false, 3), _ => bzimage() };
        let noise = file.clone();
        for (at, byte) in model.iter().enumerate().take(file.len()) {
            file[at] = *byte;
        }
        for hole in holes.iter().filter(|_| !noise.is_empty()) {
            let at = hole.index(noise.len());
            file[at] = noise[at];
        }
        let facts = facts(&file);
        prop_assert!(facts.solo5.is_none() || facts.format == KernelFormat::Elf64);
        prop_assert!(facts.broken.is_none_or(|why| !why.contains('\n') && why.len() < 200));
    }
}

/// The file with a note segment at its end, in place of the empty second program header.
fn with_note(mut file: Vec<u8>, name: [u8; 4], kind: u32) -> Vec<u8> {
    let wide = file[4] == 2;
    let (entry, offset, filesz) = if wide { (64 + 56, 8, 32) } else { (52 + 32, 4, 16) };
    let at = u32::try_from(file.len()).unwrap();
    for word in [4, 4, kind] {
        file.extend(u32::to_le_bytes(word));
    }
    file.extend(name);
    file.extend(0x10_0000_u32.to_le_bytes());
    file[entry..entry + 4].copy_from_slice(&4_u32.to_le_bytes());
    file[entry + offset..entry + offset + 4].copy_from_slice(&at.to_le_bytes());
    file[entry + filesz..entry + filesz + 4].copy_from_slice(&20_u32.to_le_bytes());
    file
}

#[test]
fn xens_entry_note_and_no_other_is_a_pvh_entry() {
    for (wide, machine) in [(true, 62), (false, 3)] {
        assert!(!facts(&elf(wide, machine)).pvh);
        assert!(facts(&with_note(elf(wide, machine), *b"Xen\0", 18)).pvh);
        assert!(!facts(&with_note(elf(wide, machine), *b"Xen\0", 17)).pvh);
        assert!(!facts(&with_note(elf(wide, machine), *b"GNU\0", 18)).pvh);
    }
    assert!(!facts(&with_note(elf(true, 183), *b"Xen\0", 18)).pvh);
}

#[test]
fn a_multiboot_header_needs_its_sum_and_a_file_that_qemu_loads() {
    let header = |file: Vec<u8>, flags: u32, sum: u32| {
        let mut file = file;
        for word in [0x1bad_b002, flags, sum] {
            file.extend(u32::to_le_bytes(word));
        }
        facts(&file).multiboot
    };
    let sum = |flags: u32| 0_u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags);
    assert!(header(elf(false, 3), 3, sum(3)));
    assert!(!header(elf(false, 3), 3, sum(2)));
    assert!(!header(elf(true, 62), 3, sum(3)), "a 64-bit file without addresses in its header");
    assert!(header(elf(true, 62), 1 << 16, sum(1 << 16)));
    assert!(header(elf(true, 3), 0, sum(0)), "Mewz: of the 64-bit class, for an i386");
    assert!(!header(elf(false, 62), 0, sum(0)), "QEMU wants an i386");
}

/// The file with a table of section names at its end, that the second of two section headers points to.
fn with_sections(mut file: Vec<u8>, names: &[u8]) -> Vec<u8> {
    let wide = file[4] == 2;
    let (table, count, entry, offset, size) = if wide { (40, 58, 64, 24, 32) } else { (32, 46, 40, 16, 20) };
    let names_at = u32::try_from(file.len()).unwrap();
    file.extend(names);
    let headers = u32::try_from(file.len()).unwrap();
    file.extend(vec![0; 2 * entry]);
    let mut word = |at: usize, value: u32| file[at..at + 4].copy_from_slice(&value.to_le_bytes());
    let second = usize::try_from(headers).unwrap() + entry;
    word(table, headers);
    word(second + offset, names_at);
    word(second + size, u32::try_from(names.len()).unwrap());
    let mut half = |at: usize, value: usize| {
        file[at..at + 2].copy_from_slice(&u16::try_from(value).unwrap().to_le_bytes());
    };
    half(count, entry);
    half(count + 2, 2);
    half(count + 4, 1);
    file
}

#[test]
fn section_names_tell_the_guest() {
    let table: [(&[u8], &str); 6] = [
        (b"\0.text\0.uk_bootinfo\0", "unikraft"),
        (b"\0.text\0.uk_inittab\0.bss\0", "unikraft"),
        (b"\0.text\0.tracepoint_patch_sites\0", "osv"),
        (b"\0.text\0__ksymtab_gpl\0", "linux"),
        (b"\0.text\0.data..percpu\0", "linux"),
        (b"\0.text\0.data\0", ""),
    ];
    for (names, guest) in table {
        for (wide, machine) in [(true, 62), (false, 3)] {
            let file = with_sections(elf(wide, machine), names);
            assert_eq!(facts(&file).guest, guest);
            // Every shorter file tells the same or nothing.
            for length in 240..file.len() {
                let cut = facts(&file[..length]).guest;
                assert!(cut.is_empty() || cut == guest, "{length}: {cut}");
            }
        }
    }
    assert_eq!(facts(&elf(true, 62)).guest, "");
    assert_eq!(facts(&bzimage()).guest, "linux");
}

#[test]
fn an_application_of_hermit_is_known_by_its_abi() {
    let mut file = elf(true, 62);
    assert!(!facts(&file).hermit);
    file[7] = 255;
    assert!(facts(&file).hermit);
}
