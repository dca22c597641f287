//! The state root: which containers there are; how an id is taken, locked and given back.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use urunc_plan::LaunchPlan;
use urunc_sys::atomic;

use super::container::{Container, RECORD};
use super::record::{Record, Status};

/// What runc and crun keep in a container's directory.
pub const FOREIGN: [&str; 2] = ["state.json", "status"];

/// The state root (`--root`).
#[derive(Debug)]
pub struct Store {
    dir: OwnedFd,
    path: PathBuf,
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

/// The container's place in the state root.
impl Container {
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

    /// Removes the directory and what we put into it; what others put there stays and is an error.
    ///
    /// # Errors
    /// ENOTEMPTY.
    pub fn remove(&self, store: &Store) -> anyhow::Result<()> {
        self.leave(store).with_context(|| self.name())
    }

    fn leave(&self, store: &Store) -> urunc_sys::Result<()> {
        let mut tries = 0;
        loop {
            self.remove_files()?;
            tries += 1;
            match atomic::remove_dir(store.dir(), &self.id) {
                // `kill` takes no lock: it may have recorded its signal between the two.
                Err(error) if tries < 3 && error.source.kind() == ErrorKind::DirectoryNotEmpty => {}
                removed => return removed,
            }
        }
    }
}
