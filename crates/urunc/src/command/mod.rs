//! One file per command.

pub mod create;
pub mod delete;
pub mod doctor;
pub mod kill;
pub mod list;
pub mod plan;
pub mod ps;
pub mod run;
pub mod start;
pub mod state;

use anyhow::bail;

use crate::cli::Global;
use crate::state::{Container, Store};

/// Opens an existing container of ours.
///
/// # Errors
/// `container does not exist`: engines look for these words.
pub(crate) fn existing(global: &Global, id: &str) -> anyhow::Result<(Store, Container)> {
    if let Some(store) = Store::open(&global.root)?
        && let Some(container) = store.find(id)?
        && container.is_recorded()?
    {
        return Ok((store, container));
    }
    bail!("container {id} does not exist")
}

/// Writes to standard output, ending with a newline. A reader that is gone is an error, not a panic.
///
/// # Errors
/// EPIPE.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}
