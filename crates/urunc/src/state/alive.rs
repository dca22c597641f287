//! Whether the process of a status is there, and what it is by now.

use urunc_sys::process;

use super::Status;
use crate::init;

/// Has the process not become the monitor yet?
pub(super) fn is_init(pid: i32) -> anyhow::Result<bool> {
    Ok(process::name(pid)?.is_some_and(|name| name == init::NAME))
}

/// The container's process, if it has not ended.
pub(super) fn living(status: &Status) -> anyhow::Result<Option<process::Stat>> {
    if status.pid <= 1 {
        return Ok(None);
    }
    let found = process::stat(status.pid)?;
    let same =
        |stat: &process::Stat| stat.start_time == status.start_time && !matches!(stat.state, 'Z' | 'X' | 'x');
    match found.filter(same) {
        Some(stat) if status.boot_id == process::boot_id()? => Ok(Some(stat)),
        _ => Ok(None),
    }
}
