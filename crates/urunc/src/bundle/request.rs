//! From the document to the planner's request: `root`, `mounts` and `linux`.

use super::{
    document::{Device, Document, IdMapping, Linux, Mount},
    process,
};
use std::collections::BTreeMap;
use urunc_plan::{
    PlanError, Request,
    error::{excerpt, quoted},
    input::{self, NamespaceKind},
    knative,
    ordinary::{IdMap, Node, Ordinary},
};

pub(super) fn make(document: &Document) -> Result<Request, PlanError> {
    let linux = &document.linux;
    let mounts = document.mounts.iter().enumerate();
    let request = Request {
        readonly: document.root.as_ref().is_some_and(|root| root.readonly),
        hostname: name("hostname", document.hostname.as_ref())?,
        domainname: name("domainname", document.domainname.as_ref())?,
        mounts: mounts.map(|(n, m)| mount(&format!("mounts[{n}]"), m)).collect::<Result<_, _>>()?,
        namespaces: namespaces(linux)?,
        host_network: host_network(document)?,
        static_network: knative::static_network(&document.annotations)?,
        time_offsets: time_offsets(linux)?,
        sysctl: linux.sysctl.clone(),
        propagation: propagation(linux)?,
        cgroups_path: cgroups_path(linux)?,
        resources: linux.resources.clone(),
        seccomp: Some(linux.seccomp.clone()).filter(|s| !s.is_null()),
        ordinary: ordinary(linux),
        ..Request::default()
    };
    match &document.process {
        Some(process) => process::fill(request, process),
        None => Ok(request),
    }
}

fn ordinary(linux: &Linux) -> Ordinary {
    let maps = |maps: &[IdMapping]| {
        maps.iter().map(|m| IdMap { container: m.container, host: m.host, size: m.size }).collect()
    };
    let node = |device: &Device| Node {
        path: device.path.clone(),
        kind: device.kind.clone(),
        major: device.major,
        minor: device.minor,
        mode: device.file_mode,
        uid: device.uid,
        gid: device.gid,
    };
    Ordinary {
        masked: linux.masked_paths.clone(),
        readonly: linux.readonly_paths.clone(),
        devices: linux.devices.iter().map(node).collect(),
        uid_map: maps(&linux.uid_mappings),
        gid_map: maps(&linux.gid_mappings),
        ..Ordinary::default()
    }
}

/// sethostname(2): at most 64 bytes.
fn name(field: &str, name: Option<&String>) -> Result<Option<String>, PlanError> {
    match name {
        Some(name) if name.len() > 64 || name.contains(['\0', '\n', '/']) => {
            Err(PlanError::config(field, "must be at most 64 bytes without /, newline and NUL"))
        }
        name => Ok(name.filter(|n| !n.is_empty()).cloned()),
    }
}

/// A relative destination is below `/` (runtime-spec 1.2).
fn mount(at: &str, mount: &Mount) -> Result<input::Mount, PlanError> {
    let destination = &mount.destination;
    let wrong = |why: &str| {
        Err(PlanError::config(format!("{at}.destination"), format!("{} {why}", quoted(destination))))
    };
    if destination.is_empty() || destination.contains('\0') {
        return wrong("is not a path");
    }
    if destination.split('/').any(|part| part == "..") {
        return wrong("has .. in it");
    }
    if destination.split('/').all(|part| part.is_empty() || part == ".") {
        return wrong("would hide the whole root");
    }
    let slash = if destination.starts_with('/') { "" } else { "/" };
    Ok(input::Mount {
        destination: format!("{slash}{destination}"),
        kind: mount.kind.clone(),
        source: mount.source.clone(),
        options: mount.options.clone(),
    })
}

fn namespaces(linux: &Linux) -> Result<Vec<input::Namespace>, PlanError> {
    let mut found: Vec<input::Namespace> = Vec::new();
    for (n, namespace) in linux.namespaces.iter().enumerate() {
        let wrong =
            |field: &str, why: String| PlanError::config(format!("linux.namespaces[{n}].{field}"), why);
        let kind = kind(&namespace.kind)
            .ok_or_else(|| wrong("type", format!("{} is unknown", quoted(&namespace.kind))))?;
        if found.iter().any(|earlier| earlier.kind == kind) {
            return Err(wrong("type", format!("{} is listed twice", quoted(&namespace.kind))));
        }
        let path = Some(namespace.path.clone()).filter(|path| !path.is_empty());
        if path.as_ref().is_some_and(|path| !path.starts_with('/') || path.contains('\0')) {
            return Err(wrong("path", format!("{} is not absolute", quoted(&namespace.path))));
        }
        found.push(input::Namespace { kind, path, host: false });
    }
    Ok(found)
}

/// An annotation of config.json alone: no content of the image can set it.
fn host_network(document: &Document) -> Result<bool, PlanError> {
    const KEY: &str = "com.urunc.network.host";
    match document.annotations.get(KEY).map_or("", String::as_str) {
        "" => Ok(false),
        "allow" => Ok(true),
        other => {
            Err(PlanError::config(format!("annotations.{KEY}"), format!("{} is not allow", quoted(other))))
        }
    }
}

fn kind(text: &str) -> Option<NamespaceKind> {
    Some(match text {
        "pid" => NamespaceKind::Pid,
        "network" => NamespaceKind::Network,
        "mount" => NamespaceKind::Mount,
        "ipc" => NamespaceKind::Ipc,
        "uts" => NamespaceKind::Uts,
        "user" => NamespaceKind::User,
        "cgroup" => NamespaceKind::Cgroup,
        "time" => NamespaceKind::Time,
        _ => return None,
    })
}

fn time_offsets(linux: &Linux) -> Result<BTreeMap<String, (i64, u32)>, PlanError> {
    let offset = |(clock, offset): (&String, &super::document::TimeOffset)| {
        let wrong = |why: &str| PlanError::config(format!("linux.timeOffsets.{}", excerpt(clock)), why);
        if !["monotonic", "boottime"].contains(&clock.as_str()) {
            return Err(wrong("unknown clock, use monotonic or boottime"));
        }
        if offset.nanosecs >= 1_000_000_000 {
            return Err(wrong("nanosecs must be below 1000000000"));
        }
        Ok((clock.clone(), (offset.secs, offset.nanosecs)))
    };
    let offsets = linux.time_offsets.iter().map(offset).collect::<Result<BTreeMap<_, _>, _>>()?;
    let new_namespace = linux.namespaces.iter().any(|n| n.kind == "time" && n.path.is_empty());
    if !offsets.is_empty() && !new_namespace {
        return Err(PlanError::config("linux.timeOffsets", "needs a new time namespace in linux.namespaces"));
    }
    Ok(offsets)
}

fn propagation(linux: &Linux) -> Result<String, PlanError> {
    let known =
        ["", "shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable"];
    let asked = &linux.rootfs_propagation;
    if known.contains(&asked.as_str()) {
        Ok(asked.clone())
    } else {
        Err(PlanError::config("linux.rootfsPropagation", format!("{} is unknown", quoted(asked))))
    }
}

fn cgroups_path(linux: &Linux) -> Result<String, PlanError> {
    let path = &linux.cgroups_path;
    if path.split('/').any(|part| part == "..") || path.contains(['\0', '\n']) {
        return Err(PlanError::config(
            "linux.cgroupsPath",
            format!("{} must not contain .., newline or NUL", quoted(path)),
        ));
    }
    Ok(path.clone())
}
