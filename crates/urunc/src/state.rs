//! The state directory: intent before the first side effect, the truth about the process afterwards.

mod alive;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use urunc_plan::{HostFacts, LaunchPlan, Request};
use urunc_sys::{SysError, atomic, process};

use crate::bundle::Hooks;
use crate::{seal, settings};

/// Format of the record. A release that adds what `start` may not ignore counts it up.
pub const VERSION: u32 = 1;

const RECORD: &str = "record.json";
const PLAN: &str = "plan.json";
const STATUS: &str = "status.json";
/// Apart from the status: `kill` takes no lock and must not overwrite what `start` writes.
const SIGNAL: &str = "signal";
/// Init's listener, in the state directory.
pub const SOCKET: &str = "init.sock";
/// What runc and crun keep in a container's directory.
pub const FOREIGN: [&str; 2] = ["state.json", "status"];
const ESRCH: i32 = 3;
const EINVAL: i32 = 22;
const EFBIG: i32 = 27;
/// Longest state file read back, bytes.
const LIMIT: u64 = 64 << 20;

/// Everything `create` froze. What an older release did not write has a default, what a newer one added is ignored:
/// a container outlives the binary that made it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// [`VERSION`] of the release that wrote it.
    pub version: u32,
    /// `ociVersion` of config.json.
    pub oci_version: String,
    /// Bundle, absolute.
    pub bundle: PathBuf,
    /// Root of the image, absolute.
    pub rootfs: PathBuf,
    /// Creation time, RFC 3339.
    pub created: String,
    /// Annotations of config.json.
    pub annotations: BTreeMap<String, String>,
    /// Hooks of config.json.
    pub hooks: Hooks,
    /// config.json had a `process`; without one `start` is refused.
    pub has_process: bool,
    /// Seconds that init and a monitor get to answer at start.
    #[serde(default = "usual_start_timeout")]
    pub start_timeout: u32,
    /// What was asked for.
    pub request: Request,
    /// What the host offered.
    pub host: HostFacts,
}

fn usual_start_timeout() -> u32 {
    settings::START_TIMEOUT
}

/// Where the container is in its life, as last written; [`Container::life`] is the truth.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Status {
    /// Phase.
    pub phase: Phase,
    /// Process id of init, then of the monitor; 0 before it exists.
    pub pid: i32,
    /// Its start time, clock ticks since boot.
    pub start_time: u64,
    /// Boot in which both are valid.
    pub boot_id: String,
}

/// Phases that are written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Intent.
    #[default]
    Creating,
    /// Init waits for `start`.
    Created,
    /// The monitor accepted its configuration.
    Running,
}

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

/// The state root (`--root`).
#[derive(Debug)]
pub struct Store {
    dir: OwnedFd,
    path: PathBuf,
}

/// One container's directory, held by descriptor.
#[derive(Debug)]
pub struct Container {
    /// Container id.
    pub id: String,
    /// The directory.
    pub dir: OwnedFd,
}

impl Store {
    /// Opens the state root, which is made if missing, mode 0700.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn make(path: &Path) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let context = || format!("--root {}", path.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(context)?;
        Self::open(path)?.with_context(context)
    }

    /// Opens the state root; `None` when there is none: then there are no containers.
    ///
    /// # Errors
    /// Names the path; a root that others may write to is refused.
    pub fn open(path: &Path) -> anyhow::Result<Option<Self>> {
        use std::os::unix::fs::MetadataExt;
        let path = std::path::absolute(path)?;
        let context = || format!("--root {}", path.display());
        let file = match std::fs::File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.with_context(context)?,
        };
        let meta = file.metadata().with_context(context)?;
        if !meta.is_dir() || meta.mode() & 0o022 != 0 || meta.uid() != rustix::process::geteuid().as_raw() {
            bail!("--root {}: must be a directory of our own that nobody else may write to", path.display());
        }
        Ok(Some(Self { dir: file.into(), path }))
    }

    /// The root as a descriptor.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The root's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the container's directory and locks it: the id is taken, and there is nothing yet that `delete` would undo.
    ///
    /// # Errors
    /// The id is in use; no space. Nothing is left behind then.
    pub fn reserve(&self, id: &str) -> anyhow::Result<Container> {
        let context = || format!("--root {}", self.path.display());
        loop {
            // Until the lock is ours, a `delete` may take the directory for what a dead `create` left and remove it, and
            // another `create` may make it anew: then it is the other one's.
            let dir = match atomic::make_dir(self.dir(), id, 0o700) {
                Err(e) if e.source.kind() == ErrorKind::AlreadyExists => {
                    bail!("container with id {id} exists already")
                }
                Err(e) if e.op == "open" && e.source.kind() == ErrorKind::NotFound => continue,
                made => made.with_context(context)?,
            };
            let container = Container { id: id.to_owned(), dir };
            match container.lock(self).and_then(|ours| Ok((ours, container.is_taken()?))) {
                Ok((true, false)) => return Ok(container),
                Ok((true, true)) => bail!("container with id {id} exists already"),
                Ok((false, _)) => {}
                Err(error) => {
                    // It stays if it is not empty: then it is the other one's.
                    let _ = atomic::remove_dir(self.dir(), id);
                    return Err(error).with_context(context);
                }
            }
        }
    }

    /// Writes the intent into a reserved directory, the record last: with it the container exists, and has all files.
    ///
    /// # Errors
    /// No space.
    pub fn write_intent(
        &self,
        container: &Container,
        record: &Record,
        plan: &LaunchPlan,
    ) -> anyhow::Result<()> {
        container
            .save_status(&Status::default())
            .and_then(|()| container.save_plan(plan))
            .and_then(|()| container.save(RECORD, record))
            .with_context(|| format!("--root {}", self.path.display()))
    }

    /// Opens a container of ours; `None` when there is none by this id (it may be another runtime's).
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn find(&self, id: &str) -> anyhow::Result<Option<Container>> {
        let dir = match atomic::open_dir(self.dir(), id) {
            Err(e) if e.source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.with_context(|| format!("--root {}", self.path.display()))?,
        };
        for name in FOREIGN {
            if atomic::exists(dir.as_fd(), name).with_context(|| format!("container {id}"))? {
                return Ok(None);
            }
        }
        Ok(Some(Container { id: id.to_owned(), dir }))
    }

    /// Ids of all containers of ours, sorted.
    ///
    /// # Errors
    /// The root cannot be read.
    pub fn ids(&self) -> anyhow::Result<Vec<String>> {
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let Some(id) = name.to_str() else { continue };
            if self.find(id).is_ok_and(|found| found.is_some()) {
                ids.push(id.to_owned());
            }
        }
        ids.sort();
        Ok(ids)
    }
}

impl Container {
    fn save(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
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
    fn name(&self) -> String {
        format!("state of container {}", self.id)
    }

    /// Takes the container's lock; false when the container was deleted meanwhile.
    ///
    /// # Errors
    /// flock(2)'s errno.
    pub fn lock(&self, store: &Store) -> anyhow::Result<bool> {
        atomic::lock(self.dir.as_fd(), true)?;
        match atomic::open_dir(store.dir(), &self.id) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => Ok(false),
            current => Ok(atomic::same_inode(current?, self.dir.as_fd())?),
        }
    }

    /// Gives the lock back: other commands may work on the container.
    pub fn unlock(&self) {
        atomic::unlock(self.dir.as_fd());
    }

    /// Has its `create` come as far as the record, and no `delete`?
    ///
    /// # Errors
    /// fstatat(2)'s errno.
    pub fn is_recorded(&self) -> anyhow::Result<bool> {
        atomic::exists(self.dir.as_fd(), RECORD).with_context(|| self.name())
    }

    /// Has another `create` been here, or a `delete` that was killed?
    fn is_taken(&self) -> anyhow::Result<bool> {
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

    /// The truth: the stored phase if its process still lives, else stopped.
    ///
    /// # Errors
    /// The process cannot be looked at: no answer is better than a wrong one.
    pub fn life(&self, status: &Status) -> anyhow::Result<Life> {
        // What is exiting never comes back, though its process is to be waited for.
        let lives = alive::living(status)?.is_some_and(|stat| !stat.exiting);
        Ok(match (lives, status.phase) {
            (false, Phase::Creating) if status.pid == 0 && self.is_busy()? => Life::Creating,
            (false, _) => Life::Stopped,
            (true, Phase::Creating) => Life::Creating,
            // A `start` that died after its frame could not write it down; init went on.
            (true, Phase::Created) if !alive::is_init(status.pid)? => Life::Running,
            (true, Phase::Created) => Life::Created,
            (true, Phase::Running) => Life::Running,
        })
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
        let lives = alive::living(status)?.is_some() && !process::ended(pidfd.as_fd())?;
        Ok(lives.then_some(pidfd))
    }

    /// Last signal sent by `kill` that ends a process.
    pub fn signal(&self) -> Option<i32> {
        String::from_utf8(atomic::read(self.dir.as_fd(), SIGNAL, 16).ok()?).ok()?.parse().ok()
    }

    /// Stores it.
    ///
    /// # Errors
    /// No space.
    pub fn save_signal(&self, signal: i32) -> anyhow::Result<()> {
        Ok(atomic::write(self.dir.as_fd(), SIGNAL, signal.to_string().as_bytes())?)
    }

    /// Removes the directory and what we put into it; what others put there stays and is an error.
    ///
    /// # Errors
    /// ENOTEMPTY.
    pub fn remove(&self, store: &Store) -> anyhow::Result<()> {
        self.remove_files(store).with_context(|| self.name())
    }

    fn remove_files(&self, store: &Store) -> urunc_sys::Result<()> {
        let mut tries = 0;
        loop {
            // The record first: what has none does not exist any more for those who only look. The plan last: a `delete`
            // that dies here is taken up again, and nothing is left to undo without a plan.
            for name in [RECORD, SOCKET, SIGNAL, STATUS, PLAN] {
                atomic::remove(self.dir.as_fd(), &format!(".{name}.new"))?;
                atomic::remove(self.dir.as_fd(), name)?;
            }
            tries += 1;
            match atomic::remove_dir(store.dir(), &self.id) {
                // `kill` takes no lock: it may have recorded its signal between the two.
                Err(error) if tries < 3 && error.source.kind() == ErrorKind::DirectoryNotEmpty => {}
                removed => return removed,
            }
        }
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
