//! `list`: containers of ours and of the delegate under the same root.

use std::path::PathBuf;

use anyhow::Context;

use super::state;
use crate::cli::{Format, Global};
use crate::state::{FOREIGN, Store};
use crate::table::{self, ContainerState};
use crate::{delegate, settings};

/// The command.
///
/// # Errors
/// The root cannot be read.
pub fn run(global: &Global, format: Format, quiet: bool) -> anyhow::Result<u8> {
    let mut all = Vec::new();
    if let Ok(store) = Store::open(&global.root, false) {
        for id in store.ids()? {
            // A container that is being deleted just now is no error.
            if let Some(found) = store.find(&id)?.and_then(|container| state::describe(&container).ok()) {
                // The state root belongs to root; runc shows the owner in lists only.
                all.push(ContainerState { owner: "root".into(), ..found });
            }
        }
        all.extend(delegated(&store)?);
        all.sort_by(|a, b| a.id.cmp(&b.id));
    }
    super::print(&match (quiet, format) {
        (true, _) => table::list_quiet(&all),
        (false, Format::Table) => table::list(&all),
        (false, Format::Json) => table::list_json(&all)?,
    })?;
    Ok(0)
}

/// What the delegate lists, if there is anything of it under this root.
fn delegated(store: &Store) -> anyhow::Result<Vec<ContainerState>> {
    let is_foreign = |dir: PathBuf| FOREIGN.iter().any(|name| dir.join(name).is_file());
    let foreign = std::fs::read_dir(store.path())?.flatten().any(|entry| is_foreign(entry.path()));
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
    let listed: Option<Vec<ContainerState>> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let mut listed = listed.unwrap_or_default();
    // Both runtimes look at the same directories; ours are not runc's even if it lists them.
    listed.retain(|container| store.find(&container.id).is_ok_and(|ours| ours.is_none()));
    Ok(listed)
}
