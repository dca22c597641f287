//! The bytes of config.json: whoever made the bundle decides what that name is.

use anyhow::{Context, bail};
use std::{
    fs::{self, File, OpenOptions},
    io::Read,
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
};
use urunc_sys::atomic;

/// Largest config.json; the largest in the field have some hundred KiB.
const MAX: u64 = 16 << 20;

/// Reads a regular file of at most [`MAX`] bytes; a FIFO or a device is refused without waiting for it.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = || path.display().to_string();
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .with_context(name)?;
    let found = file.metadata().with_context(name)?;
    if !found.is_file() {
        bail!("{}: not a regular file", name());
    }
    // The size may change after fstat: the limit holds for what is read.
    let mut bytes = Vec::new();
    let read = file.take(MAX + 1).read_to_end(&mut bytes).with_context(name)?;
    if read as u64 > MAX {
        bail!("{}: larger than {MAX} bytes", name());
    }
    Ok(bytes)
}

/// Replaces config.json of a bundle in one step; its mode stays.
pub(super) fn replace(dir: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let path = dir.join("config.json");
    let name = || path.display().to_string();
    let permissions = fs::metadata(&path).with_context(name)?.permissions();
    let open = File::open(dir).with_context(|| dir.display().to_string())?;
    atomic::write(open.as_fd(), "config.json", bytes)?;
    fs::set_permissions(&path, permissions).with_context(name)
}
