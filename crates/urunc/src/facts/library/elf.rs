//! What the dynamic loader reads of an ELF file: interpreter, needed libraries, search paths (elf(5)).
//!
//! Piece by piece: a monitor needs some fifty libraries, and none of them is read whole. Only 64-bit little-endian
//! files count, as on every architecture this program runs on.

use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What one program or shared object asks of the loader.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// `e_machine`: objects of another architecture are passed over in searches.
    pub machine: u16,
    /// PT_INTERP; `None` for libraries and static programs.
    pub interpreter: Option<String>,
    /// DT_NEEDED, in order.
    pub needed: Vec<String>,
    /// DT_RPATH, a list with colons; the loader ignores it beside a DT_RUNPATH.
    pub rpath: String,
    /// DT_RUNPATH, likewise.
    pub runpath: String,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
/// Longest name or search path, and most program headers and dynamic entries, that are looked at.
const LONGEST: u64 = 4096;

struct Header {
    kind: u32,
    offset: u64,
    address: u64,
    bytes: u64,
}

/// Reads `path`.
///
/// # Errors
/// As [`parse`], with the path.
pub fn read(path: &Path) -> Result<Dynamic> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    parse(&file).with_context(|| format!("{}: not a usable ELF file", path.display()))
}

/// Reads an open file.
///
/// # Errors
/// It is not a 64-bit little-endian ELF file, or what its headers name is not in it.
pub fn parse(file: &File) -> Result<Dynamic> {
    let mut ident = [0; 64];
    file.read_exact_at(&mut ident, 0)?;
    ensure!(ident.starts_with(b"\x7fELF\x02\x01"), "no 64-bit little-endian ELF header");
    let headers = program_headers(file, u64_at(&ident, 32), u16_at(&ident, 56))?;
    let mut dynamic = Dynamic { machine: u16_at(&ident, 18), ..Dynamic::default() };
    for header in &headers {
        match header.kind {
            PT_INTERP => dynamic.interpreter = Some(string(file, header.offset)?),
            PT_DYNAMIC => read_dynamic(file, header, &headers, &mut dynamic)?,
            _ => {}
        }
    }
    Ok(dynamic)
}

fn program_headers(file: &File, offset: u64, count: u16) -> Result<Vec<Header>> {
    let mut bytes = vec![0; usize::from(count) * 56];
    file.read_exact_at(&mut bytes, offset).context("program headers")?;
    let header = |entry: &[u8]| Header {
        kind: u32_at(entry, 0),
        offset: u64_at(entry, 8),
        address: u64_at(entry, 16),
        bytes: u64_at(entry, 32),
    };
    Ok(bytes.chunks_exact(56).map(header).collect())
}

fn read_dynamic(file: &File, section: &Header, headers: &[Header], dynamic: &mut Dynamic) -> Result<()> {
    ensure!(section.bytes <= LONGEST * 16, "dynamic section of {} bytes", section.bytes);
    let mut bytes = vec![0; usize::try_from(section.bytes)?];
    file.read_exact_at(&mut bytes, section.offset).context("dynamic section")?;
    let entries = || bytes.chunks_exact(16).map(|entry| (u64_at(entry, 0), u64_at(entry, 8)));
    let Some((_, address)) = entries().find(|(tag, _)| *tag == DT_STRTAB) else { return Ok(()) };
    let strings = file_offset(headers, address).context("string table outside every segment")?;
    for (tag, value) in entries().take_while(|(tag, _)| *tag != 0) {
        let target = match tag {
            DT_NEEDED => {
                dynamic.needed.push(String::new());
                dynamic.needed.last_mut()
            }
            DT_RPATH => Some(&mut dynamic.rpath),
            DT_RUNPATH => Some(&mut dynamic.runpath),
            _ => None,
        };
        if let Some(target) = target {
            *target = string(file, strings.checked_add(value).context("string offset")?)?;
        }
    }
    Ok(())
}

fn file_offset(headers: &[Header], address: u64) -> Option<u64> {
    let inside =
        |h: &&Header| h.kind == PT_LOAD && (h.address..h.address.saturating_add(h.bytes)).contains(&address);
    headers.iter().find(inside)?.offset.checked_add(address - headers.iter().find(inside)?.address)
}

/// The NUL-terminated string at `offset`. Read in small pieces, because most are short.
fn string(file: &File, offset: u64) -> Result<String> {
    let mut text = Vec::new();
    let mut piece = [0; 128];
    while (text.len() as u64) < LONGEST {
        let got = file.read_at(&mut piece, offset + text.len() as u64)?;
        ensure!(got > 0, "string without end");
        if let Some(end) = piece[..got].iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&piece[..end]);
            return String::from_utf8(text).context("string is not UTF-8");
        }
        text.extend_from_slice(&piece[..got]);
    }
    anyhow::bail!("string longer than {LONGEST} bytes")
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes.get(offset + i).copied().unwrap_or_default())
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array(bytes, offset))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array(bytes, offset))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A shared object with one segment, as small as the loader would accept.
    pub(in super::super) fn object(needed: &[&str], interpreter: Option<&str>, runpath: &str) -> Vec<u8> {
        let mut strings = vec![0];
        let mut intern = |text: &str| {
            let at = strings.len() as u64;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at
        };
        let mut entries: Vec<(u64, u64)> = needed.iter().map(|name| (DT_NEEDED, intern(name))).collect();
        if !runpath.is_empty() {
            entries.push((DT_RUNPATH, intern(runpath)));
        }
        let interpreter = interpreter.map(intern);
        let base = 0x10000_u64; // addresses differ from offsets, as in real programs
        let dynamic = 64 + 3 * 56;
        let strtab = dynamic + 16 * (entries.len() as u64 + 2);
        entries.extend([(DT_STRTAB, base + strtab), (0, 0)]);
        let total = strtab + strings.len() as u64;
        let segment = |kind: u32, offset: u64, bytes: u64| {
            let words = [offset, base + offset, base + offset, bytes, bytes, 1];
            let head = [kind.to_le_bytes(), 4_u32.to_le_bytes()].concat();
            [head, words.iter().flat_map(|w| w.to_le_bytes()).collect()].concat()
        };
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18..20].copy_from_slice(&62_u16.to_le_bytes());
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[56..58].copy_from_slice(&3_u16.to_le_bytes());
        file.extend(segment(PT_LOAD, 0, total));
        file.extend(segment(PT_DYNAMIC, dynamic, strtab - dynamic));
        file.extend(segment(
            if interpreter.is_some() { PT_INTERP } else { 0 },
            strtab + interpreter.unwrap_or(0),
            0,
        ));
        file.extend(
            entries.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat()),
        );
        file.extend(strings);
        file
    }

    fn parse_bytes(bytes: &[u8]) -> Result<Dynamic> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("object");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn names_and_paths_are_read() {
        let long = "x".repeat(300);
        let dynamic = parse_bytes(&object(&["liba.so", &long], Some("/ld.so"), "$ORIGIN/lib")).unwrap();
        assert_eq!(dynamic.machine, 62);
        assert_eq!(dynamic.interpreter.as_deref(), Some("/ld.so"));
        assert_eq!(dynamic.needed, ["liba.so", &long]);
        assert_eq!((dynamic.rpath.as_str(), dynamic.runpath.as_str()), ("", "$ORIGIN/lib"));
    }

    #[test]
    fn every_truncation_is_an_error_or_loses_nothing_that_was_read() {
        let whole = object(&["liba.so"], Some("/ld.so"), "");
        let expected = parse_bytes(&whole).unwrap();
        for length in 0..whole.len() {
            if let Ok(dynamic) = parse_bytes(&whole[..length]) {
                assert_eq!(dynamic, expected, "cut at {length}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_damage_panics(at in 0_usize..300, bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..16)) {
            let mut damaged = object(&["liba.so"], Some("/ld.so"), "$ORIGIN/lib");
            damaged.splice(at..(at + bytes.len()).min(damaged.len()), bytes);
            if let Ok(dynamic) = parse_bytes(&damaged) {
                proptest::prop_assert!(dynamic.needed.iter().all(|name| name.len() < damaged.len()));
            }
        }
    }
}
