//! systemd's driver: a container is a scope.

use super::Entry;
use crate::command::{self, Outcome, until};
use crate::container::Container;
use crate::sandbox::{Sandbox, text};
use serde_json::{Value, json};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const CASES: &[Entry] = &[
    ("the-scope-has-the-process-and-goes-with-delete", |s| {
        let c = container(s, "suite.slice", json!({}));
        create(&c).ok();
        c.start().ok();
        assert_eq!(show(s, "ActiveState"), "active");
        assert_eq!(show(s, "Slice"), "suite.slice");
        assert_eq!(show(s, "Delegate"), "yes");
        let dir = directory(s);
        assert_eq!(text(&dir.join("cgroup.procs")).trim(), c.pid().to_string());
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
        gone(s);
    }),
    // Catalogue B-04: who may annotate a pod must not set properties of units on its node.
    ("an-annotation-is-no-property", |s| {
        let annotations =
            json!({"org.systemd.property.TasksMax": "uint64 7", "org.systemd.property.OOMPolicy": "'kill'"});
        create(&in_slice(s, "suite.slice", s.bundle("b").with("/annotations", annotations))).ok();
        assert_ne!(show(s, "TasksMax"), "7");
        assert_ne!(show(s, "OOMPolicy"), "kill");
    }),
    ("a-slice-is-below-its-parents", |s| {
        let c = container(s, "suite-a-b.slice", json!({}));
        create(&c).ok();
        let line = format!("0::/suite.slice/suite-a.slice/suite-a-b.slice/{}\n", unit(s));
        assert_eq!(c.proc("cgroup"), line);
    }),
    ("a-cgroup-namespace-begins-at-the-scope", |s| {
        let bundle = s.bundle("b").namespace("cgroup", None).script("cat /proc/self/cgroup");
        let c = in_slice(s, "suite.slice", bundle);
        create(&c).ok();
        let output = s.last_output().with_extension("out");
        c.start().ok();
        assert_eq!(c.exit_code(), 0);
        assert_eq!(text(&output), "0::/\n");
    }),
    ("limits-hold-after-a-daemon-reload", |s| {
        let resources = json!({
            "memory": {"limit": 64 << 20}, "pids": {"limit": 33}, "cpu": {"quota": 50_000, "period": 100_000, "shares": 512},
            "devices": [{"allow": false, "access": "rwm"}]
        });
        let c = container(s, "suite.slice", resources);
        create(&c).ok();
        c.start().ok();
        assert_eq!(show(s, "MemoryMax"), (64 << 20).to_string());
        assert_eq!(show(s, "TasksMax"), "33");
        assert_eq!(show(s, "CPUQuotaPerSecUSec"), "500ms");
        assert_eq!(show(s, "CPUWeight"), "20");
        let dir = directory(s);
        for reloads in 0..2 {
            let files = ["memory.max", "pids.max", "cpu.max", "cpu.weight"].map(|file| text(&dir.join(file)));
            assert_eq!(files, ["67108864\n", "33\n", "50000 100000\n", "20\n"], "after {reloads}");
            let script = format!("echo $$ >{}/cgroup.procs && : </dev/kmsg", dir.display());
            let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
            let said = String::from_utf8_lossy(&shell.stderr).into_owned();
            assert!(said.contains("Operation not permitted"), "after {reloads}: {said}");
            systemctl(&["daemon-reload"]);
        }
    }),
    ("a-scope-in-use-is-refused-and-stays", |s| {
        let taken =
            ["--quiet", "--scope", "--slice=suite.slice", &format!("--unit={}", unit(s)), "sleep", "1000"];
        // The ledger looks before the first command: the other scope comes after it.
        s.run(["list"]).ok();
        let mut other = Command::new("systemd-run").args(taken).spawn().unwrap();
        until("the other scope runs", || show(s, "ActiveState") == "active");
        let error = create(&container(s, "suite.slice", json!({}))).fails();
        assert!(error.contains("has processes of others"), "{error}");
        assert_eq!(show(s, "ActiveState"), "active");
        other.kill().unwrap();
        other.wait().unwrap();
        until("the other scope is gone", || show(s, "LoadState") == "not-found");
    }),
    ("a-scope-that-was-stopped-is-a-stopped-container", |s| {
        let c = in_slice(s, "suite.slice", s.bundle("b").stoppable(0));
        create(&c).ok();
        let output = s.last_output().with_extension("out");
        c.start().ok();
        until("it waits for signals", || text(&output).contains("ready"));
        systemctl(&["stop", &unit(s)]);
        c.until_stopped();
        c.delete().ok();
    }),
    ("a-killed-create-leaves-no-scope", |s| {
        let release = s.dir.join("release");
        let script = format!("until [ -e {} ]; do sleep 0.01; done", release.display());
        let bundle = s.bundle("b").hook("prestart", "/bin/sh", &script);
        let c = in_slice(s, "suite.slice", bundle);
        let (mut command, output) = s.command(words(&c));
        let mut child = command::spawn(&mut command, &output);
        until("the scope is there", || show(s, "ActiveState") == "active");
        child.kill().unwrap();
        child.wait().unwrap();
        std::fs::write(release, "").unwrap();
        c.delete_force().ok();
        gone(s);
    }),
    ("a-create-killed-at-each-word-to-systemd-leaves-nothing", |s| {
        let c = container(s, "suite.slice", json!({}));
        let mut killed = 0;
        // Only D-Bus is talked to by these calls.
        for call in ["connect", "sendto"] {
            for number in 1.. {
                let (runtime, output) = s.command(words(&c));
                let mut strace = Command::new("strace");
                let inject = format!("inject={call}:signal=KILL:when={number}");
                strace.args(["-o", "/dev/null", "-e", &inject]);
                let code = command::run(&mut command::under(strace, &runtime), &output).code;
                c.delete_force().ok();
                gone(s);
                let left = s.leftovers();
                assert!(left.is_empty(), "{call} {number}: {left:#?}");
                if code == 0 {
                    break;
                }
                assert_eq!(code, 137, "{call} {number}");
                killed += 1;
            }
        }
        assert!(killed >= 5, "killed {killed} times only");
    }),
    ("processes-left-in-the-scope-do-not-hold-delete", |s| {
        let c = container(s, "suite.slice", json!({}));
        create(&c).ok();
        c.start().ok();
        let dir = directory(s);
        let script =
            format!("trap '' TERM; echo $$ >{}/cgroup.procs && echo in && exec sleep 1000", dir.display());
        let mut left = Command::new("sh").args(["-c", &script]).spawn().unwrap();
        until("it is inside", || text(&dir.join("cgroup.procs")).lines().count() == 2);
        c.delete_force().ok();
        assert!(!left.wait().unwrap().success());
        gone(s);
    }),
    ("the-same-name-again-and-again", |s| {
        let c = container(s, "suite.slice", json!({}));
        for _ in 0..5 {
            create(&c).ok();
            c.start().ok();
            c.delete_force().ok();
        }
    }),
    ("an-oom-kill-leaves-no-failed-unit", |s| {
        let memory = json!({"memory": {"limit": 32 << 20}});
        let bundle = s.bundle("b").with("/linux/resources", memory).busybox(&["tail", "/dev/zero"]);
        let c = in_slice(s, "suite.slice", bundle);
        create(&c).ok();
        c.start().ok();
        assert_eq!(c.exit_code(), 137);
        c.delete().ok();
        gone(s);
    }),
    ("a-bus-that-is-absent-is-told-and-does-not-hold-delete", |s| {
        let c = container(s, "suite.slice", json!({}));
        let absent = format!("unix:path={}", s.dir.join("absent").display());
        let error = with_bus(s, &words(&c), &absent).fails();
        assert!(error.contains("linux.cgroupsPath") && error.contains("absent"), "{error}");
        create(&c).ok();
        with_bus(s, &["delete".into(), "--force".into(), c.id.clone()], &absent).ok();
        until("systemd forgets it", || show(s, "LoadState") == "not-found");
    }),
    ("a-systemd-that-numbers-processes-otherwise-is-refused", |s| {
        let c = container(s, "suite.slice", json!({}));
        let (runtime, output) = s.command(words(&c));
        let mut inside = Command::new("unshare");
        inside.args(["--pid", "--fork", "--mount-proc"]);
        let error = command::run(&mut command::under(inside, &runtime), &output).fails();
        assert!(error.contains("another pid namespace"), "{error}");
    }),
    ("a-bus-that-is-silent-is-told", |s| {
        let c = container(s, "suite.slice", json!({}));
        let path = s.dir.join("silent");
        let (mut command, output) = s.command(words(&c));
        let listener = UnixListener::bind(&path).unwrap();
        command.env(BUS, format!("unix:path={}", path.display()));
        let mut child = command::spawn(&mut command, &output);
        assert_eq!(command::wait(&mut child, 3 * command::HANG, "create"), 1);
        let error = text(&output.with_extension("err"));
        assert!(error.contains("linux.cgroupsPath") && error.contains("no answer in time"), "{error}");
        drop(listener);
        std::fs::remove_file(path).unwrap();
    }),
];

/// Names another system bus.
const BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

fn unit(s: &Sandbox) -> String {
    format!("suite-{}.scope", s.id("u"))
}

fn directory(s: &Sandbox) -> PathBuf {
    Path::new("/sys/fs/cgroup/suite.slice").join(unit(s))
}

/// A container in a scope of this slice.
fn container<'a>(s: &'a Sandbox, slice: &str, resources: Value) -> Container<'a> {
    in_slice(s, slice, s.bundle("b").with("/linux/resources", resources))
}

fn in_slice<'a>(s: &'a Sandbox, slice: &str, bundle: crate::bundle::Bundle) -> Container<'a> {
    s.container("a", &bundle.with("/linux/cgroupsPath", json!(format!("{slice}:suite:{}", s.id("u")))))
}

fn words(c: &Container<'_>) -> Vec<String> {
    let (bundle, pid_file) = (c.bundle.display().to_string(), c.pid_file().display().to_string());
    ["--systemd-cgroup", "create", "--bundle", &bundle, "--pid-file", &pid_file, &c.id]
        .map(str::to_owned)
        .to_vec()
}

fn create(c: &Container<'_>) -> Outcome {
    c.sandbox.run(words(c))
}

/// The runtime with another system bus.
fn with_bus(s: &Sandbox, words: &[String], address: &str) -> Outcome {
    let (mut command, output) = s.command(words);
    command.env(BUS, address);
    command::run(&mut command, &output)
}

fn systemctl(words: &[&str]) {
    assert!(Command::new("systemctl").args(words).status().unwrap().success(), "systemctl {words:?}");
}

fn show(s: &Sandbox, property: &str) -> String {
    let output = Command::new("systemctl").args(["show", "-P", property, &unit(s)]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// `delete` has waited for it.
fn gone(s: &Sandbox) {
    assert_eq!(show(s, "LoadState"), "not-found");
    assert!(!directory(s).exists());
}
