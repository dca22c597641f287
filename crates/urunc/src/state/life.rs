//! The truth about a container, whatever is written down: whether its process is there, and what it is by now.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

use urunc_sys::process::Stat;
use urunc_sys::{atomic, process};

use super::container::Container;
use super::record::{Phase, Record, Status};
use crate::init;

const ESRCH: i32 = 3;

/// OCI status of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// `create` has not ended.
    Creating,
    /// Waiting for `start`.
    Created,
    /// The monitor runs.
    Running,
    /// No process.
    Stopped,
}

impl Life {
    /// As the OCI spec spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

impl Container {
    /// The truth: the stored phase if its process still lives, else stopped.
    ///
    /// # Errors
    /// The process cannot be looked at: no answer is better than a wrong one.
    pub fn life(&self, status: &Status) -> anyhow::Result<Life> {
        Ok(self.look(status)?.0)
    }

    /// Its life, and its process as long as nobody has reaped that.
    ///
    /// # Errors
    /// As [`Container::life`].
    pub fn look(&self, status: &Status) -> anyhow::Result<(Life, Option<Stat>)> {
        let own = own(status)?;
        // What is exiting never comes back, though its process is to be waited for.
        let lives = own.as_ref().is_some_and(|stat| !ended(stat) && !stat.exiting);
        let life = match (lives, status.phase) {
            (false, Phase::Creating) if status.pid == 0 && self.is_busy()? => Life::Creating,
            (false, _) => Life::Stopped,
            (true, Phase::Creating) => Life::Creating,
            // A `start` that died after its frame could not write it down; init went on.
            (true, Phase::Created) if !is_init(status.pid)? => Life::Running,
            (true, Phase::Created) => Life::Created,
            (true, Phase::Running) => Life::Running,
        };
        Ok((life, own))
    }

    /// Does a command hold the lock, perhaps this one? Without a process, only that tells a `create` at work from a dead
    /// one.
    fn is_busy(&self) -> anyhow::Result<bool> {
        // Opened anew: the lock belongs to the open directory, and ours must survive the question.
        match atomic::open_dir(self.dir.as_fd(), ".") {
            // Removed meanwhile.
            Err(error) if error.source.kind() == ErrorKind::NotFound => Ok(false),
            dir => Ok(atomic::is_locked(dir?.as_fd())?),
        }
    }

    /// A descriptor of the container's live process; `None` when it has ended.
    ///
    /// # Errors
    /// As [`Container::life`].
    pub fn process(status: &Status) -> anyhow::Result<Option<OwnedFd>> {
        let pidfd = match process::pidfd(status.pid) {
            Err(error) if error.source.raw_os_error() == Some(ESRCH) => return Ok(None),
            opened => opened?,
        };
        // Checked after the descriptor exists: from here on the number cannot be recycled under us.
        let lives = own(status)?.is_some_and(|stat| !ended(&stat)) && !process::ended(pidfd.as_fd())?;
        Ok(lives.then_some(pidfd))
    }
}

/// Has the process not become the monitor yet?
fn is_init(pid: i32) -> anyhow::Result<bool> {
    Ok(process::name(pid)?.is_some_and(|name| name == init::NAME))
}

/// The container's process, if nobody has reaped it.
fn own(status: &Status) -> anyhow::Result<Option<Stat>> {
    if status.pid <= 1 {
        return Ok(None);
    }
    match process::stat(status.pid)?.filter(|stat| stat.start_time == status.start_time) {
        Some(stat) if status.boot_id == process::boot_id()? => Ok(Some(stat)),
        _ => Ok(None),
    }
}

fn ended(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X' | 'x')
}

/// The OCI state as hooks read it.
pub fn oci_state(id: &str, record: &Record, life: Life, pid: i32) -> String {
    let mut state = serde_json::json!({
        "ociVersion": record.oci_version,
        "id": id,
        "status": life.name(),
        "bundle": record.bundle,
    });
    if pid > 0
        && let Some(object) = state.as_object_mut()
    {
        object.insert("pid".into(), pid.into());
    }
    if !record.annotations.is_empty()
        && let Some(object) = state.as_object_mut()
    {
        object.insert("annotations".into(), serde_json::json!(record.annotations));
    }
    state.to_string()
}
