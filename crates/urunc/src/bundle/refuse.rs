//! Fields that are not supported: isolation and limits are never dropped silently.
//!
//! What a guest cannot be given but an ordinary container can (devices, user namespaces, capabilities) is the planner's
//! to judge.

use super::document::{Document, Linux, Process};
use serde_json::Value;
use urunc_plan::PlanError;

pub(super) fn unsupported(document: &Document) -> Result<(), PlanError> {
    for (n, mount) in document.mounts.iter().enumerate() {
        if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
            return no(&format!("mounts[{n}]"), "id-mapped mounts are not supported");
        }
    }
    document.process.as_ref().map_or(Ok(()), process)?;
    linux(&document.linux)
}

fn no(field: &str, why: &str) -> Result<(), PlanError> {
    Err(PlanError::config(field, format!("{why}; remove it or use another runtime")))
}

fn asked(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

fn process(process: &Process) -> Result<(), PlanError> {
    let fields = [
        ("process.ioPriority", &process.io_priority),
        ("process.scheduler", &process.scheduler),
        ("process.execCPUAffinity", &process.exec_cpu_affinity),
    ];
    all(&fields)
}

fn all(fields: &[(&str, &Value)]) -> Result<(), PlanError> {
    fields.iter().filter(|(_, value)| asked(value)).try_for_each(|(field, _)| no(field, "not supported"))
}

fn linux(linux: &Linux) -> Result<(), PlanError> {
    all(&[
        ("linux.intelRdt", &linux.intel_rdt),
        ("linux.memoryPolicy", &linux.memory_policy),
        ("linux.netDevices", &linux.net_devices),
    ])?;
    if !linux.mount_label.is_empty() {
        return no("linux.mountLabel", "SELinux is not supported");
    }
    if linux.personality.as_ref().is_some_and(|p| p.domain != "LINUX" || !p.flags.is_empty()) {
        return no("linux.personality", "only LINUX without flags is supported");
    }
    Ok(())
}
