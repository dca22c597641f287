//! Who could have written this? Settings and programs run as root, so nobody but root may be able to change them.

use anyhow::bail;
use std::{fs::Metadata, io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

const WORLD_WRITABLE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Owned by root (or by the caller, who is not root then) and not writable by everybody.
pub(super) fn file(found: &Metadata) -> anyhow::Result<()> {
    if found.mode() & WORLD_WRITABLE != 0 {
        bail!("everybody may write to it; chmod o-w");
    }
    if found.uid() != 0 && found.uid() != rustix::process::geteuid().as_raw() {
        bail!("belongs to uid {}, not to root", found.uid());
    }
    Ok(())
}

/// Every existing component of the path belongs to root and is not open to everybody: a program in a user's home is
/// that user's program. What does not exist is found missing when it is needed.
pub(super) fn path(path: &Path) -> Result<(), String> {
    let real = match path.canonicalize() {
        Err(e) if e.kind() == ErrorKind::NotFound => path.to_owned(),
        other => other.map_err(|e| format!("{}: {e}", path.display()))?,
    };
    real.ancestors().try_for_each(|part| component(part).map_err(|why| format!("{}: {why}", part.display())))
}

fn component(part: &Path) -> Result<(), String> {
    let found = match part.metadata() {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|e| e.to_string())?,
    };
    let shared_but_sticky = found.is_dir() && found.mode() & STICKY != 0;
    if found.mode() & WORLD_WRITABLE != 0 && !shared_but_sticky {
        return Err("everybody may write to it".into());
    }
    match found.uid() {
        0 => Ok(()),
        uid => Err(format!("belongs to uid {uid}, not to root")),
    }
}
