//! `plan`: the stored plan of a container, or the one a bundle would get.

use std::path::Path;

use anyhow::Context;
use serde::de::DeserializeOwned;
use urunc_plan::{LaunchPlan, decide, show};

use super::create;
use crate::cli::{Global, Planned};

/// The command.
///
/// # Errors
/// What `create` would say.
pub fn run(global: &Global, args: &Planned) -> anyhow::Result<u8> {
    let plan = match &args.id {
        Some(id) => super::existing(global, id)?.1.plan()?,
        None => of_bundle(global, args)?,
    };
    let text = if args.json { format!("{:#}", show::json(&plan)) } else { show::text(&plan) };
    super::print(&text)?;
    Ok(0)
}

fn of_bundle(global: &Global, args: &Planned) -> anyhow::Result<LaunchPlan> {
    let (request, host) = match (&args.request, &args.host) {
        (Some(request), Some(host)) => (read(request)?, read(host)?),
        (request, host) => {
            let (found_request, found_host) = create::plan_inputs(global, &args.bundle, "plan")?;
            let request = request.as_deref().map_or(Ok(found_request), read)?;
            (request, host.as_deref().map_or(Ok(found_host), read)?)
        }
    };
    let net = args.net.as_deref().map(read).transpose()?;
    Ok(decide::plan(&request, &host, net.as_ref())?)
}

fn read<T: DeserializeOwned>(path: impl AsRef<Path>) -> anyhow::Result<T> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
}
