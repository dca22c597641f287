//! `run`.

use super::Entry;
use crate::command::{self, until};
use crate::sandbox::{Sandbox, text};
use rustix::process::{Pid, Signal, kill_process};

pub(super) const CASES: &[Entry] = &[
    ("run-returns-the-exit-code-and-leaves-nothing", |s| {
        let c = s.container("a", &s.bundle("b").script("echo out; echo err >&2; exit 7"));
        let outcome = c.on_bundle("run", &[]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (7, "out\n"));
        assert!(outcome.stderr.contains("err"));
        c.verb("state").fails();
        let left = s.leftovers();
        assert!(left.is_empty(), "{left:#?}");
    }),
    ("run-returns-zero", |s| {
        s.container("a", &s.bundle("b").busybox(&["true"])).on_bundle("run", &[]).ok();
    }),
    ("run-returns-128-and-the-signal", |s| {
        let c = s.container("a", &s.bundle("b").script("sh -c 'kill -9 $$'; exit $?"));
        assert_eq!(c.on_bundle("run", &[]).code, 137);
    }),
    ("run-detached-returns-at-once", |s| {
        let c = s.container("a", &s.bundle("b").stoppable(0));
        c.on_bundle("run", &["--detach"]).ok();
        assert_eq!(c.status(), "running");
        assert_eq!(i64::from(c.pid()), c.state()["pid"].as_i64().unwrap());
    }),
    ("run-forwards-term", forwards),
    ("run-with-a-used-id-fails", |s| {
        let c = s.container("a", &s.bundle("b"));
        c.launch();
        c.on_bundle("run", &[]).fails();
        assert_eq!(c.status(), "running");
    }),
];

fn forwards(s: &Sandbox) {
    let bundle = s.bundle("b").stoppable(45).path.display().to_string();
    let (mut command, output) = s.command(["run", "--bundle", &bundle, &s.id("a")]);
    let mut child = command::spawn(&mut command, &output);
    until("the process is ready", || text(&output.with_extension("out")).contains("ready"));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(command::wait(&mut child, command::HANG, "run"), 45);
}
