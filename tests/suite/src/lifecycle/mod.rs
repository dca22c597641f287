//! The life of a container as the OCI runtime specification and runc's command line have it, verb by verb.

pub(crate) mod console;
mod create;
mod delete;
mod hooks;
mod kill;
pub(crate) mod limits;
pub(crate) mod namespaces;
mod ordinary;
mod run;
mod state;

use crate::harness::Case;
use crate::sandbox::Sandbox;

/// A case in a table: name and code.
type Entry = (&'static str, fn(&Sandbox));

/// All cases of the group.
pub fn cases() -> Vec<Case> {
    let tables: [&[Entry]; 10] = [
        create::CASES,
        state::CASES,
        kill::CASES,
        delete::CASES,
        hooks::CASES,
        namespaces::CASES,
        limits::CASES,
        ordinary::CASES,
        run::CASES,
        console::CASES,
    ];
    tables.into_iter().flatten().map(|&(name, run)| Case::new("lifecycle", name, run)).collect()
}
