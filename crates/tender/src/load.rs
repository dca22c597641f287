//! Guest memory: the process's own addresses from 64 KiB up to the guest's size, and the image in it.

use urunc_plan::solo5::{Load, Segment};

use crate::TenderError;
use crate::sys::{File, pointer};

/// Lowest mapped guest address; below it the guest faults (`SPT_HOST_MEM_BASE`).
pub(crate) const GUEST_BASE: u64 = 0x1_0000;

/// The mapped memory of a guest, `GUEST_BASE..end`.
#[derive(Debug)]
pub(crate) struct Memory {
    end: u64,
}

impl Memory {
    /// Maps `mib` MiB of zeroes, readable and writable. Nothing is touched yet.
    pub(crate) fn map(mib: u64) -> Result<Self, TenderError> {
        let bad = |why: &str| TenderError::Memory { mib, why: why.to_owned() };
        let end = mib.checked_mul(1 << 20).filter(|end| *end < 1 << 46).ok_or_else(|| bad("too large"))?;
        let len = usize::try_from(end.saturating_sub(GUEST_BASE)).map_err(|_| bad("too large"))?;
        // What may be used is the cgroup's to say: a host with less memory than the limit need not reserve it.
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
        let mapped =
            // SAFETY: MAP_FIXED_NOREPLACE never replaces a mapping.
            unsafe { libc::mmap(pointer(GUEST_BASE), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if mapped == libc::MAP_FAILED {
            let error = std::io::Error::last_os_error();
            return Err(match error.raw_os_error() {
                Some(libc::EEXIST) => {
                    bad("the addresses are in use: this program is not position-independent")
                }
                Some(libc::EPERM) => TenderError::Host("vm.mmap_min_addr is above 65536".to_owned()),
                _ => TenderError::System { call: format!("mmap {mib} MiB of guest memory"), source: error },
            });
        }
        let memory = Self { end };
        if mapped != pointer(GUEST_BASE) {
            return Err(TenderError::Host("kernel without MAP_FIXED_NOREPLACE (4.17)".to_owned()));
        }
        advise(len)?;
        Ok(memory)
    }

    /// First address behind the guest.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Copies `bytes` to a guest address.
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), TenderError> {
        self.check(address, bytes.len() as u64)?;
        // SAFETY: the range is inside our mapping, which no reference points into; `bytes` is elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), pointer(address).cast(), bytes.len()) };
        Ok(())
    }

    /// Sets the protection of whole pages.
    pub(crate) fn protect(&mut self, start: u64, end: u64, protection: i32) -> Result<(), TenderError> {
        self.check(start, end.saturating_sub(start))?;
        let len = usize::try_from(end - start).unwrap_or_default();
        // SAFETY: the range is inside our mapping, which no reference points into.
        let result = unsafe { libc::mprotect(pointer(start), len, protection) };
        if result < 0 { Err(TenderError::last(format!("mprotect {start:#x}"))) } else { Ok(()) }
    }

    /// Reads the segments from the file and protects their pages exactly as the image says. What the file does not
    /// fill is zero already.
    pub(crate) fn load(&mut self, file: &File<'_>, load: &Load) -> Result<(), TenderError> {
        for segment in &load.segments {
            self.check(segment.start(), segment.end() - segment.start())?;
            // SAFETY: filesz <= memsz, so the bytes are inside the checked range; no reference points there.
            unsafe { file.read_to(segment.offset, segment.vaddr, segment.filesz)? };
        }
        for segment in &load.segments {
            if segment.flags & 1 != 0 {
                crate::caches::publish_code(segment.start(), segment.end());
            }
            self.protect(segment.start(), segment.end(), protection(segment))?;
        }
        Ok(())
    }

    fn check(&self, address: u64, len: u64) -> Result<(), TenderError> {
        let inside = address >= GUEST_BASE && address.checked_add(len).is_some_and(|end| end <= self.end);
        let why = || format!("{len} bytes at {address:#x} are outside");
        if inside { Ok(()) } else { Err(TenderError::Memory { mib: self.end >> 20, why: why() }) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let len = usize::try_from(self.end - GUEST_BASE).unwrap_or_default();
        // SAFETY: the mapping is ours and nothing points into it.
        unsafe { libc::munmap(pointer(GUEST_BASE), len) };
    }
}

/// Keeps the guest out of core dumps, and its resident size to what it touched: a transparent huge page would
/// be 2 MiB at the first touch of the stack. EINVAL is a kernel without huge pages.
fn advise(len: usize) -> Result<(), TenderError> {
    // SAFETY: the range is ours, and neither advice changes its content.
    unsafe {
        libc::madvise(pointer(GUEST_BASE), len, libc::MADV_NOHUGEPAGE);
        if libc::madvise(pointer(GUEST_BASE), len, libc::MADV_DONTDUMP) < 0 {
            return Err(TenderError::last("madvise MADV_DONTDUMP"));
        }
    }
    Ok(())
}

fn protection(segment: &Segment) -> i32 {
    [(4, libc::PROT_READ), (2, libc::PROT_WRITE), (1, libc::PROT_EXEC)]
        .iter()
        .filter(|(flag, _)| segment.flags & flag != 0)
        .fold(libc::PROT_NONE, |all, (_, bit)| all | bit)
}
