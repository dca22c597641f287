//! The two notes of a Solo5 image: ABI and manifest (`solo5/elf_abi.h`, `solo5/mft_abi.h`).
//!
//! A note counts only as the first one of its own PT_NOTE header, as in Solo5's tenders.

use super::elf::{PT_NOTE, Program, u32_at};
use super::{Declared, MAX_NAME};
use crate::read::ReadAt;

const HEADER_BYTES: usize = 20;
/// Note type "ABI1".
const ABI1: u32 = 0x3149_4241;
/// Note type "MFT1".
const MFT1: u32 = 0x3154_464d;
/// The manifest is aligned to 8: after the 20 bytes of header come 4 of padding.
const MFT_PADDING: usize = 4;
const MFT_HEADER: usize = 8;
const ENTRY_BYTES: usize = 104;
const MAX_ENTRIES: u32 = 64;
const BLOCK_BASIC: u32 = 1;
const NET_BASIC: u32 = 2;
const RESERVED_FIRST: u32 = 0x4000_0000;

/// What both notes say.
pub(super) struct Notes {
    /// ABI target.
    pub(super) target: u32,
    /// ABI version.
    pub(super) version: u32,
    /// The manifest without its reserved entry.
    pub(super) devices: Vec<Declared>,
}

/// `None`: no ABI note, so not a Solo5 image.
pub(super) fn read(file: &dyn ReadAt, programs: &[Program]) -> Result<Option<Notes>, String> {
    let Some(abi) = find(file, programs, ABI1)? else { return Ok(None) };
    let (target, version) =
        read_abi(file, &abi).map_err(|why| abi.program.blame(&format!("ABI note: {why}")))?;
    let Some(mft) = find(file, programs, MFT1)? else {
        return Err("no manifest note (MFT1) beside the ABI note".to_owned());
    };
    let devices = read_manifest(file, &mft).map_err(|why| mft.program.blame(&format!("manifest: {why}")))?;
    Ok(Some(Notes { target, version, devices }))
}

/// A note found by its type.
struct Note<'a> {
    program: &'a Program,
    descsz: u32,
}

fn find<'a>(file: &dyn ReadAt, programs: &'a [Program], kind: u32) -> Result<Option<Note<'a>>, String> {
    let mut found = None;
    for program in programs.iter().filter(|p| p.kind == PT_NOTE && p.filesz >= HEADER_BYTES as u64) {
        let mut header = [0; HEADER_BYTES];
        // Not to be taken for somebody else's: without its manifest an image has no devices.
        if !file.read_at(program.offset, &mut header) {
            return Err(program.blame("the note cannot be read"));
        }
        let ours = u32_at(&header, 0) == 6 && u32_at(&header, 8) == kind && header[12..] == *b"Solo5\0\0\0";
        if !ours {
            continue;
        }
        if found.is_some() {
            return Err(program.blame("a second Solo5 note of the same type"));
        }
        let descsz = u32_at(&header, 4);
        if program.filesz - (HEADER_BYTES as u64) < u64::from(descsz) {
            return Err(program.blame(&format!("n_descsz {descsz} is beyond p_filesz {}", program.filesz)));
        }
        found = Some(Note { program, descsz });
    }
    Ok(found)
}

fn read_abi(file: &dyn ReadAt, note: &Note<'_>) -> Result<(u32, u32), String> {
    if !(16..=32).contains(&note.descsz) {
        return Err(format!("n_descsz is {}, not 16 to 32", note.descsz));
    }
    let bytes = bytes_at(file, note.program.offset, HEADER_BYTES, 16)?;
    Ok((u32_at(&bytes, 0), u32_at(&bytes, 4)))
}

fn read_manifest(file: &dyn ReadAt, note: &Note<'_>) -> Result<Vec<Declared>, String> {
    let start = HEADER_BYTES + MFT_PADDING;
    let header = bytes_at(file, note.program.offset, start, MFT_HEADER)?;
    let (version, count) = (u32_at(&header, 0), u32_at(&header, 4));
    if version != 1 {
        return Err(format!("version is {version}, not 1"));
    }
    if !(1..=MAX_ENTRIES).contains(&count) {
        return Err(format!("{count} entries, not 1 to {MAX_ENTRIES}"));
    }
    let size = count as usize * ENTRY_BYTES;
    if note.descsz as usize != MFT_PADDING + MFT_HEADER + size {
        return Err(format!("n_descsz {} does not fit {count} entries", note.descsz));
    }
    let bytes = bytes_at(file, note.program.offset, start + MFT_HEADER, size)?;
    let mut devices: Vec<Declared> = Vec::new();
    for (index, entry) in bytes.chunks_exact(ENTRY_BYTES).enumerate() {
        let entry = read_entry(entry, index == 0).map_err(|why| format!("entry {index}: {why}"))?;
        let Some(device) = entry else { continue };
        if devices.iter().any(|d| d.name == device.name) {
            return Err(format!("entry {index}: a second device named {}", device.name));
        }
        devices.push(device);
    }
    Ok(devices)
}

/// `None` for the reserved first entry.
fn read_entry(entry: &[u8], first: bool) -> Result<Option<Declared>, String> {
    let name = entry.get(..=MAX_NAME).unwrap_or_default();
    let Some(length) = name.iter().position(|b| *b == 0).filter(|_| name.last() == Some(&0)) else {
        return Err("the name is not NUL-terminated".to_owned());
    };
    if entry.get(96) != Some(&0) {
        return Err("attached is set in the file".to_owned());
    }
    let name = name.get(..length).unwrap_or_default();
    let kind = u32_at(entry, MAX_NAME + 1);
    if first {
        return match (kind, name) {
            (RESERVED_FIRST, []) => Ok(None),
            _ => Err("is not the reserved first entry".to_owned()),
        };
    }
    if kind != BLOCK_BASIC && kind != NET_BASIC {
        return Err(format!("type {kind:#x} is neither 1 (block) nor 2 (network)"));
    }
    let text = std::str::from_utf8(name).unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err("the name is not made of ASCII letters and digits".to_owned());
    }
    Ok(Some(Declared { name: text.to_owned(), net: kind == NET_BASIC }))
}

fn bytes_at(file: &dyn ReadAt, base: u64, offset: usize, len: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; len];
    let read = base.checked_add(offset as u64).is_some_and(|at| file.read_at(at, &mut bytes));
    if read {
        Ok(bytes)
    } else {
        Err(format!("{len} bytes at offset {base:#x}+{offset} are beyond the file"))
    }
}
