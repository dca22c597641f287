//! What a container's process is, in lines that are the same for every container of one kind: a command that succeeds
//! in spite of a fault must have made exactly this.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Fields of /proc/PID/status that say what the process may do and what it hides from.
const STATUS: [&str; 17] = [
    "Name",
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "Threads",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
];
const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
/// Limits that the bundles ask for.
const GROUP_FILES: [&str; 4] =
    ["memory/memory.limit_in_bytes", "cpu/cpu.shares", "pids/pids.max", "devices/devices.list"];

/// The lines; empty when the process is gone.
pub(crate) fn of(pid: i32, cgroup: &str) -> BTreeSet<String> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let link = |name: &str| {
        fs::read_link(format!("/proc/{pid}/{name}"))
            .map(|link| link.display().to_string())
            .unwrap_or_default()
    };
    let mut lines = BTreeSet::new();
    let status = read("status");
    let wanted = |line: &&str| line.split_once(':').is_some_and(|(name, _)| STATUS.contains(&name));
    lines.extend(status.lines().filter(wanted).map(str::to_owned));
    if lines.is_empty() {
        return lines;
    }
    for name in ["cmdline", "oom_score_adj", "loginuid"] {
        lines.insert(format!("{name}: {}", read(name).trim_end()));
    }
    lines.extend(read("limits").lines().map(|line| format!("limit: {line}")));
    lines.extend(read("cgroup").lines().map(|line| format!("cgroup: {line}")));
    lines.extend(read("mountinfo").lines().map(|line| format!("mount: {}", mount(line))));
    for kind in NAMESPACES {
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap_or_default();
        let shared = link(&format!("ns/{kind}")) == own.display().to_string();
        lines.insert(format!("namespace: {kind} {}", if shared { "the host's" } else { "its own" }));
    }
    for name in ["cwd", "root"] {
        lines.insert(format!("{name}: {}", link(name)));
    }
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = entries.map(|entry| fs::read_link(entry.path()).unwrap_or_default().display().to_string());
    let mut open = BTreeMap::new();
    // An output file of a command has been removed when the next one begins.
    let name = |target: &str| without_digits(target.trim_end_matches(" (deleted)"));
    targets.for_each(|target| *open.entry(name(&target)).or_insert(0) += 1);
    // Not their numbers: what could not be closed once is in the way of the next one.
    lines.extend(open.iter().map(|(target, count)| format!("fd: {count} of {target}")));
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap_or_default().1.split(' ').collect();
    let leads = fields.get(3) == Some(&pid.to_string().as_str());
    lines.insert(format!("session: {}", if leads { "its own" } else { "another" }));
    for file in GROUP_FILES {
        let (controller, name) = file.split_once('/').unwrap_or_default();
        for path in
            [format!("/sys/fs/cgroup/{controller}{cgroup}/{name}"), format!("/sys/fs/cgroup{cgroup}/{name}")]
        {
            if let Ok(text) = fs::read_to_string(path) {
                lines.insert(format!("group: {name} {}", text.trim_end().replace('\n', "; ")));
            }
        }
    }
    if let Ok(meta) = fs::metadata(format!("/proc/{pid}/root/")) {
        lines.insert(format!("root: mode {:o} owner {}:{}", meta.mode(), meta.uid(), meta.gid()));
    }
    lines
}

/// A line of mountinfo without the numbers that count mounts.
fn mount(line: &str) -> String {
    let (left, right) = line.split_once(" - ").unwrap_or((line, ""));
    let left =
        left.split(' ').skip(3).filter(|word| !word.starts_with("master:") && !word.starts_with("shared:"));
    format!("{} - {right}", left.collect::<Vec<_>>().join(" "))
}

/// Inode numbers, ports and pids differ from container to container.
pub(crate) fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}
