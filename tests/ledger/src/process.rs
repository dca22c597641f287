//! Rows about processes: who runs, who was not reaped, what they hold open.

use crate::Scope;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// `PF_KTHREAD` of the kernel's `include/linux/sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// One line of `/proc/PID/stat`, proc_pid_stat(5).
struct Stat {
    pid: u32,
    name: String,
    state: char,
    parent: u32,
    flags: u64,
    threads: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold spaces and parentheses: fields start after the last one.
        let (head, tail) = text.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        Some(Self {
            pid,
            name: head.split_once('(')?.1.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            flags: fields.get(6)?.parse().ok()?,
            threads: fields.get(17)?.parse().ok()?,
        })
    }
}

/// Every user process but the caller and its ancestors.
fn table() -> BTreeMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let mut all: BTreeMap<u32, Stat> =
        pids.filter_map(Stat::read).filter(|s| s.flags & KERNEL_THREAD == 0).map(|s| (s.pid, s)).collect();
    let mut next = std::process::id();
    while let Some(stat) = all.remove(&next) {
        next = stat.parent;
    }
    all
}

/// The caller's processes: descendants of the scope's parent, members of a tagged cgroup, tagged command lines.
fn owned(scope: &Scope) -> Vec<(Stat, String)> {
    let all = table();
    let descends = |mut pid: u32| {
        while let Some(stat) = all.get(&pid) {
            if Some(stat.parent) == scope.parent {
                return true;
            }
            pid = stat.parent;
        }
        false
    };
    let children: BTreeSet<u32> = all.keys().copied().filter(|pid| descends(*pid)).collect();
    all.into_values()
        .filter_map(|stat| {
            let raw = fs::read(format!("/proc/{}/cmdline", stat.pid)).unwrap_or_default();
            let line = String::from_utf8_lossy(&raw).replace('\0', " ").trim_end().to_owned();
            let mine = scope.is_machine()
                || children.contains(&stat.pid)
                || scope.owns(&line)
                || fs::read_to_string(format!("/proc/{}/cgroup", stat.pid)).is_ok_and(|c| scope.owns(&c));
            mine.then_some((stat, line))
        })
        .collect()
}

/// Running processes; in a narrow scope with their number of threads (daemons of others come and go with theirs).
pub(crate) fn running(scope: &Scope, out: &mut BTreeSet<String>) {
    for (stat, line) in owned(scope).into_iter().filter(|(s, _)| !matches!(s.state, 'Z' | 'X')) {
        let restless = scope.is_machine() || scope.daemons.contains(&stat.name);
        let threads = if restless { String::new() } else { format!(" threads={}", stat.threads) };
        out.insert(format!("{} ({}) {line}{threads}", stat.pid, stat.name));
    }
}

/// Dead processes that nobody reaped.
pub(crate) fn zombies(scope: &Scope, out: &mut BTreeSet<String>) {
    for (stat, _) in owned(scope).into_iter().filter(|(s, _)| s.state == 'Z') {
        out.insert(format!("{} ({}) of {}", stat.pid, stat.name, stat.parent));
    }
}

/// Descriptors of a process: (number, target).
fn open_files(pid: u32) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|e| {
            let target = fs::read_link(e.path()).ok()?;
            Some((e.file_name().to_string_lossy().into_owned(), target.to_string_lossy().into_owned()))
        })
        .collect()
}

/// Descriptors of the processes that the scope names.
pub(crate) fn descriptors(scope: &Scope, out: &mut BTreeSet<String>) {
    for pid in &scope.pids {
        out.extend(open_files(*pid).into_iter().map(|(fd, target)| format!("{pid}: {fd} {target}")));
    }
}

/// Virtual machines: descriptors of KVM.
pub(crate) fn kvm(scope: &Scope, out: &mut BTreeSet<String>) {
    for (stat, _) in owned(scope) {
        let held = open_files(stat.pid).into_iter().filter(|(_, target)| target.contains("kvm"));
        out.extend(held.map(|(fd, target)| format!("{}: {fd} {target}", stat.pid)));
    }
}

/// Network namespaces by nsfs inode: of processes and of names.
pub(crate) fn network_namespaces(scope: &Scope, out: &mut BTreeSet<String>) {
    for (stat, _) in owned(scope) {
        if let Ok(link) = fs::read_link(format!("/proc/{}/ns/net", stat.pid)) {
            out.insert(link.to_string_lossy().into_owned());
        }
    }
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if (scope.owns(&name) || scope.netns.contains(&name))
            && let Ok(meta) = entry.metadata()
        {
            out.insert(format!("net:[{}] named {name}", meta.ino()));
        }
    }
}
