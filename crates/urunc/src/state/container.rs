//! One container's directory: the files in it, what they mean when they are missing or damaged, and their order.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, bail};
use serde::Serialize;
use urunc_plan::LaunchPlan;
use urunc_sys::{SysError, atomic};

use super::record::{Record, Status};
use crate::exit::{self, Exit};
use crate::seal;

pub(super) const RECORD: &str = "record.json";
const PLAN: &str = "plan.json";
const STATUS: &str = "status.json";
/// Apart from the status: `kill` takes no lock and must not overwrite what `start` writes.
const SIGNAL: &str = "signal";
/// How the container ended, if init stayed to write it: foreign bytes.
const EXIT: &str = "exit.json";
/// Init's listener, in the state directory.
pub const SOCKET: &str = "init.sock";
const EINVAL: i32 = 22;
const EFBIG: i32 = 27;
/// Longest state file read back, bytes.
const LIMIT: u64 = 64 << 20;

/// One container's directory, held by descriptor.
#[derive(Debug)]
pub struct Container {
    /// Container id.
    pub id: String,
    /// The directory.
    pub dir: OwnedFd,
}

impl Container {
    pub(super) fn save(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let written = atomic::write(self.dir.as_fd(), name, &seal::seal(serde_json::to_vec(value)?));
        written.with_context(|| self.name())
    }

    fn load<T: serde::de::DeserializeOwned>(&self, name: &str) -> anyhow::Result<T> {
        let damaged = || format!("{name} of container {} is damaged", self.id);
        let bytes = atomic::read(self.dir.as_fd(), name, LIMIT).with_context(|| self.name())?;
        let bytes = seal::unseal(bytes).with_context(damaged)?;
        serde_json::from_slice(&bytes).with_context(damaged)
    }

    /// For errors.
    pub(super) fn name(&self) -> String {
        format!("state of container {}", self.id)
    }

    /// Has its `create` come as far as the record, and no `delete`?
    ///
    /// # Errors
    /// fstatat(2)'s errno.
    pub fn is_recorded(&self) -> anyhow::Result<bool> {
        atomic::exists(self.dir.as_fd(), RECORD).with_context(|| self.name())
    }

    /// Has another `create` been here, or a `delete` that was killed?
    pub(super) fn is_taken(&self) -> anyhow::Result<bool> {
        Ok(self.is_recorded()? || atomic::exists(self.dir.as_fd(), PLAN).with_context(|| self.name())?)
    }

    /// What was frozen.
    ///
    /// # Errors
    /// The file is damaged, or missing: its `create` has not come that far, or `delete` has begun to remove it.
    pub fn record(&self) -> anyhow::Result<Record> {
        match self.load(RECORD) {
            Err(error) if absent(&error) => bail!("container {} does not exist", self.id),
            record => record,
        }
    }

    /// The stored plan; `None` when there is none, and so nothing to undo: it is written before the first side effect.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn plan_if_any(&self) -> anyhow::Result<Option<LaunchPlan>> {
        match self.plan() {
            Err(error) if absent(&error) => Ok(None),
            plan => plan.map(Some),
        }
    }

    /// The stored plan.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub fn plan(&self) -> anyhow::Result<LaunchPlan> {
        self.load(PLAN)
    }

    /// The stored status.
    ///
    /// # Errors
    /// The file is damaged, or missing: as with [`Container::record`].
    pub fn status(&self) -> anyhow::Result<Status> {
        self.status_if_any()?.with_context(|| format!("container {} does not exist", self.id))
    }

    /// The stored status; `None` when there is none: no process has been made yet, or `delete` has come that far.
    ///
    /// # Errors
    /// The file is damaged: nobody knows whether the container runs.
    pub fn status_if_any(&self) -> anyhow::Result<Option<Status>> {
        match self.load(STATUS) {
            Err(error) if absent(&error) => Ok(None),
            status => status.map(Some),
        }
    }

    /// Stores the plan.
    ///
    /// # Errors
    /// No space.
    pub fn save_plan(&self, plan: &LaunchPlan) -> anyhow::Result<()> {
        self.save(PLAN, plan)
    }

    /// Stores the status.
    ///
    /// # Errors
    /// No space.
    pub fn save_status(&self, status: &Status) -> anyhow::Result<()> {
        self.save(STATUS, status)
    }

    /// Last signal sent by `kill` that ends a process.
    pub fn signal(&self) -> Option<i32> {
        String::from_utf8(atomic::read(self.dir.as_fd(), SIGNAL, 16).ok()?).ok()?.parse().ok()
    }

    /// An empty record of the end, for init to write.
    ///
    /// # Errors
    /// No space.
    pub fn make_exit(&self) -> anyhow::Result<OwnedFd> {
        atomic::create(self.dir.as_fd(), EXIT).with_context(|| self.name())
    }

    /// How the container ended, as init wrote it; `None` when it wrote nothing, or no record.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn exit(&self) -> anyhow::Result<Option<Exit>> {
        match atomic::read(self.dir.as_fd(), EXIT, exit::LONGEST as u64) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => Ok(None),
            read => Ok(Exit::parse(&read.with_context(|| self.name())?)),
        }
    }

    /// Stores it.
    ///
    /// # Errors
    /// No space.
    pub fn save_signal(&self, signal: i32) -> anyhow::Result<()> {
        Ok(atomic::write(self.dir.as_fd(), SIGNAL, signal.to_string().as_bytes())?)
    }

    /// Removes our files. The record first: what has none does not exist any more for those who only look. The plan last: a
    /// `delete` that dies here is taken up again, and nothing is left to undo without a plan.
    pub(super) fn remove_files(&self) -> urunc_sys::Result<()> {
        for name in [RECORD, SOCKET, SIGNAL, EXIT, STATUS, PLAN] {
            atomic::remove(self.dir.as_fd(), &format!(".{name}.new"))?;
            atomic::remove(self.dir.as_fd(), name)?;
        }
        Ok(())
    }
}

fn absent(error: &anyhow::Error) -> bool {
    error.downcast_ref::<SysError>().is_some_and(|error| error.source.kind() == ErrorKind::NotFound)
}

/// Could a state file not be read, whatever is in it? What it says may then be as true as ever.
pub fn is_unread(error: &anyhow::Error) -> bool {
    // No regular file, or too long: that is damage.
    let damaged = |code| code == Some(EINVAL) || code == Some(EFBIG);
    error.downcast_ref::<SysError>().is_some_and(|error| !damaged(error.source.raw_os_error()))
}
