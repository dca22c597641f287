//! Ordinary containers belong to runc (or crun): same argv, same environment, and the verdict is remembered.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use urunc_sys::atomic;

use crate::state::{FOREIGN, Store};

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

/// The verdict about a container that is not ours: stored at create, or plain from the other runtime's state file.
pub fn recall(store: &Store, id: &str, default: &str) -> Option<Verdict> {
    if let Ok(bytes) = atomic::read(store.dir(), &file(id), 4096) {
        return serde_json::from_slice(&bytes).ok();
    }
    let dir = store.path().join(id);
    let foreign = FOREIGN.iter().any(|name| dir.join(name).is_file());
    foreign.then(|| Verdict { runtime: program(default), reason: "made by another runtime".into() })
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
pub fn exec(runtime: &std::path::Path) -> anyhow::Error {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let error = Command::new(runtime).args(args).exec();
    anyhow::Error::from(error).context(format!("ordinary container: delegate runtime {}", runtime.display()))
}

/// Runs the other runtime with the argv of this process and waits: its exit code.
///
/// # Errors
/// It cannot be started.
pub fn spawn(runtime: &std::path::Path) -> anyhow::Result<u8> {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let status = Command::new(runtime)
        .args(args)
        .status()
        .with_context(|| format!("ordinary container: delegate runtime {}", runtime.display()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255))
}
