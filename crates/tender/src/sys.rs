//! The few system calls that `prepare` makes, with their errors named.

use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use urunc_plan::read::ReadAt;

use crate::TenderError;

/// A regular file or block device as random-access bytes.
pub(crate) struct File<'a> {
    fd: BorrowedFd<'a>,
    size: u64,
}

impl<'a> File<'a> {
    /// Takes the size from the end of the file: lseek(2) knows regular files and block devices.
    pub(crate) fn new(fd: BorrowedFd<'a>, what: &str) -> Result<Self, TenderError> {
        // SAFETY: no memory is involved.
        let end = unsafe { libc::lseek(fd.as_raw_fd(), 0, libc::SEEK_END) };
        let size = u64::try_from(end).map_err(|_| TenderError::last(format!("lseek {what}")))?;
        Ok(Self { fd, size })
    }

    /// Reads exactly `len` bytes at `offset` to `address`.
    ///
    /// # Safety
    /// `len` bytes at `address` are writable and no reference points into them.
    pub(crate) unsafe fn read_to(&self, offset: u64, address: u64, len: u64) -> Result<(), TenderError> {
        let mut done = 0;
        while done < len {
            let (Ok(count), Ok(at)) = (usize::try_from(len - done), libc::off_t::try_from(offset + done))
            else {
                return Err(TenderError::Image(format!("offset {offset:#x} is too large")));
            };
            // SAFETY: the caller vouches for `len` bytes at `address`; `done + count == len`.
            let n = unsafe { libc::pread(self.fd.as_raw_fd(), pointer(address + done), count, at) };
            match u64::try_from(n) {
                Ok(0) => {
                    return Err(TenderError::Image(format!(
                        "the file ends before offset {:#x}",
                        offset + len
                    )));
                }
                Ok(n) => done += n,
                Err(_) if interrupted() => {}
                Err(_) => return Err(TenderError::last("pread kernel")),
            }
        }
        Ok(())
    }
}

impl ReadAt for File<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> bool {
        // SAFETY: `buf` is writable for its whole length.
        unsafe { self.read_to(offset, buf.as_mut_ptr().expose_provenance() as u64, buf.len() as u64).is_ok() }
    }
}

fn interrupted() -> bool {
    std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
}

/// An address as a pointer.
#[allow(clippy::cast_possible_truncation)]
pub(crate) fn pointer(address: u64) -> *mut c_void {
    // Both supported architectures are 64-bit.
    std::ptr::with_exposed_provenance_mut(address as usize)
}

/// A new epoll set.
pub(crate) fn epoll() -> Result<OwnedFd, TenderError> {
    // SAFETY: no memory is involved; the descriptor is ours.
    unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC), "epoll_create1") }
}

/// A timer on the monotonic clock.
pub(crate) fn timer() -> Result<OwnedFd, TenderError> {
    let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
    // SAFETY: no memory is involved; the descriptor is ours.
    unsafe { owned(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags), "timerfd_create") }
}

/// # Safety
/// `fd` is -1 or a new descriptor that nobody else owns.
unsafe fn owned(fd: i32, call: &str) -> Result<OwnedFd, TenderError> {
    if fd < 0 {
        return Err(TenderError::last(call));
    }
    // SAFETY: as the caller says.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds `fd` to the set for reading.
pub(crate) fn watch(epoll: &OwnedFd, fd: &OwnedFd, data: u64) -> Result<(), TenderError> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: data };
    let result =
        // SAFETY: `event` lives across the call.
        unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event) };
    if result < 0 { Err(TenderError::last("epoll_ctl")) } else { Ok(()) }
}

/// File status flags.
pub(crate) fn status_flags(fd: &OwnedFd) -> Result<i32, TenderError> {
    // SAFETY: no memory is involved.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 { Err(TenderError::last("fcntl F_GETFL")) } else { Ok(flags) }
}

/// Makes reads and writes return EAGAIN instead of blocking.
pub(crate) fn set_nonblocking(fd: &OwnedFd) -> Result<(), TenderError> {
    let flags = status_flags(fd)? | libc::O_NONBLOCK;
    // SAFETY: no memory is involved.
    let result = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) };
    if result < 0 { Err(TenderError::last("fcntl F_SETFL")) } else { Ok(()) }
}

/// `st_mode` of a descriptor.
pub(crate) fn mode(fd: &OwnedFd) -> Result<libc::mode_t, TenderError> {
    // SAFETY: all-zero bytes are a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is writable.
    let result = unsafe { libc::fstat(fd.as_raw_fd(), &raw mut stat) };
    if result < 0 { Err(TenderError::last("fstat")) } else { Ok(stat.st_mode) }
}
