//! cgroup v2: limits bind, use is accounted, and init is born where it belongs.

use super::Entry;
use crate::bundle::Bundle;
use crate::command::{self, until, until_patiently};
use crate::container::Container;
use crate::sandbox::{Sandbox, text};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const CASES: &[Entry] = &[
    ("init-is-born-in-its-group", born_inside),
    ("memory-beyond-the-limit-kills-in-the-group", |s| {
        let bundle = s.bundle("b").with("/linux/resources/memory", json!({"limit": 32 << 20}));
        let c = s.container("a", &bundle.busybox(&["tail", "/dev/zero"]));
        c.launch();
        assert_eq!(c.exit_code(), 137);
        let dir = directory(s);
        assert_eq!(value(&dir, "memory.events", "oom_kill"), 1);
        assert!(number(&dir, "memory.peak") <= 32 << 20);
    }),
    ("a-guest-that-is-killed-for-its-memory-ended-by-oom", killed_guests),
    ("a-process-beyond-the-limit-is-not-forked", |s| {
        let bundle = s.bundle("b").with("/linux/resources/pids", json!({"limit": 3}));
        let c = s.container("a", &bundle.script("for i in 1 2 3 4 5; do sleep 100 & done; wait"));
        c.launch();
        let dir = directory(s);
        until("a fork is refused", || value(&dir, "pids.events", "max") > 0);
        assert!(number(&dir, "pids.current") <= 3);
    }),
    ("time-beyond-the-quota-is-not-given", |s| {
        let cpu = json!({"quota": 10_000, "period": 100_000});
        let bundle = s.bundle("b").with("/linux/resources/cpu", cpu);
        s.container("a", &bundle.script("while :; do :; done")).launch();
        until("it is throttled", || value(&directory(s), "cpu.stat", "nr_throttled") > 0);
    }),
    ("only-the-processors-of-the-list-are-used", |s| {
        let bundle = s.bundle("b").with("/linux/resources/cpu", json!({"cpus": "1"}));
        let c = s.container("a", &bundle);
        c.launch();
        assert_eq!(c.status_field("Cpus_allowed_list"), "1");
    }),
    ("only-the-devices-of-the-list-open", |s| {
        let devices = json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}
        ]);
        s.container("a", &s.bundle("b").with("/linux/resources/devices", devices)).launch();
        let dir = directory(s).display().to_string();
        for (device, mode, opens) in [
            ("/dev/kmsg", "<", true),
            ("/dev/kmsg", ">>", false),
            ("/dev/vda", "<", false),
            ("/dev/mem", "<", false),
        ] {
            // A shell of the host enters the group: to it the device list alone is in the way.
            let script = format!("echo $$ >{dir}/cgroup.procs && : {mode}{device}");
            let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
            let said = String::from_utf8_lossy(&shell.stderr).into_owned();
            assert_eq!(shell.status.success(), opens, "{device} {mode} {said}");
            assert!(opens || said.contains("Operation not permitted"), "{said}");
        }
    }),
    ("memory-and-time-are-accounted-without-any-limit", |s| {
        let bundle = s.bundle("b").with("/linux/resources", json!({}));
        s.container("a", &bundle.script("while :; do :; done")).launch();
        let dir = directory(s);
        until("time is accounted", || value(&dir, "cpu.stat", "usage_usec") > 0);
        assert!(number(&dir, "memory.current") > 0, "{}", dir.display());
        assert_eq!(number(&dir, "pids.current"), 1);
        assert!(dir.join("io.stat").exists());
    }),
    ("a-spt-guest-is-accounted", |s| {
        let bundle = s.bundle("b").spt("idle").with("/linux/resources/memory", json!({"limit": 64 << 20}));
        let c = s.container("a", &bundle);
        c.launch();
        let dir = directory(s);
        assert_eq!(text(&dir.join("cgroup.procs")).trim(), c.pid().to_string());
        assert_eq!(number(&dir, "memory.max"), 64 << 20);
        assert!((1..64 << 20).contains(&number(&dir, "memory.current")));
    }),
];

/// Where [`Sandbox::bundle`] puts the container.
fn directory(s: &Sandbox) -> PathBuf {
    Path::new("/sys/fs/cgroup").join(s.id("b"))
}

/// The limit falls after the plan was made: guests that take what they were promised are killed, and `state`, status and
/// log say why.
fn killed_guests(s: &Sandbox) {
    for make in [|b: Bundle| b.spt("memory"), |b: Bundle| b.hvt("memory")] {
        let bundle = make(s.bundle("b")).with("/linux/resources/memory", json!({"limit": 256 << 20}));
        let c = s.container("a", &bundle);
        c.create().ok();
        let dir = directory(s);
        std::fs::write(dir.join("memory.max"), (128 << 20).to_string()).unwrap();
        c.start().ok();
        until_patiently("the guest is killed", || c.status() == "stopped");
        let state = c.state();
        let said = |name: &str| state["annotations"][format!("com.urunc.state.exit.{name}")].clone();
        assert_eq!((said("cause"), said("status")), (json!("oom"), json!("137")), "{state}");
        assert_eq!(value(&dir, "memory.events", "oom_kill"), 1);
        c.delete().ok();
        let log = s.log().join("");
        assert!(log.contains("ended: oom, status 137"), "{log}");
        assert_eq!(c.exit_code(), 137);
        std::fs::remove_dir_all(&c.bundle).unwrap();
    }
}

fn number(dir: &Path, file: &str) -> u64 {
    text(&dir.join(file)).trim().parse().unwrap_or_else(|_| panic!("{file}: {:?}", text(&dir.join(file))))
}

/// The number behind `key` in a flat keyed file.
fn value(dir: &Path, file: &str, key: &str) -> u64 {
    let text = text(&dir.join(file));
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{file}: no {key} in {text:?}"))
}

/// clone3 with `CLONE_INTO_CGROUP`; nobody is ever moved.
fn born_inside(s: &Sandbox) {
    let c: Container<'_> = s.container("a", &s.bundle("b"));
    let bundle = c.bundle.display().to_string();
    let (runtime, output) = s.command(["create", "--bundle", &bundle, &c.id]);
    let trace = s.dir.join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-y", "-e", "trace=clone3,write", "-o"]).arg(&trace);
    assert_eq!(command::run(&mut command::under(strace, &runtime), &output).code, 0);
    let trace = text(&trace);
    let clones: Vec<&str> = trace.lines().filter(|line| line.contains("clone3(")).collect();
    assert!(clones.len() == 1 && clones[0].contains("CLONE_INTO_CGROUP"), "{clones:#?}");
    assert!(!trace.contains("cgroup.procs>") && !trace.contains("tasks>"), "{trace}");
}
