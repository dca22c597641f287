//! What a host holds at one moment, row by row, and what changed between two moments: one piece of code that says
//! "nothing left" for every test.

pub mod canary;
mod files;
mod filters;
mod kernel;
mod links;
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Teardown of namespaces and cgroups is asynchronous; this long is enough for the kernel.
pub const SETTLE: Duration = Duration::from_secs(2);

/// What belongs to the caller. Without tags and parent ([`Scope::machine`]) everything on the machine does.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Substrings that mark objects as the caller's: in cgroup paths, mount points, socket paths, key descriptions,
    /// interface names and aliases, command lines.
    pub tags: Vec<String>,
    /// Processes that descend from this one are the caller's.
    pub parent: Option<u32>,
    /// State directories, compared by the names below them.
    pub roots: Vec<PathBuf>,
    /// Image and canary trees, compared by names, modes, owners, times, content and extended attributes.
    pub trees: Vec<PathBuf>,
    /// Named network namespaces (`/run/netns/NAME`) whose devices, addresses, routes and queues are compared; `self` is
    /// the caller's own, in whole.
    pub netns: Vec<String>,
    /// Names of programs whose threads come and go while nothing happens.
    pub daemons: Vec<String>,
    /// Processes whose descriptors are compared.
    pub pids: Vec<u32>,
}

impl Scope {
    /// Everything on the machine: for hosts where nothing else runs.
    pub fn machine() -> Self {
        Self::default()
    }

    /// True when nothing narrows the scope.
    pub fn is_machine(&self) -> bool {
        self.tags.is_empty() && self.parent.is_none()
    }

    /// Is an object described by `text` the caller's?
    fn owns(&self, text: &str) -> bool {
        self.is_machine() || self.tags.iter().any(|tag| text.contains(tag.as_str()))
    }
}

/// Fills one row: each entry is one object, in words.
type Collect = fn(&Scope, &mut BTreeSet<String>);

/// The rows, in the order of a report. This table is what "nothing left" and "host as before" mean.
const ROWS: &[(&str, Collect)] = &[
    ("process", process::running),
    ("zombie", process::zombies),
    ("descriptor", process::descriptors),
    ("kvm", process::kvm),
    ("network namespace", process::network_namespaces),
    ("cgroup", files::cgroups),
    ("mount", files::mounts),
    ("state file", files::state),
    ("tree", files::trees),
    ("link", links::links),
    ("socket", kernel::sockets),
    ("loop device", kernel::loops),
    ("dm device", kernel::device_mapper),
    ("SysV IPC", kernel::sysv),
    ("key", kernel::keys),
    ("sysctl", kernel::sysctls),
];

/// What a host holds at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger(BTreeMap<String, BTreeSet<String>>);

impl Ledger {
    /// Looks. Objects that vanish while being looked at are not there.
    pub fn take(scope: &Scope) -> Self {
        let row = |&(name, collect): &(&str, Collect)| {
            let mut entries = BTreeSet::new();
            collect(scope, &mut entries);
            (name.to_owned(), entries)
        };
        Self(ROWS.iter().map(row).collect())
    }

    /// As JSON: row name to entries.
    pub fn to_json(&self) -> String {
        serde_json::json!(self.0).to_string()
    }

    /// From [`Ledger::to_json`]; the error is one line.
    pub fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map(Self).map_err(|e| e.to_string())
    }

    /// Entries of a row, for tests that look at one thing.
    pub fn row(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }
}

/// One line per object that is in one ledger only: `+` came, `-` went.
pub fn diff(before: &Ledger, after: &Ledger) -> Vec<String> {
    let none = BTreeSet::new();
    let mut lines = Vec::new();
    for (name, _) in ROWS {
        let (a, b) = (before.0.get(*name).unwrap_or(&none), after.0.get(*name).unwrap_or(&none));
        lines.extend(a.difference(b).map(|entry| format!("- {name}: {entry}")));
        lines.extend(b.difference(a).map(|entry| format!("+ {name}: {entry}")));
    }
    lines
}

/// Looks again until nothing differs from `before` or the time is over; returns the last difference.
pub fn settle(before: &Ledger, scope: &Scope, timeout: Duration) -> Vec<String> {
    let end = Instant::now() + timeout;
    loop {
        let lines = diff(before, &Ledger::take(scope));
        if lines.is_empty() || Instant::now() >= end {
            return lines;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
