//! `list`: containers of ours and of the delegate under the same root.

use anyhow::Context;

use super::state;
use crate::cli::{Format, Global};
use crate::state::Store;
use crate::table::{self, ContainerState};
use crate::{delegate, settings};

/// The command.
///
/// # Errors
/// The root cannot be read.
pub fn run(global: &Global, format: Format, quiet: bool) -> anyhow::Result<u8> {
    let mut all = Vec::new();
    if let Some(store) = Store::open(&global.root)? {
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

/// What the delegates list that have containers under this root.
fn delegated(store: &Store) -> anyhow::Result<Vec<ContainerState>> {
    let mut all = Vec::new();
    for runtime in delegate::runtimes(store, &settings::active()?.settings.delegate) {
        let output = std::process::Command::new(&runtime)
            .arg("--root")
            .arg(store.path())
            .args(["list", "--format", "json"])
            .output()
            .with_context(|| format!("delegate runtime {}", runtime.display()))?;
        let listed: Option<Vec<ContainerState>> = serde_json::from_slice(&output.stdout).unwrap_or_default();
        all.extend(listed.unwrap_or_default());
    }
    // All runtimes look at the same directories; ours are not theirs even if they list them.
    all.retain(|container| store.find(&container.id).is_ok_and(|ours| ours.is_none()));
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all.dedup_by(|a, b| a.id == b.id);
    Ok(all)
}
