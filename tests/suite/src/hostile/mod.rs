//! The hostile monitor: the probe tries every way out of its jail (`tests/probe/src/escape`), as uid 0 and as another,
//! with the filters of an ordinary start and without any. Outside, as root, the same tries succeed: one that does not is
//! not counted.

mod host;
mod jails;

use crate::command::until;
use crate::harness::{Case, REPORT};
use crate::sandbox::{Sandbox, text};
use host::Host;
use jails::{JAILS, Jail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// As few tries must work outside and be refused inside.
const LEAST: usize = 40;
/// What the probe says of a try that succeeded.
const ESCAPED: &str = "escaped";

/// What stays open when no filter is installed: the kernel's wide interfaces, which lead to nothing that is another's.
/// Each is closed by the monitors' own lists and by the profiles of engines.
const FILTERS_ONLY: &[(&str, &str)] = &[
    ("change-the-descriptor-table", "of the process itself"),
    ("change-the-personality", "of the process itself"),
    ("handle-page-faults", "of the process itself"),
    ("kill-everyone", "its own processes: nobody else is in sight but init, which is spared"),
    ("open-a-socket-to-the-hypervisor", "such sockets know no namespace"),
    ("open-an-io-uring", "it does what the process may do by calls"),
    ("read-the-user-s-keys", "keys belong to a uid: its own with uid_range"),
];

/// Begin of the probe's report, one line.
const START: &str = "{\"escapes\":";

/// All cases of the group.
pub fn cases() -> Vec<Case> {
    JAILS.iter().map(|jail| Case::new("hostile", jail.name, |s: &Sandbox| holds(s, jail))).collect()
}

/// Name of each try, and what became of it.
type Outcomes = BTreeMap<String, String>;

#[allow(clippy::print_stdout)]
fn holds(s: &Sandbox, jail: &Jail) {
    // The ledger looks, and the canary is watched, from the first command on.
    s.run(["list", "-q"]).ok();
    let host = Host::new(s, jail.uid);
    let outside = host.without_jail();
    let inside = parse(&jails::enter(s, jail, &host));
    host.is_untouched();
    drop(host);
    assert!(inside.keys().eq(outside.keys()), "some tries are missing: {inside:#?}");
    let filters_only = FILTERS_ONLY.iter().filter(|_| !jail.filters);
    let explained: BTreeMap<&str, &str> = filters_only.chain(jail.open).copied().collect();
    let mut refused = 0;
    let mut reached = Vec::new();
    for (name, outcome) in &inside {
        let counted = outside[name] == ESCAPED;
        if jail.told {
            println!("{REPORT}{name}: {outcome}{}", if counted { "" } else { " (as outside)" });
        }
        let held = !matches!(outcome.as_str(), ESCAPED | "hangs") && !outcome.starts_with("no ");
        if !held && !explained.contains_key(name.as_str()) {
            reached.push(format!("{name}: {outcome}"));
        }
        refused += usize::from(held && counted);
    }
    assert!(reached.is_empty(), "{reached:#?}");
    assert!(refused >= LEAST, "only {refused} tries are refused that work outside: {outside:#?}");
    let open: Vec<&str> = inside.keys().map(String::as_str).filter(|name| inside[*name] == ESCAPED).collect();
    let tried = outside.values().filter(|outcome| *outcome == ESCAPED).count() - open.len();
    println!("{REPORT}hostile monitor, {}: {refused} of {tried} refused", jail.name);
    for name in open {
        println!("{REPORT}    open without a filter: {name}: {}", explained[name]);
    }
}

/// The probe's report in what it printed.
fn parse(printed: &str) -> Outcomes {
    let line = printed.lines().find(|line| line.starts_with(START)).expect("a report of the probe");
    let report: Value = serde_json::from_str(line).expect("a report of the probe");
    serde_json::from_value(report["escapes"].clone()).expect("outcomes by name")
}

/// What a program printed, once it has reported.
fn reported(output: &Path) -> String {
    until("the probe reports its tries", || {
        text(output).lines().any(|line| line.starts_with(START) && line.ends_with('}'))
    });
    text(output)
}
