//! Archives of the initrd kind: cpio "newc" (kernel documentation, driver-api/early-userspace/buffer-format). A member is
//! merged into an archive, not appended: readers exist that stop at the first end.

/// Largest archive that is rewritten, bytes.
pub const LIMIT: u64 = 512 << 20;

const HEADER: usize = 110;
const END: &[u8] = b"TRAILER!!!";
const REGULAR: u32 = 0o100_000;

/// One member, as it lies in its archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Name, without `/` or `./` in front.
    pub name: &'a [u8],
    /// Mode: type and permissions.
    pub mode: u32,
    /// Content; for a link its target.
    pub content: &'a [u8],
    /// Which of several archives in a row it is from.
    pub archive: u32,
    header: &'a [u8],
    /// Name as it is written, with its NUL.
    written: &'a [u8],
}

/// Is it such an archive, and not a compressed one?
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"070701") || bytes.starts_with(b"070702")
}

/// All members of one archive, or of several in a row.
///
/// # Errors
/// What is wrong, and at which offset.
pub fn entries(bytes: &[u8]) -> Result<Vec<Entry<'_>>, String> {
    let (mut entries, mut at, mut archive) = (Vec::new(), 0, 0);
    loop {
        let entry = read(bytes, at, archive)?;
        at += padded(HEADER + entry.written.len()) + padded(entry.content.len());
        if entry.name != END {
            entries.push(entry);
            continue;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(zeros) = rest.iter().position(|byte| *byte != 0) else { return Ok(entries) };
        at += zeros;
        archive += 1;
        if !is_archive(&bytes[at..]) {
            return Err(format!("offset {at}: another kind of archive behind the first"));
        }
    }
}

/// The archive with one more regular file, which replaces what had its name. In front of a compressed archive it is an
/// archive of its own, as kernels read several in a row.
///
/// # Errors
/// Those of [`entries`].
pub fn with_member(archive: &[u8], name: &str, content: &[u8]) -> Result<Vec<u8>, String> {
    let mut merged = Vec::with_capacity(archive.len() + content.len() + 4 * HEADER);
    if !is_archive(archive) {
        append(&mut merged, name.as_bytes(), REGULAR | 0o400, content);
        append(&mut merged, END, 0, &[]);
        merged.extend(archive);
        return Ok(merged);
    }
    for entry in entries(archive)?.iter().filter(|entry| entry.name != name.as_bytes()) {
        let start = merged.len();
        merged.extend(entry.header);
        if entry.archive > 0 {
            // Inode numbers are those of one archive.
            merged[start + 70..start + 78].copy_from_slice(format!("{:08x}", entry.archive).as_bytes());
        }
        merged.extend(entry.written);
        merged.resize(start + padded(merged.len() - start), 0);
        merged.extend(entry.content);
        merged.resize(start + padded(merged.len() - start), 0);
    }
    append(&mut merged, name.as_bytes(), REGULAR | 0o400, content);
    append(&mut merged, END, 0, &[]);
    Ok(merged)
}

/// A member of our own, of root's.
fn append(archive: &mut Vec<u8>, name: &[u8], mode: u32, content: &[u8]) {
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let (size, name_size) = (number(content.len()), number(name.len() + 1));
    let fields = [0, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
    archive.extend(b"070701");
    for field in fields {
        archive.extend(format!("{field:08x}").bytes());
    }
    archive.extend(name);
    archive.push(0);
    archive.resize(padded(archive.len()), 0);
    archive.extend(content);
    archive.resize(padded(archive.len()), 0);
}

fn read(bytes: &[u8], at: usize, archive: u32) -> Result<Entry<'_>, String> {
    let truncated = || format!("offset {at}: the archive ends within a member");
    let header = bytes.get(at..).and_then(|rest| rest.get(..HEADER)).ok_or_else(truncated)?;
    if !is_archive(header) {
        return Err(format!("offset {at}: no member begins there"));
    }
    let field = |index: usize| {
        let text = std::str::from_utf8(&header[6 + 8 * index..14 + 8 * index]).ok();
        let text = text.filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        text.and_then(|text| u32::from_str_radix(text, 16).ok())
            .ok_or_else(|| format!("offset {at}: field {index} is not a number of 8 digits"))
    };
    let size = |index: usize| field(index).map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    let (mode, content, name) = (field(1)?, size(6)?, size(11)?);
    let part = |start: usize, length: usize| bytes.get(start..start.checked_add(length)?);
    let written = part(at + HEADER, name).ok_or_else(truncated)?;
    let [plain @ .., 0] = written else {
        return Err(format!("offset {at}: the name does not end with NUL"));
    };
    let content = part(at + padded(HEADER + name), content).ok_or_else(truncated)?;
    let name = plain.strip_prefix(b"./").unwrap_or(plain);
    let name = name.strip_prefix(b"/").unwrap_or(name);
    Ok(Entry { name, mode, content, archive, header, written })
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}
