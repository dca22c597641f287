//! `list`: containers of ours and of the delegate under the same root.

use anyhow::Context;
use serde_json::Value;

use super::state;
use crate::cli::{Format, Global};
use crate::state::Store;
use crate::{delegate, settings, table};

/// The command.
///
/// # Errors
/// The root cannot be read.
pub fn run(global: &Global, format: Format, quiet: bool) -> anyhow::Result<u8> {
    let mut all = Vec::new();
    if let Ok(store) = Store::open(&global.root, false) {
        for id in store.ids()? {
            // A container that is being deleted just now is no error.
            if let Some(described) = store.find(&id)?.and_then(|container| state::describe(&container).ok()) {
                all.push(described);
            }
        }
        all.extend(delegated(&store)?);
    }
    super::print(&table::list(&all, format, quiet))?;
    Ok(0)
}

/// What the delegate lists, if there is anything of it under this root.
fn delegated(store: &Store) -> anyhow::Result<Vec<Value>> {
    let foreign = std::fs::read_dir(store.path())?.flatten().any(|entry| entry.path().join("state.json").is_file());
    if !foreign {
        return Ok(Vec::new());
    }
    let runtime = delegate::program(&settings::active()?.settings.delegate);
    let output = std::process::Command::new(&runtime)
        .arg("--root")
        .arg(store.path())
        .args(["list", "--format", "json"])
        .output()
        .with_context(|| format!("delegate runtime {}", runtime.display()))?;
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Ok(listed.as_array().cloned().unwrap_or_default())
}
