//! `kill`.

use super::Entry;
use crate::command::until;
use crate::container::Container;
use crate::sandbox::{Sandbox, text};

pub(super) const CASES: &[Entry] = &[
    ("kill-a-created-container", |s| {
        let c = s.container("a", &s.bundle("b"));
        c.create().ok();
        c.kill("KILL").ok();
        c.until_stopped();
        assert_eq!(c.exit_code(), 137);
    }),
    ("kill-a-running-container", |s| {
        let c = s.container("a", &s.bundle("b"));
        c.launch();
        c.kill("SIGKILL").ok();
        assert_eq!(c.exit_code(), 137);
        c.until_stopped();
    }),
    ("kill-sends-term-without-a-signal", |s| {
        let c = trapping(s, 43);
        c.verb("kill").ok();
        assert_eq!(c.exit_code(), 43);
    }),
    ("kill-sends-a-signal-by-short-name", |s| sends(s, "USR1")),
    ("kill-sends-a-signal-by-full-name", |s| sends(s, "SIGUSR2")),
    ("kill-sends-a-signal-by-number", |s| sends(s, "1")),
    ("kill-sends-a-signal-by-lower-case-name", |s| sends(s, "int")),
    ("kill-all-is-accepted", |s| {
        let c = trapping(s, 43);
        s.run(["kill", "--all", &c.id, "KILL"]).ok();
        assert_eq!(c.exit_code(), 137);
    }),
    ("kill-refuses-an-unknown-signal-without-effect", |s| {
        let c = trapping(s, 43);
        for signal in ["SIGFOO", "65000", "-1", "9x"] {
            c.kill(signal).fails();
        }
        assert_eq!(c.status(), "running");
    }),
    ("kill-a-stopped-container-fails-without-effect", |s| {
        let c = s.container("a", &s.bundle("b").busybox(&["true"]));
        c.launch();
        c.until_stopped();
        assert!(c.kill("KILL").fails().contains("not running"));
        assert_eq!(c.status(), "stopped");
    }),
    ("kill-an-unknown-container-fails", |s| {
        assert!(s.run(["kill", &s.id("nobody"), "KILL"]).fails().contains("does not exist"));
    }),
    ("kill-without-id-fails", |s| {
        s.run(["kill"]).fails();
    }),
    ("an-ignored-signal-changes-nothing", |s| {
        // Pid 1 of a pid namespace gets no signal that it does not handle.
        let c = s.container("a", &s.bundle("b"));
        c.launch();
        c.kill("TERM").ok();
        assert_eq!(c.status(), "running");
    }),
];

/// A running container that ends with `code` on a signal, and says when it is ready for one.
fn trapping(s: &Sandbox, code: i32) -> Container<'_> {
    let c = s.container("a", &s.bundle("b").stoppable(code));
    c.launch();
    until("the process is ready", || text(&s.dir.join("command-0.out")).contains("ready"));
    c
}

fn sends(s: &Sandbox, signal: &str) {
    let c = trapping(s, 44);
    c.kill(signal).ok();
    assert_eq!(c.exit_code(), 44);
    c.until_stopped();
}
