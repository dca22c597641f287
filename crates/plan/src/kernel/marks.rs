//! What a file is the kernel of: names of ELF sections that only one framework has.

use super::{Layout, bytes, half};
use crate::read::ReadAt;

/// ELFOSABI_STANDALONE: applications of Hermit, which their loader starts.
const STANDALONE: u8 = 255;
/// Longest table of names that is searched; kernels have some hundred bytes.
const LONGEST: u64 = 64 << 10;

/// Parts of section names, and who has them. Stripping keeps what is loaded.
const MARKS: [(&[u8], &str); 4] = [
    (b"\0.uk_", "unikraft"),
    (b"\0.tracepoint_patch_sites\0", "osv"),
    (b"\0__ksymtab", "linux"),
    (b"\0.data..percpu\0", "linux"),
];

/// The guest kind that the section names tell.
pub(super) fn guest(file: &dyn ReadAt, layout: &Layout) -> Option<&'static str> {
    let names = section_names(file, layout)?;
    let has = |mark: &[u8]| names.windows(mark.len()).any(|found| found == mark);
    MARKS.iter().find(|(mark, _)| has(mark)).map(|(_, guest)| *guest)
}

/// Is it an application of Hermit's?
pub(super) fn of_hermit(file: &dyn ReadAt) -> bool {
    bytes::<1>(file, 7) == Some([STANDALONE])
}

/// The section that e_shstrndx points to (gABI, "Sections").
fn section_names(file: &dyn ReadAt, layout: &Layout) -> Option<Vec<u8>> {
    let (table, header) = if layout.wide { (40, 58) } else { (32, 46) };
    let start = layout.address(file, table)?;
    let (size, index) = (half(file, header)?, half(file, header + 4)?);
    let entry = start.checked_add(u64::from(size) * u64::from(index))?;
    let (offset, length) = if layout.wide { (24, 32) } else { (16, 20) };
    let offset = layout.address(file, entry.checked_add(offset)?)?;
    let length = layout.address(file, entry.checked_add(length)?)?.min(LONGEST);
    let inside = offset.checked_add(length).is_some_and(|end| end <= file.size());
    let mut names = vec![0; usize::try_from(length).ok().filter(|_| inside && start != 0)?];
    file.read_at(offset, &mut names).then_some(names)
}
