//! One error for every system call.

use std::io;

/// A failed system call: `mount tmpfs on /dev`. Its cause is the next link of the chain, and not in this text: whoever
/// prints the chain would say it twice.
#[derive(Debug, thiserror::Error)]
#[error("{op} {object}")]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_says_the_cause_once() {
        let error = SysError::new("open", "/x", io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(error.to_string(), "open /x");
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), "Operation not permitted (os error 1)");
    }
}
