//! The operator's file: `/etc/urunc/config.toml`, or the one `URUNC_CONFIG_FILE` names.
//!
//! Every key of urunc 0.8 works, is accepted with a warning, or is refused by name. A missing file means the defaults;
//! a broken one is an error, because a setting that silently does not hold may be one of security.

mod keys;
mod table;
mod trust;

use anyhow::{Context, anyhow, bail};
use log::LevelFilter;
use std::{
    ffi::OsStr,
    fs::OpenOptions,
    io::{ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use table::Table;
use urunc_plan::error::abridged;
use urunc_plan::settings::Settings;

/// The file without `URUNC_CONFIG_FILE`.
pub const DEFAULT_FILE: &str = "/etc/urunc/config.toml";
/// `start_timeout` by default, seconds.
pub const START_TIMEOUT: u32 = 30;
/// Largest file, bytes.
const MAX: u64 = 1 << 20;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What plans depend on; frozen at create.
    pub settings: Settings,
    /// `[runtime] start_timeout`: seconds that init and a monitor get to answer at start, beside the time of hooks.
    pub start_timeout: u32,
    /// `[runtime] monitors`: in this order they are tried for an image that names none.
    pub preference: Vec<String>,
    /// `[log] level`, for [`crate::log::configure`].
    pub log_level: Option<LevelFilter>,
    /// One line each, for the log.
    pub warnings: Vec<String>,
}

/// [`load`] with `URUNC_CONFIG_FILE` of this process.
///
/// # Errors
/// Those of [`load`].
pub fn active() -> anyhow::Result<Loaded> {
    load(std::env::var_os("URUNC_CONFIG_FILE").as_deref())
}

/// Reads the file; `named` is the value of `URUNC_CONFIG_FILE`.
///
/// # Errors
/// The file cannot be trusted or read, is not TOML (with line and column), or a key has a bad value.
pub fn load(named: Option<&OsStr>) -> anyhow::Result<Loaded> {
    let named = named.filter(|name| !name.is_empty()).map(Path::new);
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    if let Some(text) = read(path).with_context(|| format!("configuration {}", path.display()))? {
        return from_text(&text, path);
    }
    let mut table = Table::default();
    if named.is_some() {
        table.warn(format!("URUNC_CONFIG_FILE: {} does not exist, using the defaults", path.display()));
    }
    keys::read(table, String::new())
}

/// What a file with this text says; only the programs and directories it names are looked at.
///
/// # Errors
/// It is not TOML (with line and column), or a key has a bad value.
pub fn from_text(text: &str, path: &Path) -> anyhow::Result<Loaded> {
    let table = parse(text).with_context(|| format!("configuration {}", path.display()))?;
    keys::read(table, path.display().to_string())
}

/// `None`: no such file.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let found = file.metadata()?;
    if !found.is_file() {
        bail!("not a regular file");
    }
    trust::file(&found)?;
    let mut text = String::new();
    let read = file.take(MAX + 1).read_to_string(&mut text).map_err(|_| anyhow!("not UTF-8 text"))?;
    if read as u64 > MAX {
        bail!("larger than {MAX} bytes");
    }
    Ok(Some(text))
}

fn parse(text: &str) -> anyhow::Result<Table> {
    let table = text.parse().map_err(|err: toml::de::Error| {
        let before = text.get(..err.span().map_or(0, |span| span.start)).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        anyhow!("line {line}, column {column}: {}", abridged(&err.message().replace('\n', ", ")))
    })?;
    Ok(Table::new(table))
}

#[cfg(test)]
mod tests;
