//! Unikernel bundles: a tree that holds a kernel and `/urunc.json`, nothing else.

use crate::bundle::Bundle;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use urunc_plan::solo5::Declared;

/// Path of the kernel in the image.
pub const KERNEL: &str = ".boot/kernel";

/// An own guest of Solo5.
pub fn guest(name: &str) -> PathBuf {
    built(&format!("{name}.spt"))
}

/// [`guest`] for target hvt.
pub fn hvt_guest(name: &str) -> PathBuf {
    built(&format!("{name}.hvt"))
}

/// A file of an own guest, built by `make build` into `GUESTS` (default: `dist/guests`).
pub fn built(name: &str) -> PathBuf {
    let dir = std::env::var("GUESTS").unwrap_or_else(|_| "dist/guests".into());
    let path = Path::new(&dir).join(name);
    path.canonicalize().unwrap_or_else(|e| panic!("{}: {e}: run make build", path.display()))
}

/// A file that carries the marks of the Linux x86 boot protocol and boots nowhere.
pub fn bzimage() -> Vec<u8> {
    let mut image = vec![0u8; 8192];
    image[0x1f1] = 4;
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x200..0x202].copy_from_slice(&[0xeb, 0x66]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x20fu16.to_le_bytes());
    // Loaded high, with a 64-bit entry point.
    image[0x211] = 1;
    image[0x236] = 1;
    image
}

/// A multiboot kernel as GRUB and QEMU know it: a 32-bit ELF file for i386 (gABI; multiboot 0.6.96, "Header layout").
pub fn multiboot() -> Vec<u8> {
    const MAGIC: u32 = 0x1bad_b002;
    let mut image = vec![0u8; 4096];
    image[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    let mut half = |at: usize, value: u16| image[at..at + 2].copy_from_slice(&value.to_le_bytes());
    // Executable, i386, version, header sizes, one program header behind the file header.
    for (at, value) in [(16, 2), (18, 3), (20, 1), (28, 52), (40, 52), (42, 32), (44, 1), (52, 1)] {
        half(at, value);
    }
    // Its offset, address and sizes, then the multiboot header: magic, no flags, checksum.
    let words = [
        (24, 0x10_0000),
        (56, 0),
        (60, 0x10_0000),
        (64, 0x10_0000),
        (68, 4096),
        (72, 4096),
        (128, MAGIC),
        (136, 0u32.wrapping_sub(MAGIC)),
    ];
    for (at, value) in words {
        image[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
    }
    image
}

/// Our own guest of virtual machines as a multiboot kernel: a 32-bit file with the same content, entered where the PVH
/// note says.
pub fn virtio_by_multiboot() -> Vec<u8> {
    const PROGRAMS: usize = 52;
    const HEADER: usize = 256;
    let long = fs::read(built("virtio.elf")).expect("guest");
    let word = |at: usize| u32::from_le_bytes(long[at..at + 4].try_into().expect("four bytes"));
    let (mut image, small) = (long.clone(), multiboot());
    // What is loaded begins at the next page.
    image[..4096].fill(0);
    image[..PROGRAMS].copy_from_slice(&small[..PROGRAMS]);
    image[HEADER..HEADER + 12].copy_from_slice(&small[128..140]);
    let mut loads = 0u8;
    for program in (0..usize::from(long[56])).map(|index| 64 + 56 * index) {
        let [kind, flags, offset, address] = [0, 4, 8, 24].map(|field| word(program + field));
        match kind {
            1 => {
                let sizes = [32, 40].map(|field| word(program + field));
                let fields = [kind, offset, address, address, sizes[0], sizes[1], flags, 4096];
                let at = PROGRAMS + 32 * usize::from(loads);
                image[at..at + 32].copy_from_slice(&fields.map(u32::to_le_bytes).concat());
                loads += 1;
            }
            4 => image[24..28].copy_from_slice(&word(offset as usize + 16).to_le_bytes()),
            _ => {}
        }
    }
    image[44] = loads;
    image
}

/// The header by which QEMU's loader knows an ELF file of 64 bits for multiboot: with addresses of its own.
fn mark_multiboot(image: &mut [u8]) {
    const PLACE: usize = 0xf00;
    const HAS_ADDRESSES: u32 = 1 << 16;
    let header = [0x1bad_b002, HAS_ADDRESSES, 0u32.wrapping_sub(0x1bad_b002 + HAS_ADDRESSES)];
    assert!(image[PLACE..PLACE + 12].iter().all(|byte| *byte == 0), "the place is taken");
    image[PLACE..PLACE + 12].copy_from_slice(&header.map(u32::to_le_bytes).concat());
}

/// A kernel of 64 bits that boots nowhere, with Xen's PVH note and a multiboot header if it is to have them.
pub fn elf64(pvh: bool, multiboot: bool) -> Vec<u8> {
    const NOTE: usize = 256;
    let mut image = vec![0u8; 8192];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    // Executable, x86_64, version, sizes of both headers, one segment to load and one of notes.
    for (at, value) in [(16, 2), (18, 62), (20, 1), (52, 64), (54, 56), (56, 2)] {
        put(at, &u16::to_le_bytes(value));
    }
    let note = u64::from(pvh) * 20;
    // Entry, program headers; of each segment type, offset, addresses and sizes.
    let words =
        [(24, 0x10_0000), (32, 64), (64, 1), (80, 0x10_0000), (88, 0x10_0000), (96, 4096), (104, 4096)];
    let notes = [(120, 4), (128, NOTE as u64), (152, note), (160, note), (168, 4)];
    for (at, value) in words.into_iter().chain(notes) {
        put(at, &value.to_le_bytes());
    }
    if pvh {
        put(NOTE, &[4, 4, 18].map(u32::to_le_bytes).concat());
        put(NOTE + 12, b"Xen\0");
        put(NOTE + 16, &0x10_0000u32.to_le_bytes());
    }
    if multiboot {
        mark_multiboot(&mut image);
    }
    image
}

/// Where [`running`] loads the code.
pub const CODE: u32 = 0x10_0000 + 256;

/// A kernel for QEMU that is this code, for 32-bit protected mode without a stack.
pub fn running(code: &[u8]) -> Vec<u8> {
    let mut image = multiboot();
    image[256..256 + code.len()].copy_from_slice(code);
    image[24..28].copy_from_slice(&CODE.to_le_bytes());
    image
}

/// A kernel for QEMU that says `!` on the first serial line and then sends back what comes over it.
pub fn echo() -> Vec<u8> {
    const CALL: [u8; 7] = [0x66, 0xba, 0xf8, 0x03, 0xb0, b'!', 0xee];
    // Until a byte is there (line status register 0x3fd, bit 0): wait; then take it from 0x3f8 and write it there.
    const LOOP: [u8; 17] = [
        0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf7, 0x66, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xef,
    ];
    running(&[&CALL[..], &LOOP].concat())
}

/// As [`idle_with`], with the marks of target virtio; it boots nowhere.
pub fn virtio_with(devices: &[Declared]) -> Vec<u8> {
    const VIRTIO: u32 = 3;
    let mut image = idle_with(devices);
    let note = image.windows(12).position(|bytes| bytes == b"ABI1Solo5\0\0\0").expect("a note");
    image[note + 12..note + 16].copy_from_slice(&VIRTIO.to_le_bytes());
    mark_multiboot(&mut image);
    image
}

/// The own guest that idles on spt, with a manifest that declares these devices (`mft_abi.h` of Solo5, version 1).
pub fn idle_with(devices: &[Declared]) -> Vec<u8> {
    declaring(&guest("idle"), devices)
}

/// An own guest with a manifest that declares these devices.
pub fn declaring(guest: &Path, devices: &[Declared]) -> Vec<u8> {
    const ENTRY: usize = 104;
    let mut image = fs::read(guest).expect("guest");
    let entries = u32::try_from(devices.len() + 1).expect("few devices");
    let size = 4 + 8 + entries as usize * ENTRY;
    let mut note = Vec::new();
    for number in [6, u32::try_from(size).expect("small"), u32::from_le_bytes(*b"MFT1")] {
        note.extend(number.to_le_bytes());
    }
    note.extend(b"Solo5\0\0\0\0\0\0\0");
    note.extend([1, entries].map(u32::to_le_bytes).concat());
    let reserved = ("", 0x4000_0000u32);
    let kinds = devices.iter().map(|d| (d.name.as_str(), if d.net { 2 } else { 1 }));
    for (name, kind) in std::iter::once(reserved).chain(kinds) {
        let mut entry = [0u8; ENTRY];
        entry[..name.len()].copy_from_slice(name.as_bytes());
        entry[68..72].copy_from_slice(&kind.to_le_bytes());
        note.extend(entry);
    }
    // The last note header is the manifest's; its content moves to the end of the file.
    let headers = (0..usize::from(image[56])).map(|index| 64 + 56 * index);
    let header = headers.rev().find(|at| image[*at] == 4).expect("a note");
    let offset = image.len().next_multiple_of(8);
    image.resize(offset, 0);
    image[header + 8..header + 16].copy_from_slice(&(offset as u64).to_le_bytes());
    for at in [header + 32, header + 40] {
        image[at..at + 8].copy_from_slice(&(note.len() as u64).to_le_bytes());
    }
    image.extend(note);
    image
}

impl Bundle {
    /// Turns the bundle into a unikernel's: the root holds `kernel` and the keys (without prefix) in `/urunc.json`.
    #[must_use]
    pub fn unikernel(self, kernel: &[u8], keys: &[(&str, &str)]) -> Self {
        fs::remove_dir_all(self.rootfs()).expect("rootfs");
        fs::create_dir_all(self.rootfs().join(".boot")).expect("rootfs");
        fs::write(self.rootfs().join(KERNEL), kernel).expect("kernel");
        self.keys(keys).with("/process/args", json!(["hello"]))
    }

    /// The own guest `name` on the built-in spt monitor.
    #[must_use]
    pub fn spt(self, name: &str) -> Self {
        self.unikernel(&fs::read(guest(name)).expect("guest"), &SPT)
    }

    /// The own guest `name` on the built-in hvt monitor.
    #[must_use]
    pub fn hvt(self, name: &str) -> Self {
        self.unikernel(&fs::read(hvt_guest(name)).expect("guest"), &HVT)
    }

    /// A Linux guest on QEMU; its kernel is no kernel, so only the probe can play this monitor.
    #[must_use]
    pub fn linux(self) -> Self {
        self.unikernel(&bzimage(), &LINUX)
    }

    /// Writes `/urunc.json` with these keys, their values in base64.
    #[must_use]
    pub fn keys(self, keys: &[(&str, &str)]) -> Self {
        let entry = |(name, value): &(&str, &str)| (full_name(name), Value::String(base64(value.as_bytes())));
        let object: Map<String, Value> = keys.iter().map(entry).collect();
        fs::write(self.rootfs().join("urunc.json"), Value::Object(object).to_string()).expect("urunc.json");
        self
    }

    /// Sets annotations of config.json, plain.
    #[must_use]
    pub fn annotations(self, keys: &[(&str, &str)]) -> Self {
        let object: Map<String, Value> =
            keys.iter().map(|(name, value)| (full_name(name), json!(value))).collect();
        self.with("/annotations", Value::Object(object))
    }
}

/// Keys of an spt image.
pub const SPT: [(&str, &str); 3] =
    [("unikernelType", "solo5"), ("hypervisor", "spt"), ("binary", "/.boot/kernel")];
/// Keys of an hvt image.
pub const HVT: [(&str, &str); 3] =
    [("unikernelType", "solo5"), ("hypervisor", "hvt"), ("binary", "/.boot/kernel")];
/// Keys of a Linux image on QEMU.
pub const LINUX: [(&str, &str); 3] =
    [("unikernelType", "linux"), ("hypervisor", "qemu"), ("binary", "/.boot/kernel")];

/// `keys` with one of them set to another value, or added.
pub fn replaced<'a>(keys: &[(&'a str, &'a str)], name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut keys: Vec<_> = keys.iter().copied().filter(|(key, _)| *key != name).collect();
    keys.push((name, value));
    keys
}

fn full_name(name: &str) -> String {
    format!("com.urunc.unikernel.{name}")
}

/// Standard base64 with padding, RFC 4648.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0;
        for index in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(index).copied().unwrap_or_default());
        }
        for index in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * index)) as usize & 63];
            text.push(if index <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_has_the_vectors_of_rfc_4648() {
        let vectors = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, text) in vectors {
            assert_eq!(super::base64(plain.as_bytes()), text);
        }
    }
}
