//! Bad input: one line that names what to change, exit code 1, and a host exactly as before.

mod command_line;
mod config;
mod host;
mod image;
mod kernel;
mod monitor;
pub(crate) mod network;
mod program;
mod request;
mod settings;

use crate::bundle::Bundle;
use crate::command::{Outcome, until};
use crate::container::Container;
use crate::harness::Case;
use crate::sandbox::Sandbox;
use serde_json::Value;

/// One row: what is bad, a word that the error must have, and how the bundle gets bad.
type Row = (&'static str, &'static str, fn(Bundle) -> Bundle);

/// A case that is a function.
type Entry = (&'static str, fn(&Sandbox));

/// All cases of the groups `bad-config` (any runtime), `bad-request`, `bad-image` and `bad-net` (ours).
pub fn cases() -> Vec<Case> {
    let rows = |group: &'static str, rows: &[Row], base: fn(&Sandbox) -> Bundle| {
        let case = |&(name, word, change): &Row| {
            Case::new(group, name, move |s: &Sandbox| create_is_refused(s, &change(base(s)), word))
        };
        rows.iter().map(case).collect::<Vec<_>>()
    };
    let mut cases = rows("bad-config", config::ROWS, |s| s.bundle("b"));
    cases.extend(host::COMMON.iter().map(|&(name, run)| Case::new("bad-config", name, run)));
    cases.extend(rows("bad-request", request::REFUSED, |s| s.bundle("b").spt("hello")));
    let taken = |&(name, change): &request::Taken| {
        Case::new("bad-request", name, move |s: &Sandbox| is_taken(s, &change(s.bundle("b").spt("hello"))))
    };
    cases.extend(request::TAKEN.iter().map(taken));
    cases.extend(command_line::CASES.iter().map(|&(name, run)| Case::new("bad-request", name, run)));
    cases.extend(rows("bad-image", image::ROWS, |s| s.bundle("b").spt("hello")));
    cases.extend(rows("bad-image", image::LINUX_ROWS, |s| s.bundle("b").linux()));
    cases.extend(rows("bad-image", kernel::ROWS, |s| s.bundle("b").spt("hello")));
    cases.extend(kernel::truncations());
    let network = |&(name, run): &Entry| Case::new("bad-net", name, move |s| network::run(s, run));
    cases.extend(network::CASES.iter().map(network));
    let ours = host::OURS.iter().chain(monitor::CASES).chain(settings::CASES);
    cases.extend(ours.map(|&(name, run)| Case::new("bad-image", name, run)));
    cases.extend(program::cases());
    cases
}

/// `create` of this bundle must be refused, and leave nothing without any `delete`.
fn create_is_refused(s: &Sandbox, bundle: &Bundle, word: &str) {
    s.trees.borrow_mut().push(bundle.path.clone());
    let outcome = s.container("a", bundle).create();
    refused(s, &outcome, word);
}

/// `create`, `start` and `delete` of this bundle must do.
fn is_taken(s: &Sandbox, bundle: &Bundle) {
    let c = s.container("a", bundle);
    c.launch();
    command_line::ended(&c);
}

/// `start` must fail and delete must do. Returns the error.
fn start_fails(s: &Sandbox, bundle: &Bundle) -> String {
    let c = s.container("a", bundle);
    c.create().ok();
    let error = c.start().fails();
    until("the container is stopped", || c.status() == "stopped");
    c.delete().ok();
    let left = s.leftovers();
    assert!(left.is_empty(), "{left:#?}");
    error
}

/// The command failed in one line with `word`, and the container is what it was.
fn stays(c: &Container<'_>, outcome: &Outcome, status: &str, word: &str) {
    one_line(c.sandbox, outcome, word);
    assert_eq!(c.status(), status);
}

/// The last command said one line that has `word` in it, and the host is as before.
pub(crate) fn refused(s: &Sandbox, outcome: &Outcome, word: &str) {
    one_line(s, outcome, word);
    let left = s.leftovers();
    assert!(left.is_empty(), "{left:#?}");
}

/// The last command failed in one line that has `word` in it.
pub(crate) fn one_line(s: &Sandbox, outcome: &Outcome, word: &str) {
    assert!(outcome.code != 0, "{}: succeeded, but must be refused", outcome.line);
    assert_eq!(outcome.code, 1, "{}: {}", outcome.line, outcome.stderr);
    assert_eq!(outcome.stdout, "", "nothing belongs on standard output");
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    let entries: Vec<Value> =
        s.log().iter().map(|line| serde_json::from_str(line).expect("a JSON log line")).collect();
    let errors: Vec<&str> =
        entries.iter().filter(|e| e["level"] == "error").filter_map(|e| e["msg"].as_str()).collect();
    let [error] = errors.as_slice() else {
        panic!("{} error lines instead of one: {errors:?}", errors.len())
    };
    assert!(error.len() <= 400, "{} bytes: {error}", error.len());
    assert!(!error.trim_end().contains(char::is_control), "several lines, or keys of a terminal: {error:?}");
    assert!(error.to_lowercase().contains(&word.to_lowercase()), "{word:?} is not named in: {error}");
}
