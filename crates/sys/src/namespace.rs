//! Namespaces: kind, joining, making, names.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};

use crate::error::{Result, SysError};

/// CLONE_NEW* constant of a namespace descriptor (NS_GET_NSTYPE, ioctl_ns(2)); `None` for any other file.
pub fn kind(fd: impl AsFd) -> Option<u32> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // The number may mean something else to another driver: only files of nsfs are asked.
    const NSFS_MAGIC: u64 = 0x6e73_6673;
    let fs = rustix::fs::fstatfs(fd.as_fd()).ok()?;
    if fs.f_type as u64 != NSFS_MAGIC {
        return None;
    }
    // SAFETY: takes no argument.
    let kind = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_NSTYPE) };
    u32::try_from(kind).ok()
}

/// Moves into a namespace by descriptor (setns(2)).
///
/// # Errors
/// EINVAL when the descriptor is of another kind than `flag` (CLONE_NEW*).
pub fn join(namespace: impl AsFd, flag: u32, path: &str) -> Result<()> {
    // SAFETY: plain integers.
    let rc = unsafe { libc::setns(namespace.as_fd().as_raw_fd(), flag as i32) };
    if rc == 0 { Ok(()) } else { Err(SysError::last("join namespace", path)) }
}

/// unshare(2).
///
/// # Errors
/// The call's errno.
pub fn unshare(flags: u32, what: &str) -> Result<()> {
    // SAFETY: namespace flags only; the process has one thread.
    let rc = unsafe { libc::unshare(flags as i32) };
    if rc == 0 { Ok(()) } else { Err(SysError::last("unshare", what)) }
}

/// setdomainname(2).
///
/// # Errors
/// EINVAL for a name of more than 64 bytes.
pub fn set_domain_name(name: &str) -> Result<()> {
    // SAFETY: pointer and length of a live string.
    let rc = unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) };
    if rc == 0 { Ok(()) } else { Err(SysError::last("setdomainname", name)) }
}
