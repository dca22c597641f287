//! Solo5 kernels with broken headers: the own hello guest, changed in one place each.

use super::{Row, create_is_refused};
use crate::bundle::Bundle;
use crate::harness::Case;
use crate::image::{KERNEL, bzimage, guest};
use crate::sandbox::Sandbox;
use std::fs;

// Offsets in the ELF header and in a program header, elf(5).
const CLASS: usize = 4;
const BYTE_ORDER: usize = 5;
const TYPE: usize = 16;
const MACHINE: usize = 18;
const ENTRY: usize = 24;
const PROGRAM_HEADERS: usize = 32;
const COUNT: usize = 56;
const FLAGS: usize = 4;
const OFFSET: usize = 8;
const ADDRESS: usize = 16;
const FILE_SIZE: usize = 32;
const MEMORY_SIZE: usize = 40;
const ALIGNMENT: usize = 48;

const LOAD: u32 = 1;
const NOTE: u32 = 4;

/// Changes the kernel's bytes.
fn changed(bundle: Bundle, change: impl FnOnce(&mut Vec<u8>)) -> Bundle {
    let path = bundle.rootfs().join(KERNEL);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
    bundle
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Offset of the first program header of a type.
fn header(bytes: &[u8], kind: u32) -> usize {
    let count = usize::from(u16::from_le_bytes([bytes[COUNT], bytes[COUNT + 1]]));
    let mut places = (0..count).map(|index| 64 + 56 * index);
    places.find(|at| bytes[*at..at + 4] == kind.to_le_bytes()).unwrap()
}

/// Changes a 64-bit field of the first program header of a type.
fn field(bundle: Bundle, kind: u32, offset: usize, value: u64) -> Bundle {
    changed(bundle, |bytes| {
        let at = header(bytes, kind) + offset;
        put(bytes, at, &value.to_le_bytes());
    })
}

/// Changes the note whose owner is Solo5: `at` counts from the note's description.
fn note(bundle: Bundle, at: usize, value: u32) -> Bundle {
    changed(bundle, |bytes| {
        let header = header(bytes, NOTE) + OFFSET;
        let start =
            usize::try_from(u64::from_le_bytes(bytes[header..header + 8].try_into().unwrap())).unwrap();
        let name = u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap()) as usize;
        put(bytes, start + 12 + name.next_multiple_of(4) + at, &value.to_le_bytes());
    })
}

/// On the spt bundle with the hello guest.
pub(super) const ROWS: &[Row] = &[
    ("a-kernel-that-is-empty", "binary", |b| changed(b, Vec::clear)),
    ("a-kernel-that-is-text", "binary", |b| changed(b, |bytes| *bytes = b"#!/bin/sh\necho\n".to_vec())),
    ("a-linux-kernel-on-spt", "binary", |b| changed(b, |bytes| *bytes = bzimage())),
    ("a-program-of-the-host-on-spt", "binary", |b| {
        changed(b, |bytes| *bytes = fs::read("/bin/busybox").unwrap())
    }),
    ("a-kernel-of-32-bits", "binary", |b| changed(b, |bytes| bytes[CLASS] = 1)),
    ("a-kernel-of-the-wrong-byte-order", "binary", |b| changed(b, |bytes| bytes[BYTE_ORDER] = 2)),
    ("a-kernel-for-aarch64", "binary", |b| changed(b, |bytes| put(bytes, MACHINE, &183u16.to_le_bytes()))),
    ("a-kernel-that-is-position-independent", "binary", |b| {
        changed(b, |bytes| put(bytes, TYPE, &3u16.to_le_bytes()))
    }),
    ("no-program-headers", "binary", |b| changed(b, |bytes| put(bytes, COUNT, &0u16.to_le_bytes()))),
    ("65535-program-headers", "binary", |b| changed(b, |bytes| put(bytes, COUNT, &u16::MAX.to_le_bytes()))),
    ("program-headers-past-the-end", "binary", |b| {
        changed(b, |bytes| put(bytes, PROGRAM_HEADERS, &(1u64 << 40).to_le_bytes()))
    }),
    ("program-headers-that-wrap", "binary", |b| {
        changed(b, |bytes| put(bytes, PROGRAM_HEADERS, &u64::MAX.to_le_bytes()))
    }),
    ("an-entry-outside-of-every-segment", "binary", |b| {
        changed(b, |bytes| put(bytes, ENTRY, &0u64.to_le_bytes()))
    }),
    ("a-segment-that-is-writable-and-executable", "binary", |b| {
        changed(b, |bytes| {
            let at = header(bytes, LOAD) + FLAGS;
            put(bytes, at, &7u32.to_le_bytes());
        })
    }),
    ("a-segment-past-the-end-of-the-file", "binary", |b| field(b, LOAD, OFFSET, 1 << 40)),
    ("a-segment-whose-offset-wraps", "binary", |b| field(b, LOAD, OFFSET, u64::MAX - 16)),
    ("a-segment-below-one-mebibyte", "binary", |b| field(b, LOAD, ADDRESS, 0x1000)),
    ("a-segment-whose-address-wraps", "binary", |b| field(b, LOAD, ADDRESS, u64::MAX - 0xfff)),
    ("a-segment-larger-in-the-file-than-in-memory", "binary", |b| field(b, LOAD, MEMORY_SIZE, 1)),
    ("a-segment-larger-than-the-memory", "memory", |b| {
        // The last one: another would run into its neighbour first.
        changed(b, |bytes| {
            let mut places = (0..6).map(|index| 64 + 56 * index);
            let last = places.rfind(|at| bytes[*at..at + 4] == LOAD.to_le_bytes()).unwrap();
            put(bytes, last + MEMORY_SIZE, &(1u64 << 45).to_le_bytes());
        })
    }),
    ("a-segment-whose-file-size-wraps", "binary", |b| field(b, LOAD, FILE_SIZE, u64::MAX)),
    ("a-segment-aligned-to-three", "binary", |b| field(b, LOAD, ALIGNMENT, 3)),
    ("no-solo5-note", "binary", |b| {
        changed(b, |bytes| {
            while let Some(at) =
                (0..6).map(|i| 64 + 56 * i).find(|at| bytes[*at..at + 4] == NOTE.to_le_bytes())
            {
                put(bytes, at, &0u32.to_le_bytes());
            }
        })
    }),
    ("a-solo5-note-for-another-target", "binary", |b| note(b, 0, 1)),
    ("a-solo5-note-of-version-nought", "binary", |b| note(b, 4, 0)),
    ("a-solo5-note-of-a-future-version", "binary", |b| note(b, 4, 99)),
];

/// The kernel cut in each header and in the middle.
pub(super) fn truncations() -> Vec<Case> {
    let lengths =
        [1, 4, 15, 16, 24, 32, 52, 56, 63, 64, 65, 64 + 55, 64 + 56, 64 + 6 * 56 - 1, 0x1000, 0x3000];
    let case = |length: usize| {
        Case::new("bad-image", format!("a-kernel-cut-after-{length}-bytes"), move |s: &Sandbox| {
            assert!(fs::metadata(guest("hello")).unwrap().len() > length as u64);
            let bundle = changed(s.bundle("b").spt("hello"), |bytes| bytes.truncate(length));
            create_is_refused(s, &bundle, "binary");
        })
    };
    lengths.into_iter().map(case).collect()
}
