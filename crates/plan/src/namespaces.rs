//! The namespaces of the container, and what is set inside them.

use std::collections::BTreeSet;

use crate::error::excerpt;
use crate::input::{Namespace, NamespaceKind};
use crate::launch::{Identity, Namespaces};
use crate::machine::BootProtocol;
use crate::{PlanError, Request, sysctl, users};

/// What a monitor shares with nobody.
const FRESH: [NamespaceKind; 3] = [NamespaceKind::Mount, NamespaceKind::Pid, NamespaceKind::Ipc];

/// Namespaces and what is set inside them. A monitor always has a private mount namespace. It meets no process and no
/// memory of others, even where the engine shares them with containers: its guest would not see them anyway, and who
/// has its uid may send signals and attach memory without any capability.
///
/// # Errors
/// A user namespace of a monitor, a kind that is listed twice, a value for a namespace that is not the container's own.
pub fn plan(req: &Request, boot: BootProtocol, who: &Identity) -> Result<Namespaces, PlanError> {
    let (uid_map, gid_map) = users::maps(req, boot, who)?;
    let ordinary = boot == BootProtocol::Program;
    let mut entries = req.namespaces.clone();
    let mut seen = BTreeSet::new();
    for (index, namespace) in entries.iter().enumerate() {
        let field = || format!("linux.namespaces[{index}]");
        if !seen.insert(namespace.kind) {
            return Err(PlanError::config(field(), "listed twice"));
        }
        if namespace.kind == NamespaceKind::Mount && namespace.path.is_some() && !ordinary {
            return Err(PlanError::config(
                field(),
                "the mount namespace is always a new one, remove its path",
            ));
        }
    }
    for kind in FRESH.into_iter().filter(|_| !ordinary) {
        let new = Namespace { kind, path: None, host: false };
        match entries.iter_mut().find(|namespace| namespace.kind == kind) {
            Some(shared) => *shared = new,
            None => entries.push(new),
        }
    }
    let name = |field: &str, value: &Option<String>| match value.as_deref() {
        None | Some("") => Ok(None),
        Some(_) if !req.owns(NamespaceKind::Uts) => {
            Err(PlanError::config(field, "needs a uts namespace in linux.namespaces"))
        }
        Some(value) if value.len() > 64 => Err(PlanError::config(field, "longer than 64 bytes")),
        Some(value) if value.contains('\0') => Err(PlanError::config(field, "contains a NUL byte")),
        Some(value) => Ok(Some(value.to_owned())),
    };
    Ok(Namespaces {
        entries,
        hostname: name("hostname", &req.hostname)?,
        domainname: name("domainname", &req.domainname)?,
        sysctl: sysctl::files(req)?,
        time_offsets: time_offsets(req)?,
        uid_map,
        gid_map,
    })
}

fn time_offsets(req: &Request) -> Result<Vec<(String, i64, u32)>, PlanError> {
    let fresh = req.namespaces.iter().any(|n| n.kind == NamespaceKind::Time && n.path.is_none());
    let mut lines = Vec::new();
    for (clock, (seconds, nanoseconds)) in &req.time_offsets {
        let field = || format!("linux.timeOffsets.{}", excerpt(clock));
        if !fresh {
            return Err(PlanError::config(field(), "needs a new time namespace in linux.namespaces"));
        }
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return Err(PlanError::config(field(), "unknown clock; known: boottime, monotonic"));
        }
        if *nanoseconds > 999_999_999 {
            return Err(PlanError::config(field(), "nanosecs is more than 999999999"));
        }
        lines.push((clock.clone(), *seconds, *nanoseconds));
    }
    Ok(lines)
}
