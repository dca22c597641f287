//! Processes: made, named, waited for, ended.

mod clone;
mod descriptors;
mod pidfd;
mod signals;
mod stat;

use crate::error::{Result, SysError};

pub use clone::{Child, Fork, clone3, exec, exit_now};
pub use descriptors::{close_all_but, close_from, duplicate, never_block, pipe, place_fds, redirect};
pub use pidfd::{
    Until, ended, kill, pidfd, reap, reap_any, signal, try_signal, wait_any, wait_readable, wait_ready,
};
pub use signals::{next_signal, reset_signals, signals_as_fd, survive_file_limit, with_open_signals};
pub use stat::{Stat, boot_id, name, parse_stat, stat};

/// prctl(PR_SET_NAME): the name `ps` shows, at most 15 bytes.
///
/// # Errors
/// EINVAL for a name with a NUL.
pub fn set_name(name: &str) -> Result<()> {
    let error = |e: std::io::Error| SysError::new("prctl", "name of the process", e);
    let text = std::ffi::CString::new(name).map_err(|e| error(e.into()))?;
    rustix::thread::set_name(&text).map_err(|e| error(e.into()))
}

/// Makes this process undumpable until its next exec: without CAP_SYS_PTRACE nobody, not even root, can attach to it or
/// follow its links below /proc (prctl(PR_SET_DUMPABLE)).
///
/// # Errors
/// prctl(2)'s errno.
pub fn hide() -> Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|e| SysError::new("prctl", "not dumpable", e))
}
