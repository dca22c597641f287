//! The attack catalogue: what went wrong in runtimes and monitors like this one. Each entry that applies to what is built
//! has a case whose name begins with its number; docs/security.md lists them (`suite --catalogue FILE`).

mod paths;

use crate::bad_input::host::monitor_path;
use crate::harness::Case;
use crate::sandbox::Sandbox;

/// A case that is a function.
type Entry = (&'static str, fn(&Sandbox));

/// All cases of the group `catalogue`.
pub fn cases() -> Vec<Case> {
    let files = [paths::cases()];
    files.into_iter().flatten().collect()
}

/// The cases of one file.
fn named(entries: &'static [Entry]) -> Vec<Case> {
    entries.iter().map(|(name, run)| Case::new("catalogue", *name, *run)).collect()
}

/// The probe plays QEMU for every Linux bundle of the case.
fn monitor_for_all(s: &Sandbox) {
    let settings = format!("[monitors.qemu]\npath = \"{}\"\n", monitor_path().display());
    std::fs::write(&s.settings, settings).expect("settings");
}
