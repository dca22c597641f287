//! How an ELF kernel can be entered: Xen's PVH note, a multiboot header.

use super::{Layout, bytes, half};
use crate::read::ReadAt;

const PT_NOTE: u32 = 4;
/// XEN_ELFNOTE_PHYS32_ENTRY (Xen, `public/elfnote.h`).
const PHYS32_ENTRY: u32 = 18;
/// Notes are a few hundred bytes; the bounds keep the read small.
const MOST_NOTES: u32 = 64;
const LONGEST_SEGMENT: u64 = 64 << 10;

/// Is there a PHYS32_ENTRY note of Xen's in one of the `count` program headers at `table`?
pub(super) fn pvh(file: &dyn ReadAt, layout: &Layout, table: u64, count: u16) -> bool {
    (0..u64::from(count)).any(|index| {
        let entry = table.saturating_add(index * u64::from(layout.entry_bytes));
        let is_note = bytes(file, entry).map(u32::from_le_bytes) == Some(PT_NOTE);
        is_note && in_segment(file, layout, entry).unwrap_or(false)
    })
}

fn in_segment(file: &dyn ReadAt, layout: &Layout, entry: u64) -> Option<bool> {
    let word = |at: u64| bytes(file, at).map(u32::from_le_bytes);
    let start = layout.address(file, entry + layout.offset)?;
    let end = start.checked_add(layout.address(file, entry + layout.filesz)?.min(LONGEST_SEGMENT))?;
    let align = if layout.address(file, entry + layout.align)? == 8 { 8 } else { 4 };
    let mut at = start;
    for _ in 0..MOST_NOTES {
        if at.checked_add(16)? > end {
            return Some(false);
        }
        let (name, desc) = (u64::from(word(at)?), u64::from(word(at + 4)?));
        if word(at + 8)? == PHYS32_ENTRY && name == 4 && bytes::<4>(file, at + 12)? == *b"Xen\0" {
            return Some(desc == 4 || desc == 8);
        }
        at = (at + 12).checked_add(name)?.checked_next_multiple_of(align)?;
        at = at.checked_add(desc)?.checked_next_multiple_of(align)?;
    }
    Some(false)
}

/// The header that QEMU looks for (Multiboot Specification 0.6.96, "The layout of Multiboot header"). Without addresses of
/// its own it needs an ELF file of an i386: of the two classes QEMU loads either, and Mewz is of the 64-bit one.
pub(super) fn multiboot(file: &dyn ReadAt, i386: bool) -> bool {
    const MAGIC: u32 = 0x1bad_b002;
    const HAS_ADDRESSES: u32 = 1 << 16;
    let mut head = vec![0; usize::try_from(file.size().min(8192)).unwrap_or(0)];
    if !file.read_at(0, &mut head) {
        return false;
    }
    let words: Vec<u32> = head.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    words.windows(3).any(|found| match found {
        [MAGIC, flags, sum] => {
            MAGIC.wrapping_add(*flags).wrapping_add(*sum) == 0 && (i386 || flags & HAS_ADDRESSES != 0)
        }
        _ => false,
    })
}

/// e_machine of the architectures that begin with 32 bits.
pub(super) fn of_x86(file: &dyn ReadAt) -> bool {
    matches!(half(file, 18), Some(3 | 62))
}
