//! Ordinary containers belong to runc (or crun): same argv, same environment, and the verdict is remembered.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use urunc_sys::{atomic, process};

use crate::state::{FOREIGN, Store};

const SIGCHLD: i32 = 17;

/// Why a container is not ours, stored at create.
#[derive(Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The runtime it was given to.
    pub runtime: PathBuf,
    /// Reason.
    pub reason: String,
}

/// File of a verdict: no id of runc's or ours contains a colon.
fn file(id: &str) -> String {
    format!(":{id}")
}

/// Remembers the verdict.
///
/// # Errors
/// No space in the state root.
pub fn remember(store: &Store, id: &str, verdict: &Verdict) -> anyhow::Result<()> {
    Ok(atomic::write(store.dir(), &file(id), &serde_json::to_vec(verdict)?)?)
}

fn is_foreign(directory: &Path) -> std::io::Result<bool> {
    for name in FOREIGN {
        match directory.join(name).metadata() {
            Ok(meta) if meta.is_file() => return Ok(true),
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(false)
}

/// The runtimes that may have containers under this root: those of the stored verdicts, and the default one when there
/// is a container without verdict.
pub fn runtimes(store: &Store, default: &str) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(store.path()).into_iter().flatten().flatten();
    let runtime = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        match name.to_str().and_then(|name| name.strip_prefix(':')) {
            Some(id) => recall(store, id, default).ok()?.map(|verdict| verdict.runtime),
            None => is_foreign(&entry.path()).ok()?.then(|| program(default)),
        }
    };
    entries.filter_map(runtime).collect()
}

/// The verdict about a container that is not ours: stored at create, or plain from the other runtime's state file.
///
/// # Errors
/// The state root cannot be read, or the verdict is damaged: whose the container is is then not known.
pub fn recall(store: &Store, id: &str, default: &str) -> anyhow::Result<Option<Verdict>> {
    match atomic::read(store.dir(), &file(id), 4096) {
        Err(error) if error.source.kind() == ErrorKind::NotFound => {}
        read => {
            let verdict = serde_json::from_slice(&read?);
            return verdict.map(Some).with_context(|| format!("verdict about container {id}"));
        }
    }
    let foreign = is_foreign(&store.path().join(id)).with_context(|| format!("container {id}"))?;
    Ok(foreign.then(|| Verdict { runtime: program(default), reason: "made by another runtime".into() }))
}

/// Forgets the verdict.
pub fn forget(store: &Store, id: &str) {
    let _ = atomic::remove(store.dir(), &file(id));
}

/// The program that `[runtime] delegate` names; empty means runc.
pub fn program(setting: &str) -> PathBuf {
    PathBuf::from(if setting.is_empty() { "runc" } else { setting })
}

/// Becomes the other runtime, with the argv this process was started with. Returns only on failure.
pub fn exec(runtime: &Path) -> anyhow::Error {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let error = Command::new(runtime).args(args).exec();
    anyhow::Error::from(error).context(format!("ordinary container: delegate runtime {}", runtime.display()))
}

/// Runs the other runtime with the argv of this process and waits: its exit code. A signal that reaches us is its own.
///
/// # Errors
/// It cannot be started.
pub fn spawn(runtime: &Path) -> anyhow::Result<u8> {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Before it runs: a signal that comes at once is its own, too.
    let signals = process::signals_as_fd()?;
    let child = process::with_open_signals(Command::new(runtime).args(args))
        .spawn()
        .with_context(|| format!("ordinary container: delegate runtime {}", runtime.display()))?;
    let pidfd = process::pidfd(child.id().cast_signed())?;
    loop {
        if process::wait_readable(&[pidfd.as_fd(), signals.as_fd()], None)?.first() == Some(&true) {
            return Ok(u8::try_from(process::reap(pidfd.as_fd())?).unwrap_or(255));
        }
        while let Some(number) = process::next_signal(signals.as_fd()) {
            if number != SIGCHLD {
                let _ = process::signal(pidfd.as_fd(), number);
            }
        }
    }
}
