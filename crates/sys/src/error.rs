//! One error for every system call.

use std::io;

/// A failed system call: `mount tmpfs on /dev: Permission denied (os error 13)`.
#[derive(Debug, thiserror::Error)]
#[error("{op} {object}: {source}")]
pub struct SysError {
    /// Call, or what it was to achieve.
    pub op: &'static str,
    /// What it was done to.
    pub object: String,
    /// Cause.
    pub source: io::Error,
}

impl SysError {
    /// From an errno of rustix or std.
    pub fn new(op: &'static str, object: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self { op, object: object.into(), source: source.into() }
    }

    /// From `errno` of the last libc call.
    pub fn last(op: &'static str, object: impl Into<String>) -> Self {
        Self::new(op, object, io::Error::last_os_error())
    }
}

/// Result of a mechanism.
pub type Result<T> = std::result::Result<T, SysError>;
