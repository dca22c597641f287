//! What a guest gets of its memory limit, and what an idle one costs: own guests on the built-in monitor.

use crate::bundle::Bundle;
use crate::container::Container;
use crate::harness::Case;
use crate::lifecycle::limits::control_file;
use crate::sandbox::{Sandbox, text};
use serde_json::json;

const MIB: u64 = 1 << 20;
/// What a guest may lack of its limit, MiB.
const OVERHEAD: u64 = 2;
/// Most that an idle guest may hold, KiB.
const IDLE: u64 = 60;

/// All cases of the group; ours only.
pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [32, 64, 512]
        .into_iter()
        .map(|limit| {
            let name = format!("a-guest-writes-all-its-memory-in-{limit}-mebibytes");
            Case::new("memory", name, move |s| writes_all(s, &s.bundle("b").spt("memory"), (limit, OVERHEAD)))
        })
        .collect();
    cases.push(Case::new("memory", "an-idle-guest-is-small-and-alone-in-its-address-space", idle));
    cases
}

fn guest<'a>(s: &'a Sandbox, bundle: &Bundle, limit: u64) -> Container<'a> {
    let memory = json!({"limit": limit * MIB});
    s.container("a", &bundle.clone().with("/linux/resources/memory", memory))
}

/// The guest writes and reads back every page of its RAM, all of the limit but the overhead; the limit is never hit.
pub(crate) fn writes_all(s: &Sandbox, bundle: &Bundle, (limit, overhead): (u64, u64)) {
    let c = guest(s, bundle, limit);
    c.create().ok();
    let output = s.last_output().with_extension("out");
    c.start().ok();
    assert_eq!(c.exit_code(), 0, "{}", text(&output));
    let said = text(&output);
    let touched = said.trim().strip_prefix("touched ").and_then(|rest| rest.strip_suffix(" MiB"));
    let touched: u64 = touched.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    assert!(touched + overhead >= limit, "{touched} MiB of {limit}");
    let path = s.id("b");
    // v1 counts failures; v2 counts how often the limit was hit.
    let failures = control_file(&path, "memory", "memory.failcnt", "memory.events");
    let hits = failures.lines().find_map(|line| line.strip_prefix("max ")).unwrap_or(failures.trim());
    assert_eq!(hits, "0", "the limit was hit");
    // It was there: the guest cannot have written to less than it says.
    let peak = control_file(&path, "memory", "memory.max_usage_in_bytes", "memory.peak");
    assert!(peak.trim().parse::<u64>().unwrap() >= (touched - 1) * MIB, "{peak}");
    c.delete().ok();
}

fn idle(s: &Sandbox) {
    let c = guest(s, &s.bundle("b").spt("idle"), 64 + OVERHEAD);
    c.launch();
    crate::command::until("the guest idles", || text(&s.dir.join("command-0.out")).contains("idle"));
    let plan = s.run(["plan", "--json", &c.id]).ok().json();
    let end = plan["memory"]["guest_mib"]["value"].as_u64().unwrap() * MIB;
    assert!(end >= 64 * MIB, "{end}");
    let rollup = c.proc("smaps_rollup");
    let resident = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap_or_default();
    let resident: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(resident <= IDLE, "{resident} KiB:\n{}", c.proc("smaps"));
    let foreign = foreign(&c.proc("smaps"), end);
    assert!(foreign.is_empty(), "{foreign:#?}");
}

/// Mappings outside the guest that are neither [vsyscall] nor sealed pages of the kernel (`sl` in proc_pid_smaps(5)).
pub(crate) fn foreign(smaps: &str, guest_end: u64) -> Vec<String> {
    let mut mappings: Vec<(String, bool)> = Vec::new();
    for line in smaps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            mappings.last_mut().unwrap().1 = flags.split_whitespace().any(|flag| flag == "sl");
        } else if line.split(' ').next().is_some_and(|range| range.contains('-')) {
            mappings.push((line.to_owned(), false));
        }
    }
    let outside = |line: &str| {
        let end = line.split(['-', ' ']).nth(1).and_then(|end| u64::from_str_radix(end, 16).ok());
        end.is_none_or(|end| end > guest_end) && !line.ends_with("[vsyscall]")
    };
    mappings.into_iter().filter(|(line, sealed)| outside(line) && !sealed).map(|(line, _)| line).collect()
}
