//! Solo5 images: good ones, one defect at a time, and noise.
#![allow(unreachable_pub, missing_docs, clippy::unwrap_used, clippy::cast_possible_truncation)]

mod image;

use image::{Image, program};
use proptest::prelude::*;
use urunc_plan::read::ReadAt;
use urunc_plan::solo5::{Declared, Load, Segment, Solo5Image, parse, parse_load};

struct Bytes<'a>(&'a [u8]);

impl ReadAt for Bytes<'_> {
    fn size(&self) -> u64 {
        self.0.size()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> bool {
        self.0.read_at(offset, buf)
    }
}

fn sample() -> Vec<u8> {
    let mut image = Image::new(&[0xf4; 100], &[7; 5000]);
    image.devices = vec![("storage", false), ("service", true)];
    image.parts[1].zeroes = 10_000;
    image.build()
}

/// Position of the descriptor of the manifest note in [`sample`]: version, then entries.
fn manifest(file: &[u8]) -> usize {
    file.windows(12).position(|w| w == b"MFT1Solo5\0\0\0").unwrap() + 12 + 4
}

#[test]
fn a_good_image_tells_target_devices_and_load_list() {
    let file = sample();
    let (image, load) = parse_load(&Bytes(&file)).unwrap().unwrap();
    let declared = |name: &str, net| Declared { name: name.to_owned(), net };
    let devices = vec![declared("storage", false), declared("service", true)];
    let machine = u16::from_le_bytes([file[18], file[19]]);
    assert_eq!(image, Solo5Image { target: 2, version: 2, machine, end: 0x10_6000, devices });
    let segment = |index: usize, vaddr, filesz, memsz, flags| {
        let at = program(index) + 8;
        let offset = u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
        Segment { offset, vaddr, filesz, memsz, flags }
    };
    let segments = vec![segment(0, 0x10_0000, 100, 100, 5), segment(1, 0x10_2000, 5000, 15_000, 6)];
    assert_eq!(load, Load { entry: 0x10_0000, kernel_end: 0x10_6000, segments });
}

#[test]
fn a_segment_without_file_bytes_needs_memory_but_is_not_loaded() {
    let mut image = Image::new(&[0xf4; 8], &[1]);
    image.parts.push(image::Part { vaddr: 0x20_0000, flags: 6, bytes: Vec::new(), zeroes: 0x1800 });
    let (facts, load) = parse_load(&Bytes(&image.build())).unwrap().unwrap();
    assert_eq!((facts.end, load.kernel_end, load.segments.len()), (0x20_2000, 0x10_3000, 2));
}

#[test]
fn sixty_three_devices_are_the_most() {
    let names: Vec<&'static str> = (0..64).map(|n| &*format!("d{n}").leak()).collect();
    let mut image = Image::new(&[0xf4], &[1]);
    image.devices = names.iter().take(63).map(|name| (*name, false)).collect();
    assert_eq!(parse(&Bytes(&image.build())).unwrap().unwrap().devices.len(), 63);
    image.devices = names.iter().map(|name| (*name, false)).collect();
    let error = parse(&Bytes(&image.build())).unwrap_err();
    assert!(error.contains("65 entries, not 1 to 64"), "{error}");
}

#[test]
fn files_that_are_not_solo5_are_told_from_broken_ones() {
    let mut linux = sample();
    let abi = linux.windows(4).position(|w| w == b"ABI1").unwrap();
    linux[abi] = b'X';
    for (what, file) in [
        ("empty", &b""[..]),
        ("text", b"#!/bin/sh\n"),
        ("magic alone", b"\x7fELF"),
        ("32-bit", b"\x7fELF\x01\x01\x01\0"),
        ("big-endian", b"\x7fELF\x02\x02\x01\0"),
        ("no ABI note", &linux),
    ] {
        assert_eq!(parse(&Bytes(file)), Ok(None), "{what}");
    }
}

/// One patch of a good file, and what the error must name.
type Defect = (&'static str, usize, &'static [u8], &'static str);

#[test]
fn each_defect_is_named() {
    let good = sample();
    let mft = manifest(&good);
    let (entry0, entry1, entry2) = (mft + 8, mft + 112, mft + 216);
    let max: &[u8] = &[0xff; 8];
    let defects: &[Defect] = &[
        ("shared object", 16, &[3, 0], "e_type is 3"),
        ("machine", 18, &[8, 0], "e_machine is 8"),
        ("version", 20, &[2], "e_version is 2"),
        ("entry in data", 24, &[0, 0x20, 0x10], "entry point 0x102000 is in no executable segment"),
        ("entry outside", 24, max, "entry point 0xffffffffffffffff"),
        ("program header offset", 32, max, "program headers: 4 at offset 0xffffffffffffffff"),
        ("header size", 52, &[63], "e_ehsize is 63"),
        ("program header size", 54, &[57], "e_phentsize is 57"),
        ("program header count", 56, &[0xff, 0xff], "65535 program headers"),
        (
            "write and execute",
            program(0) + 4,
            &[7],
            "program header 0: the segment is both writable and executable",
        ),
        ("offset", program(1) + 8, max, "program header 1: 0x1388 bytes at offset 0xffffffffffffffff"),
        ("below 1 MiB", program(0) + 16, &[0xff, 0xff, 0x0f], "program header 0: p_vaddr 0xfffff is below"),
        ("overlap", program(1) + 16, &[0, 0, 0x10], "program header 1: p_vaddr 0x100000 overlaps"),
        ("same page", program(1) + 16, &[0x80, 0, 0x10], "program header 1: p_vaddr 0x100080 overlaps"),
        ("wrap", program(1) + 16, max, "program header 1: p_vaddr + p_memsz wraps"),
        ("size", program(1) + 40, &[1, 0], "p_memsz 0x1 is less than p_filesz 0x1388"),
        ("huge", program(1) + 40, max, "program header 1: p_vaddr + p_memsz wraps"),
        ("alignment 0", program(0) + 48, &[0], "p_align is 0x0"),
        ("alignment 3", program(0) + 48, &[3], "p_align is 0x3"),
        (
            "second ABI note",
            program(3) + 8,
            &good[program(2) + 8..program(2) + 16].to_vec().leak()[..],
            "a second Solo5 note",
        ),
        ("ABI note size", note_size(&good, b"ABI1"), &[12], "ABI note: n_descsz is 12"),
        ("ABI note too long", note_size(&good, b"ABI1"), &max[..4], "program header 2: n_descsz"),
        ("no manifest", mft - 16, b"X", "no manifest note"),
        ("manifest size", note_size(&good, b"MFT1"), &[100, 0], "program header 3: manifest: n_descsz"),
        ("manifest version", mft, &[2], "manifest: version is 2"),
        ("no entries", mft + 4, &[0], "manifest: 0 entries"),
        ("many entries", mft + 4, &[65], "manifest: 65 entries"),
        ("fewer entries", mft + 4, &[2], "does not fit 2 entries"),
        ("first entry's name", entry0, b"x", "entry 0: is not the reserved first entry"),
        ("first entry's type", entry0 + 68, &[1, 0, 0, 0], "entry 0: is not the reserved first entry"),
        ("unterminated name", entry1 + 67, b"x", "entry 1: the name is not NUL-terminated"),
        ("path as name", entry1, b"../", "entry 1: the name is not made of ASCII letters"),
        ("no name", entry1, &[0], "entry 1: the name is not made of ASCII letters"),
        ("same name", entry2, b"storage", "entry 2: a second device named storage"),
        ("reserved type", entry2 + 68, &[0, 0, 0, 0x40], "entry 2: type 0x40000000"),
        ("unknown type", entry1 + 68, &[3], "entry 1: type 0x3"),
        ("attached", entry1 + 96, &[1], "entry 1: attached is set"),
    ];
    for (what, at, bytes, expected) in defects {
        let mut file = good.clone();
        file[*at..at + bytes.len()].copy_from_slice(bytes);
        let error = parse(&Bytes(&file)).expect_err(what);
        assert!(error.contains(expected), "{what}: {error}");
        assert!(!error.contains('\n') && !error.ends_with('.'), "{what}: {error}");
    }
}

fn note_size(file: &[u8], kind: &[u8]) -> usize {
    file.windows(4).position(|w| w == kind).unwrap() - 4
}

#[test]
fn a_file_cut_anywhere_is_no_image_or_broken() {
    let file = sample();
    for len in 0..file.len() {
        // Only the padding behind the last note is not needed.
        let cut = parse(&Bytes(&file[..len]));
        assert!(
            len >= manifest(&file) + 8 + 3 * 104 || !matches!(cut, Ok(Some(_))),
            "{len} of {}",
            file.len()
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(noise in prop::collection::vec(any::<u8>(), 0..2000), elf: bool) {
        let head: &[u8] = if elf { b"\x7fELF\x02\x01" } else { b"" };
        let _ = parse_load(&Bytes(&[head, &noise].concat()));
    }

    /// What survives random damage still obeys the loader's rules.
    #[test]
    fn damaged_images_are_refused_or_sound(
        patches in prop::collection::vec((0usize..1000, prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x80)]), 1..8)
    ) {
        let mut file = sample();
        for (at, byte) in patches {
            file[at] = byte;
        }
        let Ok(Some((image, load))) = parse_load(&Bytes(&file)) else { return Ok(()) };
        prop_assert!(image.devices.len() <= 63 && image.end >= load.kernel_end);
        let mut end = 0x10_0000;
        for segment in &load.segments {
            prop_assert!(segment.start() >= end && segment.end() > segment.start());
            prop_assert!(segment.offset + segment.filesz <= file.len() as u64);
            prop_assert!(segment.filesz <= segment.memsz && segment.flags & 3 != 3);
            end = segment.end();
        }
        prop_assert_eq!(end, load.kernel_end);
    }
}
