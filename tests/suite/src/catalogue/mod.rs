//! The attack catalogue: what went wrong in runtimes and monitors like this one. Each entry that applies to what is built
//! has a case whose name begins with its number; docs/security.md lists them (`suite --catalogue FILE`).

mod arguments;
mod descriptors;
mod entries;
mod executables;
mod guests;
mod kinds;
mod machines;
mod metadata;
mod modes;
mod namespaces;
mod networks;
mod paths;
mod qmp;
mod races;
mod sockets;
mod storage;
mod table;
mod texts;

use crate::bad_input::{one_line, refused};
use crate::bundle::Bundle;
use crate::command::Outcome;
use crate::harness::Case;
use crate::sandbox::Sandbox;
use kinds::monitor_for_all;
use ledger::{Ledger, Scope};
use std::path::Path;

pub use table::refresh;

/// A case that is a function.
type Entry = (&'static str, fn(&Sandbox));

/// All cases of the group `catalogue`.
pub fn cases() -> Vec<Case> {
    [
        paths::cases(),
        arguments::cases(),
        races::cases(),
        storage::cases(),
        metadata::cases(),
        texts::cases(),
        guests::cases(),
        machines::cases(),
        descriptors::cases(),
        executables::cases(),
        namespaces::cases(),
        networks::cases(),
        sockets::cases(),
        modes::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The cases of one file.
fn named(entries: &'static [Entry]) -> Vec<Case> {
    entries.iter().map(|(name, run)| Case::new("catalogue", *name, *run)).collect()
}

/// How often an attack that needs luck is repeated: `full` times with `CATALOGUE=1`, by default a twentieth of that.
fn rounds(full: usize) -> usize {
    let divisor = std::env::var("CATALOGUE").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    full.div_ceil(divisor)
}

/// The life of a container, and what its monitor is while it runs. Either it lives or it is refused in one line that has
/// `word` in it; afterwards the host is as before and the bundle untouched. Says whether it lived.
fn lives_or_is_refused(s: &Sandbox, bundle: &Bundle, word: &str, look: impl FnOnce(i32)) -> bool {
    let scope = Scope { tags: vec![s.tag.clone()], trees: vec![bundle.path.clone()], ..Scope::default() };
    let before = Ledger::take(&scope);
    let c = s.container("a", bundle);
    let created = c.create();
    let lived = if created.code == 0 {
        let started = c.start();
        if started.code == 0 {
            look(c.pid());
        } else {
            one_line(s, &started, word);
        }
        c.delete_force().ok();
        nothing_left(s);
        started.code == 0
    } else {
        refused(s, &created, word);
        false
    };
    let changed = ledger::settle(&before, &scope, ledger::SETTLE);
    assert!(changed.is_empty(), "{}: {changed:#?}", bundle.path.display());
    lived
}

/// NOTHING-LEFT and HOST-SAME of the whole case.
fn nothing_left(s: &Sandbox) {
    let left = s.leftovers();
    assert!(left.is_empty(), "{left:#?}");
}

/// A command may succeed, or fail in one line.
fn in_words(s: &Sandbox, outcome: &Outcome) {
    if outcome.code != 0 {
        one_line(s, outcome, "");
    }
}

/// What a path of a process's root is.
fn inside(pid: i32, path: &str) -> std::path::PathBuf {
    Path::new("/proc").join(format!("{pid}/root{path}"))
}
