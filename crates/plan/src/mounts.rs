//! `mounts` of config.json: what engines always add is listed once, everything else is refused by name.

use crate::command::DOCKER_INIT;
use crate::error::excerpt;
use crate::input::Mount;
use crate::launch::{FsMount, Notice};
use crate::{PlanError, Request, jail};

/// File systems every engine mounts: destination and accepted types.
const FILE_SYSTEMS: &[(&str, &[&str])] = &[
    ("/dev", &["tmpfs"]),
    ("/dev/mqueue", &["mqueue"]),
    ("/dev/pts", &["devpts"]),
    ("/dev/shm", &["tmpfs", "bind"]),
    ("/proc", &["proc"]),
    ("/run", &["tmpfs"]),
    ("/sys", &["sysfs"]),
    ("/sys/fs/cgroup", &["cgroup", "cgroup2"]),
];

/// Files every engine binds.
const FILES: &[&str] = &[
    "/dev/termination-log",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/run/.containerenv",
    "/run/secrets",
    "/run/secrets/kubernetes.io/serviceaccount",
    "/var/run/secrets/kubernetes.io/serviceaccount",
];

/// Checks the mounts of a guest, which sees none of them.
///
/// # Errors
/// A mount that the user asked for: its absence in the guest must not go unnoticed.
pub fn check(req: &Request) -> Result<Option<Notice>, PlanError> {
    let mut hidden = Vec::new();
    for (index, mount) in req.mounts.iter().enumerate() {
        let destination = destination(index, mount)?;
        if usual(destination, mount) {
            hidden.push(destination);
        } else if destination != DOCKER_INIT {
            return Err(PlanError::config(format!("mounts[{index}]"), foreign(destination, mount)));
        }
    }
    if hidden.is_empty() {
        return Ok(None);
    }
    let text = format!("mounts of the engine that the guest does not see: {}", hidden.join(", "));
    Ok(Some(Notice { warn: false, text }))
}

/// The mounts of the `process` monitor, and a notice about those that are not applied.
///
/// # Errors
/// A destination that is not a clean absolute path.
pub fn apply(req: &Request) -> Result<(Vec<FsMount>, Option<Notice>), PlanError> {
    let (mut mounts, mut left, own) = (Vec::new(), Vec::new(), jail::owns_mounts(req));
    for (index, mount) in req.mounts.iter().enumerate() {
        let target = destination(index, mount)?;
        let known = matches!(mount.kind.as_str(), "proc" | "devpts" | "tmpfs" | "sysfs" | "mqueue");
        if known && own {
            let source = if mount.source.is_empty() { &mount.kind } else { &mount.source };
            mounts.push(FsMount {
                kind: mount.kind.clone(),
                source: source.clone(),
                target: target.to_owned(),
                data: data(mount),
                readonly: readonly(mount),
            });
        } else {
            left.push(format!("{} (from {})", excerpt(target), excerpt(&mount.source)));
        }
    }
    let text = format!("mounts that are not applied: {}", left.join(", "));
    Ok((mounts, (!left.is_empty()).then_some(Notice { warn: true, text })))
}

/// The destination without a trailing slash.
fn destination(index: usize, mount: &Mount) -> Result<&str, PlanError> {
    let path = mount.destination.strip_suffix('/').unwrap_or(&mount.destination);
    let clean = path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|part| !matches!(part, "" | "." | "..")) && !rest.contains(['\0', '\n'])
    });
    if clean {
        return Ok(path);
    }
    let why = format!("\"{}\" is not a clean absolute path below /", excerpt(&mount.destination));
    Err(PlanError::config(format!("mounts[{index}].destination"), why))
}

fn bind(mount: &Mount) -> bool {
    mount.kind == "bind" || mount.options.iter().any(|option| matches!(option.as_str(), "bind" | "rbind"))
}

fn usual(destination: &str, mount: &Mount) -> bool {
    let kind = if bind(mount) { "bind" } else { mount.kind.as_str() };
    FILE_SYSTEMS.iter().any(|(path, kinds)| *path == destination && kinds.contains(&kind))
        || (kind == "bind" && FILES.contains(&destination))
}

fn foreign(destination: &str, mount: &Mount) -> String {
    let what = match mount.kind.as_str() {
        _ if bind(mount) => "volumes are",
        "tmpfs" => "tmpfs mounts are",
        _ => {
            return format!(
                "a mount of type {} at {} is not supported",
                excerpt(&mount.kind),
                excerpt(destination)
            );
        }
    };
    format!("{what} not built yet, remove the one at {}", excerpt(destination))
}

/// The last word counts, as for mount(8). What the kernel itself shows is always read-only: uid 0 may write there without
/// any capability.
fn readonly(mount: &Mount) -> bool {
    let word = mount.options.iter().rev().find(|option| matches!(option.as_str(), "ro" | "rw"));
    matches!(mount.kind.as_str(), "proc" | "sysfs") || word.is_some_and(|word| word == "ro")
}

/// Options that are data of the file system, not flags of mount(2).
fn data(mount: &Mount) -> String {
    const FLAGS: &[&str] = &[
        "async",
        "atime",
        "bind",
        "defaults",
        "dev",
        "diratime",
        "dirsync",
        "exec",
        "iversion",
        "lazytime",
        "loud",
        "mand",
        "noatime",
        "nodev",
        "nodiratime",
        "noexec",
        "noiversion",
        "nolazytime",
        "nomand",
        "norelatime",
        "nostrictatime",
        "nosuid",
        "nosymfollow",
        "private",
        "rbind",
        "relatime",
        "remount",
        "ro",
        "rprivate",
        "rshared",
        "rslave",
        "runbindable",
        "rw",
        "shared",
        "silent",
        "slave",
        "strictatime",
        "suid",
        "symfollow",
        "sync",
        "unbindable",
    ];
    let data: Vec<_> =
        mount.options.iter().map(String::as_str).filter(|option| !FLAGS.contains(option)).collect();
    data.join(",")
}
