//! Why the monitor cannot be prepared.

use std::io;
use thiserror::Error;

/// One lower-case line that names the value at fault.
#[derive(Debug, Error)]
pub enum TenderError {
    /// The image breaks a rule of its format, or is not for this monitor.
    #[error("kernel: {0}")]
    Image(String),
    /// The command line is longer than the ABI can carry, or holds a NUL.
    #[error("cmdline: {0}")]
    Cmdline(String),
    /// The guest's memory is too small for the image.
    #[error("memory of {mib} MiB: {why}")]
    Memory {
        /// What the plan gives, MiB.
        mib: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A device does not match the manifest, or its descriptor is not what the plan says.
    #[error("device {name}: {why}")]
    Device {
        /// Name in the manifest.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// This process or this host cannot hold a guest.
    #[error("host: {0}")]
    Host(String),
    /// A system call failed.
    #[error("{call}: {source}")]
    System {
        /// The call and its object.
        call: String,
        /// errno.
        source: io::Error,
    },
}

impl TenderError {
    /// The system call that just failed, with errno.
    pub(crate) fn last(call: impl Into<String>) -> Self {
        Self::System { call: call.into(), source: io::Error::last_os_error() }
    }

    /// A device at fault.
    pub(crate) fn device(name: &str, why: impl Into<String>) -> Self {
        Self::Device { name: name.to_owned(), why: why.into() }
    }
}
