//! Solo5 kernels with broken headers: the own hello guest, changed in one place each.

use super::{Row, create_is_refused};
use crate::bundle::Bundle;
use crate::harness::Case;
use crate::image::{KERNEL, SPT, bzimage, guest, idle_with};
use crate::sandbox::Sandbox;
use std::fs;
use urunc_plan::solo5::Declared;

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

// Offsets in a Solo5 manifest's note description (`mft_abi.h`): version, count, then entries of 104 bytes.
const ENTRIES: usize = 4;
const FIRST_ENTRY: usize = 8;
const ENTRY_SIZE: usize = 104;
const KIND: usize = 68;
const ATTACHED: usize = 96;

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

/// The last note is the manifest's: changes it from its description on.
fn manifest(bundle: Bundle, change: impl FnOnce(&mut [u8])) -> Bundle {
    changed(bundle, |bytes| {
        let count = usize::from(bytes[COUNT]);
        let header = (0..count).map(|index| 64 + 56 * index).rfind(|at| bytes[*at] == 4).unwrap();
        let start = usize::try_from(u64::from_le_bytes(bytes[header + 8..header + 16].try_into().unwrap()));
        // Header, owner "Solo5" and alignment of the manifest.
        change(&mut bytes[start.unwrap() + 12 + 12..]);
    })
}

/// An idle guest that declares these block devices.
fn declaring(bundle: Bundle, names: &[&str]) -> Bundle {
    let devices: Vec<_> =
        names.iter().map(|name| Declared { name: (*name).to_owned(), net: false }).collect();
    let path = bundle.rootfs().join(KERNEL);
    fs::write(path, idle_with(&devices)).unwrap();
    bundle
}

/// On the spt bundle with the hello guest.
pub(super) const ROWS: &[Row] = &[
    ("i-53-a-kernel-that-is-empty", "binary", |b| changed(b, Vec::clear)),
    ("i-53-a-kernel-that-is-text", "binary", |b| changed(b, |bytes| *bytes = b"#!/bin/sh\necho\n".to_vec())),
    ("i-53-a-linux-kernel-on-spt", "binary", |b| changed(b, |bytes| *bytes = bzimage())),
    ("i-53-a-program-of-the-host-on-spt", "binary", |b| {
        changed(b, |bytes| *bytes = fs::read("/bin/busybox").unwrap())
    }),
    ("i-53-a-kernel-of-32-bits", "binary", |b| changed(b, |bytes| bytes[CLASS] = 1)),
    ("i-53-a-kernel-of-the-wrong-byte-order", "binary", |b| changed(b, |bytes| bytes[BYTE_ORDER] = 2)),
    ("i-53-a-kernel-for-aarch64", "binary", |b| {
        changed(b, |bytes| put(bytes, MACHINE, &183u16.to_le_bytes()))
    }),
    ("i-53-a-kernel-that-is-position-independent", "binary", |b| {
        changed(b, |bytes| put(bytes, TYPE, &3u16.to_le_bytes()))
    }),
    ("i-54-no-program-headers", "binary", |b| changed(b, |bytes| put(bytes, COUNT, &0u16.to_le_bytes()))),
    ("i-54-65535-program-headers", "binary", |b| {
        changed(b, |bytes| put(bytes, COUNT, &u16::MAX.to_le_bytes()))
    }),
    ("i-54-program-headers-past-the-end", "binary", |b| {
        changed(b, |bytes| put(bytes, PROGRAM_HEADERS, &(1u64 << 40).to_le_bytes()))
    }),
    ("i-54-program-headers-that-wrap", "binary", |b| {
        changed(b, |bytes| put(bytes, PROGRAM_HEADERS, &u64::MAX.to_le_bytes()))
    }),
    ("i-55-an-entry-outside-of-every-segment", "binary", |b| {
        changed(b, |bytes| put(bytes, ENTRY, &0u64.to_le_bytes()))
    }),
    ("i-54-a-segment-that-is-writable-and-executable", "binary", |b| {
        changed(b, |bytes| {
            let at = header(bytes, LOAD) + FLAGS;
            put(bytes, at, &7u32.to_le_bytes());
        })
    }),
    ("i-54-a-segment-past-the-end-of-the-file", "binary", |b| field(b, LOAD, OFFSET, 1 << 40)),
    ("i-54-a-segment-whose-offset-wraps", "binary", |b| field(b, LOAD, OFFSET, u64::MAX - 16)),
    ("i-55-a-segment-below-one-mebibyte", "binary", |b| field(b, LOAD, ADDRESS, 0x1000)),
    ("i-54-a-segment-whose-address-wraps", "binary", |b| field(b, LOAD, ADDRESS, u64::MAX - 0xfff)),
    ("i-55-a-segment-larger-in-the-file-than-in-memory", "binary", |b| field(b, LOAD, MEMORY_SIZE, 1)),
    ("i-55-a-segment-larger-than-the-memory", "memory", |b| {
        // The last one: another would run into its neighbour first.
        changed(b, |bytes| {
            let mut places = (0..6).map(|index| 64 + 56 * index);
            let last = places.rfind(|at| bytes[*at..at + 4] == LOAD.to_le_bytes()).unwrap();
            put(bytes, last + MEMORY_SIZE, &(1u64 << 45).to_le_bytes());
        })
    }),
    ("i-54-a-segment-whose-file-size-wraps", "binary", |b| field(b, LOAD, FILE_SIZE, u64::MAX)),
    ("i-55-a-segment-aligned-to-three", "binary", |b| field(b, LOAD, ALIGNMENT, 3)),
    ("i-56-no-solo5-note", "binary", |b| {
        changed(b, |bytes| {
            while let Some(at) =
                (0..6).map(|i| 64 + 56 * i).find(|at| bytes[*at..at + 4] == NOTE.to_le_bytes())
            {
                put(bytes, at, &0u32.to_le_bytes());
            }
        })
    }),
    ("i-56-a-solo5-note-for-another-target", "binary", |b| note(b, 0, 1)),
    ("i-56-a-solo5-note-of-version-nought", "binary", |b| note(b, 4, 0)),
    ("i-53-a-kernel-that-is-an-object-file", "binary", |b| {
        changed(b, |bytes| put(bytes, TYPE, &1u16.to_le_bytes()))
    }),
    ("i-53-a-kernel-without-its-magic", "binary", |b| changed(b, |bytes| bytes[0] = 0)),
    ("i-54-segments-that-overlap", "binary", |b| {
        changed(b, |bytes| {
            let first = header(bytes, LOAD);
            let address: [u8; 8] = bytes[first + ADDRESS..first + ADDRESS + 8].try_into().unwrap();
            put(bytes, first + 56 + ADDRESS, &address);
        })
    }),
    ("i-54-a-program-header-of-another-size", "binary", |b| {
        changed(b, |bytes| put(bytes, 54, &55u16.to_le_bytes()))
    }),
    ("i-55-an-entry-below-the-segments", "binary", |b| {
        changed(b, |bytes| put(bytes, ENTRY, &0xff_fffu64.to_le_bytes()))
    }),
    ("i-55-an-entry-at-the-end-of-memory", "binary", |b| {
        changed(b, |bytes| put(bytes, ENTRY, &u64::MAX.to_le_bytes()))
    }),
    ("i-55-segments-that-are-unsorted", "binary", |b| {
        changed(b, |bytes| {
            let first = header(bytes, LOAD);
            let (one, two) = (bytes[first..first + 56].to_vec(), bytes[first + 56..first + 112].to_vec());
            put(bytes, first, &two);
            put(bytes, first + 56, &one);
        })
    }),
    ("i-56-a-solo5-note-of-version-3", "binary", |b| note(b, 4, 3)),
    ("i-56-a-solo5-note-for-no-target", "binary", |b| note(b, 0, 0)),
    ("i-56-a-note-longer-than-the-file", "binary", |b| {
        changed(b, |bytes| {
            let at = header(bytes, NOTE) + FILE_SIZE;
            put(bytes, at, &(1u64 << 40).to_le_bytes());
        })
    }),
    ("i-57-a-manifest-of-no-entries", "manifest", |b| {
        manifest(declaring(b, &[]), |note| put(note, ENTRIES, &0u32.to_le_bytes()))
    }),
    ("i-57-a-manifest-of-65-entries", "manifest", |b| {
        manifest(declaring(b, &[]), |note| put(note, ENTRIES, &65u32.to_le_bytes()))
    }),
    ("i-57-a-manifest-shorter-than-it-says", "manifest", |b| {
        manifest(declaring(b, &[]), |note| put(note, ENTRIES, &64u32.to_le_bytes()))
    }),
    ("i-57-a-device-name-without-end", "manifest", |b| {
        manifest(declaring(b, &["x"]), |note| note[FIRST_ENTRY + ENTRY_SIZE..][..KIND].fill(b'x'))
    }),
    ("i-57-a-device-without-name", "manifest", |b| {
        manifest(declaring(b, &["x"]), |note| note[FIRST_ENTRY + ENTRY_SIZE] = 0)
    }),
    ("i-57-a-device-of-an-unknown-type", "manifest", |b| {
        manifest(declaring(b, &["x"]), |note| put(note, FIRST_ENTRY + ENTRY_SIZE + KIND, &7u32.to_le_bytes()))
    }),
    ("i-57-a-device-that-says-it-is-attached", "manifest", |b| {
        manifest(declaring(b, &["x"]), |note| note[FIRST_ENTRY + ENTRY_SIZE + ATTACHED] = 1)
    }),
    ("i-57-a-device-name-twice", "manifest", |b| declaring(b, &["x", "x"])),
    ("i-58-two-devices-without-attachment", "block", |b| declaring(b, &["x", "y"])),
    ("i-58-an-undeclared-device-is-attached", "block", |b| {
        fs::write(b.rootfs().join("disk"), [0; 512]).unwrap();
        let keys = [&SPT[..], &[("block", "/disk"), ("solo5BlkDev", "other")]].concat();
        declaring(b, &["x"]).keys(&keys)
    }),
    ("i-56-a-solo5-note-of-a-future-version", "binary", |b| note(b, 4, 99)),
];

/// The kernel cut in each header and in the middle.
pub(super) fn truncations() -> Vec<Case> {
    let lengths =
        [1, 4, 15, 16, 24, 32, 52, 56, 63, 64, 65, 64 + 55, 64 + 56, 64 + 6 * 56 - 1, 0x1000, 0x3000];
    let case = |length: usize| {
        Case::new("bad-image", format!("i-54-a-kernel-cut-after-{length}-bytes"), move |s: &Sandbox| {
            assert!(fs::metadata(guest("hello")).unwrap().len() > length as u64);
            let bundle = changed(s.bundle("b").spt("hello"), |bytes| bytes.truncate(length));
            create_is_refused(s, &bundle, "binary");
        })
    };
    lengths.into_iter().map(case).collect()
}
