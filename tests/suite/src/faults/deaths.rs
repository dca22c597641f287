//! Processes that die, or do not.

use super::{Entry, ended, idle};
use crate::chaos::kills::one_line;
use crate::command::{self, HANG, until};
use crate::container::Container;
use crate::probe::linux_on_probe;
use crate::sandbox::{Sandbox, text};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs;
use std::process::Command;

pub(super) const CASES: &[Entry] = &[
    ("f-08-the-monitor-dies-before-its-exec", |s| {
        let c = idle(s, "a");
        c.create().ok();
        kill_process(Pid::from_raw(c.pid()).unwrap(), Signal::STOP).unwrap();
        let (mut start, output) = s.command(["start", &c.id]);
        let mut start = command::spawn(&mut start, &output);
        until("start waits for init", || waits(start.id()));
        kill_process(Pid::from_raw(c.pid()).unwrap(), Signal::KILL).unwrap();
        assert_eq!(command::wait(&mut start, HANG, "start"), 1);
        let error = text(&output.with_extension("err"));
        assert!(error.contains("ended") && error.lines().count() == 1, "{error}");
        assert_eq!(c.status(), "stopped");
        ended(&c);
    }),
    ("f-09-the-monitor-dies-right-after-start", |s| {
        for bundle in [s.bundle("spt").spt("idle"), linux_on_probe(s, &["probe=quiet", "probe=qmp"])] {
            let c = s.container("a", &bundle);
            c.launch();
            kill_process(Pid::from_raw(c.pid()).unwrap(), Signal::KILL).unwrap();
            c.until_stopped();
            for outcome in [c.start(), c.kill("KILL")] {
                assert!(outcome.fails().contains("stopped") || s.log().concat().contains("not running"));
            }
            c.delete().ok();
            ended(&c);
        }
    }),
    ("f-10-run-tells-each-signal-the-guest-died-of", |s| {
        for signal in [4, 6, 7, 8, 9, 11, 31] {
            // Without a pid namespace: its first process would ignore its own signals.
            let name = format!("b{signal}");
            let bundle = s.bundle(&name).without_namespace("pid").script(&format!("kill -{signal} $$"));
            let outcome = s.container("a", &bundle).on_bundle("run", &[]);
            assert_eq!(outcome.code, 128 + signal, "{}", outcome.stderr);
        }
        let left = s.leftovers();
        assert!(left.is_empty(), "{left:#?}");
    }),
    ("f-10-the-guest-dies-of-too-much-memory", |s| {
        let limit = json!({"limit": 16 << 20, "swap": 16 << 20});
        let bundle = s.bundle("b").with("/linux/resources/memory", limit).busybox(&["tail", "/dev/zero"]);
        let outcome = s.container("a", &bundle).on_bundle("run", &[]);
        assert_eq!(outcome.code, 128 + 9, "{}", outcome.stderr);
        let left = s.leftovers();
        assert!(left.is_empty(), "{left:#?}");
    }),
    ("f-11-the-guest-ignores-term", |s| {
        let c =
            s.container("a", &s.bundle("b").script("trap '' TERM; echo ready; while :; do sleep 1; done"));
        c.launch();
        until("the trap is set", || ignores(&c, 15));
        c.kill("TERM").ok();
        assert_eq!(c.status(), "running");
        c.delete().fails();
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
        ended(&c);
    }),
    ("f-13-the-guest-ends-during-start", |s| {
        let c = s.container("a", &s.bundle("b").spt("hello"));
        for _ in 0..20 {
            c.launch();
            c.until_stopped();
            c.delete().ok();
            s.reap();
        }
        ended(&c);
    }),
    ("f-14-the-guest-ends-during-kill", |s| {
        let c = s.container("a", &s.bundle("b").spt("hello"));
        for _ in 0..20 {
            c.launch();
            let outcome = c.kill("TERM");
            one_line(&outcome);
            assert!(outcome.code == 0 || outcome.stderr.contains("not running"), "{}", outcome.stderr);
            c.until_stopped();
            c.delete().ok();
            s.reap();
        }
        ended(&c);
    }),
    ("f-15-a-poststart-hook-fails", |s| {
        let c = s.container("a", &s.bundle("b").spt("idle").hook("poststart", "/bin/sh", "echo why; exit 3"));
        c.create().ok();
        let error = c.start().fails();
        assert!(error.contains("poststart hook /bin/sh: exit status: 3: why"), "{error}");
        assert_eq!(c.status(), "stopped");
        ended(&c);
    }),
    ("f-16-a-poststop-hook-hangs", |s| {
        let bundle = s.bundle("b").spt("idle").hook("poststop", "/bin/sh", "exec sleep 1000");
        let c = s.container("a", &bundle.with("/hooks/poststop/0/timeout", json!(1)));
        c.launch();
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
        assert!(s.log().iter().any(|line| line.contains("did not end within 1 s")), "{:?}", s.log());
        ended(&c);
    }),
    ("f-17-the-shim-is-killed", |s| {
        let c = idle(s, "a");
        let (create, _) = s.command(["create", "--bundle", &c.bundle.display().to_string(), &c.id]);
        let mut shim = Command::new("setsid");
        shim.args(["sh", "-c", "\"$@\" >/dev/null 2>&1; echo $? > made; exec sleep 1000", "sh"]);
        shim.arg(create.get_program()).args(create.get_args()).current_dir(&s.dir);
        let mut shim = shim.env("URUNC_CONFIG_FILE", &s.settings).spawn().unwrap();
        until("the container is created", || text(&s.dir.join("made")).trim() == "0");
        shim.kill().unwrap();
        shim.wait().unwrap();
        // Its successor finds what it left.
        assert_eq!(c.status(), "created");
        c.start().ok();
        assert_eq!(c.status(), "running");
        c.kill("KILL").ok();
        c.until_stopped();
        ended(&c);
    }),
    ("f-19-the-engine-gives-up-and-tries-again", |s| {
        let bundle = s.bundle("b").spt("idle");
        let reached = bundle.path.join("reached");
        let script = format!(": > {}; exec sleep 1000", reached.display());
        let slow = bundle.clone().hook("prestart", "/bin/sh", &script);
        let c = s.container("a", &slow);
        let (mut create, output) = s.command(["create", "--bundle", &c.bundle.display().to_string(), &c.id]);
        let mut create = command::spawn(&mut create, &output);
        until("the hook runs", || reached.exists());
        create.kill().unwrap();
        create.wait().unwrap();
        // An impatient engine does not even delete.
        let error = c.create().fails();
        assert!(error.contains("exists already"), "{error}");
        kill_hook(s);
        c.delete_force().ok();
        bundle.write();
        c.launch();
        ended(&c);
    }),
];

/// Does the process sleep in a poll?
fn waits(pid: u32) -> bool {
    let call = text(format!("/proc/{pid}/wchan").as_ref());
    call.contains("poll") || call.contains("wait") || call.contains("sched")
}

fn ignores(c: &Container<'_>, signal: u32) -> bool {
    u64::from_str_radix(&c.status_field("SigIgn"), 16).is_ok_and(|ignored| ignored >> (signal - 1) & 1 == 1)
}

/// What a killed `create` leaves of its hooks is an orphan of this case.
fn kill_hook(s: &Sandbox) {
    let own = std::process::id();
    let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
    for pid in children.split_whitespace() {
        if text(format!("/proc/{pid}/cmdline").as_ref()).starts_with("sleep") {
            kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
        }
    }
    s.reap();
}
