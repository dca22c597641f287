//! Hooks: checked, and frozen in the container's record.

use super::document;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use urunc_plan::PlanError;
use urunc_plan::error::quoted;

/// The six kinds, each in listed order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hooks {
    /// In the runtime's namespaces, before createRuntime; deprecated, but Docker's network.
    pub prestart: Vec<Hook>,
    /// In the runtime's namespaces, after the container's namespaces exist.
    pub create_runtime: Vec<Hook>,
    /// In the container's namespaces, before pivot_root.
    pub create_container: Vec<Hook>,
    /// In the container, before the monitor.
    pub start_container: Vec<Hook>,
    /// In the runtime's namespaces, after start.
    pub poststart: Vec<Hook>,
    /// In the runtime's namespaces, after delete.
    pub poststop: Vec<Hook>,
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// Absolute path of the program.
    pub path: PathBuf,
    /// argv, its first element too; empty: the path alone.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<String>,
    /// Seconds after which it is killed and counts as failed; at least 1.
    pub timeout: Option<u32>,
}

pub(super) fn checked(hooks: &document::Hooks) -> Result<Hooks, PlanError> {
    let all = |kind: &str, list: &[document::Hook]| -> Result<Vec<Hook>, PlanError> {
        list.iter().enumerate().map(|(n, hook)| one(&format!("hooks.{kind}[{n}]"), hook)).collect()
    };
    Ok(Hooks {
        prestart: all("prestart", &hooks.prestart)?,
        create_runtime: all("createRuntime", &hooks.create_runtime)?,
        create_container: all("createContainer", &hooks.create_container)?,
        start_container: all("startContainer", &hooks.start_container)?,
        poststart: all("poststart", &hooks.poststart)?,
        poststop: all("poststop", &hooks.poststop)?,
    })
}

fn one(at: &str, hook: &document::Hook) -> Result<Hook, PlanError> {
    let wrong = |field: &str, why: String| Err(PlanError::config(format!("{at}.{field}"), why));
    if !hook.path.is_absolute() {
        return wrong("path", format!("{} is not absolute", quoted(&hook.path.to_string_lossy())));
    }
    let words = hook.args.iter().chain(&hook.env);
    if words.into_iter().any(|w| w.contains('\0')) || hook.path.to_string_lossy().contains('\0') {
        return wrong("args", "contains a NUL byte".into());
    }
    let timeout = match hook.timeout.map(u32::try_from) {
        None => None,
        Some(Ok(seconds)) if seconds > 0 => Some(seconds),
        Some(_) => return wrong("timeout", "must be a number of seconds greater than zero".into()),
    };
    Ok(Hook { path: hook.path.clone(), args: hook.args.clone(), env: hook.env.clone(), timeout })
}
