//! Namespaces: which are made by the clone, which are joined, and what is set inside them.

use std::os::fd::OwnedFd;

use anyhow::Context;
use urunc_plan::input::NamespaceKind;
use urunc_plan::launch::Namespaces;
use urunc_sys::{SysError, identity, namespace};

const NEWNS: u32 = 0x0002_0000;
const NEWCGROUP: u32 = 0x0200_0000;
const NEWUTS: u32 = 0x0400_0000;
const NEWIPC: u32 = 0x0800_0000;
const NEWUSER: u32 = 0x1000_0000;
const NEWPID: u32 = 0x2000_0000;
const NEWNET: u32 = 0x4000_0000;
const NEWTIME: u32 = 0x0000_0080;

/// A namespace given by path, opened by `create`.
#[derive(Debug)]
pub struct Join {
    kind: NamespaceKind,
    path: String,
    fd: OwnedFd,
}

fn flag(kind: NamespaceKind) -> u32 {
    match kind {
        NamespaceKind::Pid => NEWPID,
        NamespaceKind::Network => NEWNET,
        NamespaceKind::Mount => NEWNS,
        NamespaceKind::Ipc => NEWIPC,
        NamespaceKind::Uts => NEWUTS,
        NamespaceKind::Cgroup => NEWCGROUP,
        NamespaceKind::Time => NEWTIME,
        NamespaceKind::User => NEWUSER,
    }
}

/// Flags for the clone: every namespace without a path, but for those that must be made later or earlier.
pub fn clone_flags(plan: &Namespaces) -> u64 {
    let made = plan.entries.iter().filter(|entry| entry.path.is_none());
    // The cgroup namespace is unshared by init, in its group; the time namespace by `create`, for its offsets.
    made.filter(|entry| !matches!(entry.kind, NamespaceKind::Cgroup | NamespaceKind::Time))
        .fold(0, |flags, entry| flags | u64::from(flag(entry.kind)))
}

/// Opens the namespaces that are given by path and checks their kind.
///
/// # Errors
/// Names the path: missing, or a namespace of another kind.
pub fn open(plan: &Namespaces) -> anyhow::Result<Vec<Join>> {
    use rustix::fs::{Mode, OFlags};
    let mut joins = Vec::new();
    for entry in &plan.entries {
        let Some(path) = &entry.path else { continue };
        let open = rustix::fs::open(
            path.as_str(),
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let fd = open.map_err(|e| SysError::new("open", path.as_str(), e)).context("linux.namespaces")?;
        check_kind(&fd, entry.kind, path)?;
        joins.push(Join { kind: entry.kind, path: path.clone(), fd });
    }
    Ok(joins)
}

fn check_kind(fd: &OwnedFd, kind: NamespaceKind, path: &str) -> anyhow::Result<()> {
    let found = namespace::kind(fd);
    if found == Some(flag(kind)) {
        return Ok(());
    }
    let name = serde_json::to_string(&kind)?;
    anyhow::bail!("linux.namespaces: {path} is not a namespace of type {}", name.trim_matches('"'))
}

/// What `create` itself has to enter so that its next child is born there: a joined pid namespace, and a time
/// namespace with its offsets. Neither changes the caller.
///
/// # Errors
/// setns(2)'s or unshare(2)'s errno.
pub fn before_clone(plan: &Namespaces, joins: &[Join]) -> anyhow::Result<()> {
    join_kind(joins, NamespaceKind::Pid)?;
    let new_time = plan.entries.iter().any(|e| e.kind == NamespaceKind::Time && e.path.is_none());
    if new_time {
        namespace::unshare(NEWTIME, "time namespace")?;
        for (clock, seconds, nanoseconds) in &plan.time_offsets {
            std::fs::write("/proc/self/timens_offsets", format!("{clock} {seconds} {nanoseconds}\n"))
                .context("linux.timeOffsets")?;
        }
    }
    Ok(())
}

/// Undoes [`before_clone`] for the children that `create` makes later: hooks are born in the runtime's namespaces.
///
/// # Errors
/// setns(2)'s errno.
pub fn after_clone(plan: &Namespaces) -> anyhow::Result<()> {
    for (kind, name) in [(NamespaceKind::Pid, "pid"), (NamespaceKind::Time, "time")] {
        let entry = plan.entries.iter().find(|entry| entry.kind == kind);
        // A new pid namespace is made by the clone itself; a joined time namespace is entered by init.
        if entry.is_some_and(|entry| entry.path.is_some() == (kind == NamespaceKind::Pid)) {
            let path = format!("/proc/self/ns/{name}");
            namespace::join(std::fs::File::open(&path).context(path.clone())?, flag(kind), &path)?;
        }
    }
    Ok(())
}

/// In init: joins the rest and makes a cgroup namespace.
///
/// # Errors
/// Names the path.
pub fn enter(plan: &Namespaces, joins: &[Join]) -> anyhow::Result<()> {
    let order = [NamespaceKind::Ipc, NamespaceKind::Uts, NamespaceKind::Network, NamespaceKind::Time];
    for kind in order {
        join_kind(joins, kind)?;
    }
    if plan.entries.iter().any(|e| e.kind == NamespaceKind::Cgroup && e.path.is_none()) {
        namespace::unshare(NEWCGROUP, "cgroup namespace")?;
    }
    join_kind(joins, NamespaceKind::Cgroup)?;
    // Last: paths mean something else from here on.
    join_kind(joins, NamespaceKind::Mount)
}

fn join_kind(joins: &[Join], kind: NamespaceKind) -> anyhow::Result<()> {
    for join in joins.iter().filter(|join| join.kind == kind) {
        namespace::join(&join.fd, flag(kind), &join.path).context("linux.namespaces")?;
    }
    Ok(())
}

/// Host name, domain name and sysctls, all of namespaces that are the container's own.
///
/// # Errors
/// Names the sysctl.
pub fn set_names(plan: &Namespaces) -> anyhow::Result<()> {
    use std::os::fd::AsFd;
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.as_bytes()).context("hostname")?;
    }
    if let Some(name) = &plan.domainname {
        namespace::set_domain_name(name).context("domainname")?;
    }
    if plan.sysctl.is_empty() {
        return Ok(());
    }
    let proc = identity::private_proc()?;
    for (key, value) in &plan.sysctl {
        let file = format!("sys/{}", key.replace('.', "/"));
        identity::write_proc(proc.as_fd(), &file, value).with_context(|| format!("linux.sysctl {key}"))?;
    }
    Ok(())
}
