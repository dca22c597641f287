//! Fields that are not supported: isolation, limits and devices are never dropped silently.
//!
//! `maskedPaths`, `readonlyPaths` and `capabilities` are not here: the private root has no /proc to mask, and no
//! capability is kept at all.

use super::document::{Document, Linux, Process};
use serde_json::Value;
use urunc_plan::PlanError;
use urunc_plan::error::quoted;

/// Device nodes that the private root has, or that the runtime opens itself: listing them asks for nothing.
const OWN_DEVICES: [&str; 10] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/console",
    "/dev/ptmx",
    "/dev/kvm",
    "/dev/net/tun",
];

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
    if !linux.uid_mappings.is_empty() {
        return no("linux.uidMappings", "user namespaces are not supported");
    }
    if !linux.gid_mappings.is_empty() {
        return no("linux.gidMappings", "user namespaces are not supported");
    }
    if !linux.mount_label.is_empty() {
        return no("linux.mountLabel", "SELinux is not supported");
    }
    if linux.personality.as_ref().is_some_and(|p| p.domain != "LINUX" || !p.flags.is_empty()) {
        return no("linux.personality", "only LINUX without flags is supported");
    }
    devices(linux)
}

fn devices(linux: &Linux) -> Result<(), PlanError> {
    let foreign = linux.devices.iter().position(|device| !OWN_DEVICES.contains(&device.path.as_str()));
    match foreign {
        Some(_) if is_privileged(&linux.resources) => {
            log::info!("the host's devices of a privileged container are not given to the guest");
            Ok(())
        }
        Some(n) => no(
            &format!("linux.devices[{n}]"),
            &format!("device {} cannot be given to a guest", quoted(&linux.devices[n].path)),
        ),
        None => Ok(()),
    }
}

/// True when the device rules end with "everything is allowed". Engines write that for a privileged container, whose
/// `linux.devices` is then a copy of the host's /dev and not somebody's wish; a wished device comes with its own rule.
fn is_privileged(resources: &Value) -> bool {
    let last = resources["devices"].as_array().and_then(|rules| rules.last());
    last.is_some_and(|rule| {
        rule["allow"] == true
            && matches!(rule["type"].as_str(), None | Some("a" | ""))
            && ["major", "minor"].iter().all(|number| rule[number].as_i64().is_none_or(|n| n < 0))
            && rule["access"].as_str().is_some_and(|access| "rwm".chars().all(|way| access.contains(way)))
    })
}
