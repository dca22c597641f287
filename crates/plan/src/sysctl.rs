//! `linux.sysctl`: only values that belong to a namespace of the container.

use std::collections::BTreeMap;

use crate::error::excerpt;
use crate::input::NamespaceKind;
use crate::{PlanError, Request};

/// Files below `/proc/sys` and their values.
///
/// # Errors
/// A name that is the host's, or of a namespace that the container shares with it.
pub fn files(req: &Request) -> Result<BTreeMap<String, String>, PlanError> {
    let mut files = BTreeMap::new();
    for (name, value) in &req.sysctl {
        let refuse = |why: &str| Err(PlanError::config(format!("linux.sysctl.{}", excerpt(name)), why));
        let file = name.replace('.', "/");
        let clean = file.split('/').all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-:@".contains(&b))
        });
        if !clean {
            return refuse("not a sysctl name");
        }
        if value.contains(['\0', '\n']) {
            return refuse("the value is more than one line");
        }
        let Some(kind) = namespace(&file) else {
            return refuse("not of a namespace; it would change the host");
        };
        if !req.owns(kind) {
            let kind = format!("{kind:?}").to_lowercase();
            return refuse(&format!("needs a {kind} namespace in linux.namespaces that is not the host's"));
        }
        files.insert(file, value.clone());
    }
    Ok(files)
}

/// The namespace a file below `/proc/sys` belongs to (namespaces(7), ipc_namespaces(7), uts_namespaces(7)).
fn namespace(file: &str) -> Option<NamespaceKind> {
    const IPC: &[&str] = &[
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
        "kernel/shm_rmid_forced",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
    ];
    match file {
        "kernel/hostname" | "kernel/domainname" => Some(NamespaceKind::Uts),
        _ if IPC.contains(&file) || file.starts_with("fs/mqueue/") => Some(NamespaceKind::Ipc),
        _ if file.starts_with("net/") => Some(NamespaceKind::Network),
        _ => None,
    }
}
