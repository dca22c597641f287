//! Guest memory in this process, and the image in it.

use std::ops::Range;

use urunc_plan::solo5::{Load, Segment};

use crate::TenderError;
use crate::sys::{File, pointer};

/// Lowest mapped address of a guest whose addresses are the process's; below it the guest faults
/// (`SPT_HOST_MEM_BASE`).
pub(crate) const GUEST_BASE: u64 = 0x1_0000;

/// The mapped memory of a guest.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Guest addresses that are mapped.
    guest: Range<u64>,
    /// Host address of guest address 0.
    host: u64,
    /// Pages of the image that are not written, by guest address.
    read_only: Vec<Range<u64>>,
}

impl Memory {
    /// Maps `mib` MiB of zeroes for a guest whose addresses are the process's own, from [`GUEST_BASE`] on. Nothing is
    /// touched yet.
    pub(crate) fn of_process(mib: u64) -> Result<Self, TenderError> {
        let guest = GUEST_BASE..bytes(mib)?;
        let bad = |why: &str| TenderError::Memory { mib, why: why.to_owned() };
        let mapped =
            map(pointer(GUEST_BASE), &guest, libc::MAP_FIXED_NOREPLACE).map_err(|error| {
                match error.raw_os_error() {
                    Some(libc::EEXIST) => {
                        bad("the addresses are in use: this program is not position-independent")
                    }
                    Some(libc::EPERM) => TenderError::Host("vm.mmap_min_addr is above 65536".to_owned()),
                    _ => no_memory(mib, error),
                }
            })?;
        let memory = Self { guest, host: mapped.wrapping_sub(GUEST_BASE), read_only: Vec::new() };
        if memory.host != 0 {
            return Err(TenderError::Host("kernel without MAP_FIXED_NOREPLACE (4.17)".to_owned()));
        }
        memory.advise()?;
        Ok(memory)
    }

    /// Maps `mib` MiB of zeroes for a guest with addresses of its own, from 0 on. Nothing is touched yet.
    pub(crate) fn of_machine(mib: u64) -> Result<Self, TenderError> {
        let guest = 0..bytes(mib)?;
        let host = map(std::ptr::null_mut(), &guest, 0).map_err(|error| no_memory(mib, error))?;
        let memory = Self { guest, host, read_only: Vec::new() };
        memory.advise()?;
        Ok(memory)
    }

    /// First address behind the guest.
    pub(crate) fn end(&self) -> u64 {
        self.guest.end
    }

    /// Where the guest's memory is in this process.
    pub(crate) fn host_range(&self) -> Range<u64> {
        self.host + self.guest.start..self.host + self.guest.end
    }

    /// Where `len` bytes at a guest address are in this process; `None` if they are not all in the guest's memory.
    pub(crate) fn place(&self, address: u64, len: u64) -> Option<u64> {
        let end = address.checked_add(len)?;
        (address >= self.guest.start && end <= self.guest.end).then_some(self.host + address)
    }

    /// [`Memory::place`] for bytes that this process will write.
    pub(crate) fn writable(&self, address: u64, len: u64) -> Option<u64> {
        let place = self.place(address, len)?;
        let overlaps = |page: &Range<u64>| address < page.end && page.start < address + len;
        (!self.read_only.iter().any(overlaps)).then_some(place)
    }

    /// Copies from a guest address; `None` outside of its memory.
    pub(crate) fn read<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let place = self.place(address, N as u64)?;
        let mut bytes = [0; N];
        // SAFETY: the range is inside our mapping, all of which can be read; no reference points into it, for nobody
        // but these functions touches it while the guest stands still.
        unsafe { std::ptr::copy_nonoverlapping(pointer(place).cast(), bytes.as_mut_ptr(), N) };
        Some(bytes)
    }

    /// Copies to a guest address; `None` outside of its memory and in its read-only pages.
    pub(crate) fn store(&mut self, address: u64, bytes: &[u8]) -> Option<()> {
        let place = self.writable(address, bytes.len() as u64)?;
        // SAFETY: the range is inside our mapping and can be written, as nobody but `load` takes that away; no
        // reference points into it, and `bytes` is elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), pointer(place).cast(), bytes.len()) };
        Some(())
    }

    /// [`Memory::store`] for what the tender itself leaves in memory.
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), TenderError> {
        self.store(address, bytes).ok_or_else(|| self.outside(address, bytes.len() as u64))
    }

    /// Sets the protection of whole pages.
    pub(crate) fn protect(&mut self, pages: Range<u64>, protection: i32) -> Result<(), TenderError> {
        let len = pages.end.saturating_sub(pages.start);
        let place = self.place(pages.start, len).ok_or_else(|| self.outside(pages.start, len))?;
        let bytes = usize::try_from(len).unwrap_or_default();
        // SAFETY: the range is inside our mapping, which no reference points into.
        let result = unsafe { libc::mprotect(pointer(place), bytes, protection) };
        if result < 0 {
            return Err(TenderError::last(format!("mprotect {:#x}", pages.start)));
        }
        if protection & libc::PROT_WRITE == 0 {
            self.read_only.push(pages);
        }
        Ok(())
    }

    /// Reads the segments from the file and protects their pages in this process as `protection` makes of their flags.
    /// What the file does not fill is zero already.
    pub(crate) fn load(
        &mut self,
        file: &File<'_>,
        load: &Load,
        protection: fn(&Segment) -> i32,
    ) -> Result<(), TenderError> {
        for segment in &load.segments {
            let len = segment.end() - segment.start();
            let place = self.place(segment.start(), len).ok_or_else(|| self.outside(segment.start(), len))?;
            let at = place + (segment.vaddr - segment.start());
            // SAFETY: filesz <= memsz, so the bytes are inside the checked range; no reference points there.
            unsafe { file.read_to(segment.offset, at, segment.filesz)? };
            if segment.flags & 1 != 0 {
                crate::caches::publish_code(place, place + len);
            }
        }
        for segment in &load.segments {
            self.protect(segment.start()..segment.end(), protection(segment))?;
        }
        Ok(())
    }

    /// Keeps the guest out of core dumps, and its resident size to what it touches: a transparent huge page would
    /// be 2 MiB at the first touch of the stack. EINVAL is a kernel without huge pages.
    fn advise(&self) -> Result<(), TenderError> {
        let (start, len) = (pointer(self.host_range().start), self.len());
        // SAFETY: the range is ours, and neither advice changes its content.
        unsafe {
            libc::madvise(start, len, libc::MADV_NOHUGEPAGE);
            if libc::madvise(start, len, libc::MADV_DONTDUMP) < 0 {
                return Err(TenderError::last("madvise MADV_DONTDUMP"));
            }
        }
        Ok(())
    }

    fn len(&self) -> usize {
        length(&self.guest)
    }

    fn outside(&self, address: u64, len: u64) -> TenderError {
        let why = format!("{len} bytes at {address:#x} are outside");
        TenderError::Memory { mib: self.guest.end >> 20, why }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing points into it.
        unsafe { libc::munmap(pointer(self.host_range().start), self.len()) };
    }
}

fn bytes(mib: u64) -> Result<u64, TenderError> {
    let fits = mib.checked_mul(1 << 20).filter(|end| *end < 1 << 46);
    fits.ok_or_else(|| TenderError::Memory { mib, why: "too large".to_owned() })
}

fn no_memory(mib: u64, source: std::io::Error) -> TenderError {
    TenderError::System { call: format!("mmap {mib} MiB of guest memory"), source }
}

fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end.saturating_sub(range.start)).unwrap_or_default()
}

/// Anonymous private pages at, or near, an address.
fn map(at: *mut libc::c_void, guest: &Range<u64>, fixed: i32) -> std::io::Result<u64> {
    // What may be used is the cgroup's to say: a host with less memory than the limit need not reserve it.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
    // SAFETY: neither a hint nor MAP_FIXED_NOREPLACE replaces a mapping.
    let mapped = unsafe { libc::mmap(at, length(guest), libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    Ok(mapped.expose_provenance() as u64)
}
