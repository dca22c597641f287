//! The ELF header, the program headers and the rules of a loadable image.

use super::{LOWEST_ADDRESS, Load, PAGE, Segment};
use crate::read::ReadAt;

const EHDR_BYTES: u16 = 64;
const PHDR_BYTES: u16 = 56;
/// A Solo5 image has fewer than ten; the bound keeps the read small.
const MAX_PROGRAM_HEADERS: u16 = 128;
const ET_EXEC: u16 = 2;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const PT_LOAD: u32 = 1;
pub(super) const PT_NOTE: u32 = 4;
const FLAG_EXEC: u32 = 1;
const FLAG_WRITE: u32 = 2;

/// Little-endian integers at a fixed place of a fixed-size record.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

/// See [`u16_at`].
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

/// See [`u16_at`].
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The header's fields that Solo5 looks at, and the program headers.
pub(super) struct Headers {
    kind: u16,
    /// e_machine.
    pub(super) machine: u16,
    version: u32,
    entry: u64,
    ehsize: u16,
    /// Program headers in file order.
    pub(super) programs: Vec<Program>,
}

/// One program header.
pub(super) struct Program {
    /// Position in the table.
    pub(super) index: usize,
    /// p_type.
    pub(super) kind: u32,
    flags: u32,
    /// p_offset.
    pub(super) offset: u64,
    vaddr: u64,
    /// p_filesz.
    pub(super) filesz: u64,
    memsz: u64,
    align: u64,
}

impl Headers {
    /// `None`: no 64-bit little-endian ELF file, or one without program headers.
    pub(super) fn read(file: &dyn ReadAt) -> Result<Option<Self>, String> {
        let mut ident = [0; 6];
        if !file.read_at(0, &mut ident) || ident != *b"\x7fELF\x02\x01" {
            return Ok(None);
        }
        let mut head = [0; 64];
        if !file.read_at(0, &mut head) {
            return Err(format!("elf header: the file ends at byte {}, before byte 64", file.size()));
        }
        let count = u16_at(&head, 56);
        if count == 0 {
            return Ok(None);
        }
        let (offset, size) = (u64_at(&head, 32), u16_at(&head, 54));
        if size != PHDR_BYTES {
            return Err(format!("elf header, offset 54: e_phentsize is {size}, not 56"));
        }
        if count > MAX_PROGRAM_HEADERS {
            return Err(format!(
                "elf header, offset 56: {count} program headers, at most {MAX_PROGRAM_HEADERS}"
            ));
        }
        let mut table = vec![0; usize::from(count) * usize::from(PHDR_BYTES)];
        if !file.read_at(offset, &mut table) {
            return Err(format!("program headers: {count} at offset {offset:#x} do not fit in the file"));
        }
        let programs = table.chunks_exact(usize::from(PHDR_BYTES)).enumerate();
        Ok(Some(Self {
            kind: u16_at(&head, 16),
            machine: u16_at(&head, 18),
            version: u32_at(&head, 20),
            entry: u64_at(&head, 24),
            ehsize: u16_at(&head, 52),
            programs: programs.map(|(index, bytes)| Program::decode(index, bytes)).collect(),
        }))
    }

    /// Applies the rules of the loader.
    pub(super) fn load(&self, file_size: u64) -> Result<Load, String> {
        self.check()?;
        let mut segments: Vec<Segment> = Vec::new();
        let mut kernel_end = LOWEST_ADDRESS;
        for program in self.programs.iter().filter(|p| p.kind == PT_LOAD && p.filesz != 0) {
            let segment = program.segment(file_size).map_err(|why| program.blame(&why))?;
            if segment.start() < kernel_end {
                return Err(program.blame(&match segments.last() {
                    None => format!("p_vaddr {:#x} is below {LOWEST_ADDRESS:#x}", segment.vaddr),
                    Some(_) => format!(
                        "p_vaddr {:#x} overlaps or precedes the segment before it, which ends at {kernel_end:#x}",
                        segment.vaddr
                    ),
                }));
            }
            kernel_end = segment.end();
            segments.push(segment);
        }
        let executable = |s: &&Segment| s.flags & FLAG_EXEC != 0;
        let entered = |s: Segment| (s.vaddr..s.vaddr + s.memsz).contains(&self.entry);
        if !segments.iter().filter(executable).any(|s| entered(*s)) {
            return Err(format!(
                "elf header, offset 24: entry point {:#x} is in no executable segment",
                self.entry
            ));
        }
        Ok(Load { entry: self.entry, kernel_end, segments })
    }

    /// End of the highest segment, .bss-only ones included.
    pub(super) fn memory_end(&self) -> Result<u64, String> {
        let loads = self.programs.iter().filter(|p| p.kind == PT_LOAD);
        loads
            .map(|p| p.end().ok_or_else(|| p.blame("p_vaddr + p_memsz wraps")))
            .try_fold(0, |m, e| Ok(m.max(e?)))
    }

    fn check(&self) -> Result<(), String> {
        let bad = |at: u64, why: String| Err(format!("elf header, offset {at}: {why}"));
        if self.kind != ET_EXEC {
            return bad(16, format!("e_type is {}, not 2: a static, non-PIE executable", self.kind));
        }
        if self.machine != EM_X86_64 && self.machine != EM_AARCH64 {
            return bad(18, format!("e_machine is {}, not 62 (x86_64) or 183 (aarch64)", self.machine));
        }
        if self.version != 1 {
            return bad(20, format!("e_version is {}, not 1", self.version));
        }
        if self.ehsize != EHDR_BYTES {
            return bad(52, format!("e_ehsize is {}, not 64", self.ehsize));
        }
        Ok(())
    }
}

impl Program {
    fn decode(index: usize, bytes: &[u8]) -> Self {
        Self {
            index,
            kind: u32_at(bytes, 0),
            flags: u32_at(bytes, 4) & 7,
            offset: u64_at(bytes, 8),
            vaddr: u64_at(bytes, 16),
            filesz: u64_at(bytes, 32),
            memsz: u64_at(bytes, 40),
            align: u64_at(bytes, 48),
        }
    }

    /// An error about this header.
    pub(super) fn blame(&self, why: &str) -> String {
        format!("program header {}: {why}", self.index)
    }

    fn end(&self) -> Option<u64> {
        self.vaddr.checked_add(self.memsz)?.checked_next_multiple_of(PAGE)
    }

    fn segment(&self, file_size: u64) -> Result<Segment, String> {
        if !self.align.is_power_of_two() {
            return Err(format!("p_align is {:#x}, not a power of two", self.align));
        }
        if self.memsz < self.filesz {
            return Err(format!("p_memsz {:#x} is less than p_filesz {:#x}", self.memsz, self.filesz));
        }
        if self.end().is_none() {
            return Err("p_vaddr + p_memsz wraps".to_owned());
        }
        if self.offset.checked_add(self.filesz).is_none_or(|end| end > file_size) {
            return Err(format!(
                "{:#x} bytes at offset {:#x} are beyond the file's {file_size:#x}",
                self.filesz, self.offset
            ));
        }
        if self.flags & (FLAG_WRITE | FLAG_EXEC) == FLAG_WRITE | FLAG_EXEC {
            return Err("the segment is both writable and executable".to_owned());
        }
        Ok(Segment {
            offset: self.offset,
            vaddr: self.vaddr,
            filesz: self.filesz,
            memsz: self.memsz,
            flags: self.flags,
        })
    }
}
