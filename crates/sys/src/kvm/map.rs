//! Memory that is unmapped when dropped.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

pub(super) struct Page {
    start: *mut u8,
    bytes: usize,
}

impl Page {
    pub(super) fn anonymous(bytes: usize) -> io::Result<Self> {
        Self::map(bytes, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    pub(super) fn shared(fd: &OwnedFd, bytes: usize) -> io::Result<Self> {
        Self::map(bytes, libc::MAP_SHARED, fd.as_raw_fd())
    }

    fn map(bytes: usize, flags: i32, fd: i32) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start: start.cast(), bytes })
    }

    pub(super) fn address(&self) -> u64 {
        self.start as u64
    }

    pub(super) fn write(&mut self, content: &[u8]) {
        assert!(content.len() <= self.bytes);
        // SAFETY: the mapping is writable, at least this long, and cannot overlap a borrowed slice.
        unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), self.start, content.len()) };
    }

    pub(super) fn read_u32(&self, offset: usize) -> u32 {
        assert!(offset + 4 <= self.bytes);
        // SAFETY: in bounds; volatile because the kernel writes it.
        u32::from_ne_bytes(unsafe { self.start.add(offset).cast::<[u8; 4]>().read_volatile() })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: start and length are those of the mapping this value owns; no reference into it exists.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }
}
