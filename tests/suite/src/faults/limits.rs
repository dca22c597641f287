//! Hosts that refuse: each command succeeds or fails with one line, and one `delete --force` ends it.

use super::{Entry, ended};
use crate::chaos::kills::one_line;
use crate::chaos::number;
use crate::command::{self, Outcome, until};
use crate::container::Container;
use crate::probe::linux_on_probe;
use crate::sandbox::Sandbox;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

pub(super) const CASES: &[Entry] = &[
    ("f-31-a-state-root-of-few-pages", few_pages),
    ("f-41-few-descriptors", |s| {
        let step = if number("EVERY").is_some() { 1 } else { 6 };
        limited(s, (3..=40).step_by(step).map(|n| format!("ulimit -n {n}")));
    }),
    ("f-32-no-file-may-grow", |s| limited(s, [0, 1, 2, 4, 8].into_iter().map(|n| format!("ulimit -f {n}")))),
    ("f-44-few-processes-in-the-parent-group", few_processes),
    ("f-07-init-is-stopped-at-start", frozen_init),
    ("f-15-a-hook-is-killed", killed_hooks),
    ("f-47-the-groups-are-removed-under-us", groups_removed),
    ("f-48-a-group-below-ours-at-delete", group_below),
    ("f-48-a-foreign-process-in-our-group-at-delete", foreign_process),
    ("f-33-run-is-read-only", read_only_run),
];

/// Runs `words` of the runtime behind `sh -c 'SETUP; exec …'`. Standard error is a pipe: a file may not grow.
fn behind(s: &Sandbox, setup: &str, words: &[&str]) -> Outcome {
    let (runtime, _) = s.command(words);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{setup}; exec \"$@\""), "sh"]).arg(runtime.get_program());
    // Without --log: that file could not grow either.
    shell.arg("--root").arg(s.root()).args(words).env("URUNC_CONFIG_FILE", &s.settings);
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let begin = Instant::now();
    let mut child = shell.spawn().expect("sh");
    let line = format!("{setup}; {}", words.join(" "));
    let code = command::wait(&mut child, command::HANG, &line);
    let mut said = vec![0; 1 << 16];
    // One read: a container holds the pipe open as long as it lives.
    let pipe = child.stderr.as_mut().expect("a pipe");
    rustix::io::ioctl_fionbio(&mut *pipe, true).expect("a pipe");
    let count = pipe.read(&mut said).unwrap_or_default();
    let said = String::from_utf8_lossy(&said[..count]).into_owned();
    let errors = said.lines().filter(|line| line.contains("level=error")).collect::<Vec<_>>().join("\n");
    assert!(code == 0 || !errors.is_empty(), "{line}: exit {code}: {said}");
    Outcome { line, code, stdout: String::new(), stderr: errors, took: begin.elapsed() }
}

/// The whole life, each command behind `setup`; then the end. Returns how many commands succeeded.
fn life(c: &Container<'_>, setup: &str) -> usize {
    let bundle = c.bundle.display().to_string();
    let commands: [&[&str]; 6] = [
        &["create", "--bundle", &bundle, &c.id],
        &["state", &c.id],
        &["start", &c.id],
        &["list"],
        &["kill", &c.id, "KILL"],
        &["delete", &c.id],
    ];
    let outcomes = commands.map(|words| behind(c.sandbox, setup, words));
    outcomes.iter().for_each(one_line);
    ended(c);
    outcomes.iter().filter(|outcome| outcome.code == 0).count()
}

/// Lives behind each of `setups`, of a guest on either kind of monitor, and each step by itself.
fn limited(s: &Sandbox, setups: impl Iterator<Item = String>) {
    let bundle = linux_on_probe(s, &["probe=quiet", "probe=qmp"]);
    let qemu = s.container("qemu", &bundle);
    let spt = s.container("spt", &s.bundle("spt").spt("idle"));
    let mut succeeded = 0;
    for setup in setups {
        for c in [&qemu, &spt] {
            succeeded = life(c, &setup);
            // What `start` and the rest meet when `create` had all it needs.
            for verb in ["start", "kill", "delete"] {
                c.create().ok();
                let words = if verb == "kill" { vec![verb, &c.id, "KILL"] } else { vec![verb, &c.id] };
                one_line(&behind(s, &setup, &words));
                ended(c);
            }
        }
    }
    assert!(succeeded > 0, "not even the mildest limit lets a command through");
}

fn few_pages(s: &Sandbox) {
    const KIB: usize = 64;
    s.bound_root(&format!("size={KIB}k,mode=700"));
    let c = s.container("a", &s.bundle("b").spt("idle"));
    let mut succeeded = 0;
    for free in (0..=KIB).step_by(4) {
        // Always there: what is compared are names.
        fs::write(s.root().join("full"), vec![0; (KIB - free) << 10]).unwrap();
        succeeded = life(&c, ":");
    }
    assert_eq!(succeeded, 6, "64 KiB hold a container");
}

/// The groups of a v1 or v2 controller below a group of the case.
fn group(s: &Sandbox, controller: &str) -> PathBuf {
    let v1 = PathBuf::from("/sys/fs/cgroup").join(controller);
    let top = if v1.exists() { v1 } else { "/sys/fs/cgroup".into() };
    top.join(s.id("parent"))
}

fn few_processes(s: &Sandbox) {
    s.run(["list", "-q"]).ok();
    let parent = group(s, "pids");
    fs::create_dir(&parent).expect("group");
    let path = format!("/{}/a", s.id("parent"));
    let bundle = s.bundle("b").spt("idle").with("/linux/cgroupsPath", path.into());
    let bundle = bundle.hook("createContainer", "/bin/sh", "true").hook("prestart", "/bin/sh", "true");
    let c = s.container("a", &bundle);
    for most in 1..=4 {
        fs::write(parent.join("pids.max"), most.to_string()).expect("pids.max");
        let setup = format!("echo $$ > {}/cgroup.procs", parent.display());
        for setup in [":", &setup] {
            let bundle = c.bundle.display().to_string();
            for words in
                [&["create", "--bundle", &bundle, &c.id][..], &["start", &c.id], &["kill", &c.id, "KILL"]]
            {
                one_line(&behind(s, setup, words));
            }
            c.delete_force().ok();
            s.reap();
        }
    }
    for hierarchy in fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten() {
        // The parent of the container's groups is nobody's but the case's.
        let _ = fs::remove_dir(hierarchy.path().join(s.id("parent")));
    }
    let _ = fs::remove_dir(&parent);
    ended(&c);
}

fn frozen_init(s: &Sandbox) {
    fs::write(&s.settings, "[runtime]\nstart_timeout = 1\n").unwrap();
    let c = s.container("a", &s.bundle("b").spt("idle"));
    c.create().ok();
    kill_process(Pid::from_raw(c.pid()).unwrap(), Signal::STOP).unwrap();
    let error = c.start().fails();
    assert!(error.contains("does not answer within 1 s"), "{error}");
    assert_eq!(c.status(), "stopped");
    ended(&c);
}

fn killed_hooks(s: &Sandbox) {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] {
        let c = s.container(kind, &s.bundle(kind).hook(kind, "/bin/sh", "kill -9 $$"));
        let created = c.create();
        let failed = if created.code == 0 { c.start() } else { created };
        one_line(&failed);
        let error = failed.fails();
        assert!(error.contains(&format!("{kind} hook /bin/sh: signal: 9")), "{error}");
        ended(&c);
    }
    let c = s.container("a", &s.bundle("b").hook("poststop", "/bin/sh", "kill -9 $$"));
    c.launch();
    ended(&c);
}

/// Directories of the container's groups in all hierarchies.
fn groups(c: &Container<'_>) -> Vec<PathBuf> {
    let tops = fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten().map(|entry| entry.path());
    let tops = tops.chain(["/sys/fs/cgroup".into()]).filter(|top| !top.is_symlink());
    let groups: Vec<_> = tops.map(|top| top.join(&c.id)).filter(|group| group.is_dir()).collect();
    assert!(!groups.is_empty(), "the container has groups");
    groups
}

fn groups_removed(s: &Sandbox) {
    for started in [false, true] {
        let c = s.container("b", &s.bundle("b").spt("idle"));
        c.create().ok();
        if started {
            c.start().ok();
        }
        for group in groups(&c) {
            fs::write(group.with_file_name("cgroup.procs"), c.pid().to_string()).expect("the group above");
            // A process that is being moved leaves a moment later.
            until("the group is empty", || fs::remove_dir(&group).is_ok());
        }
        for verb in ["state", "start", "ps"] {
            one_line(&c.verb(verb));
        }
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
        ended(&c);
    }
}

fn group_below(s: &Sandbox) {
    let c = s.container("b", &s.bundle("b").spt("idle"));
    c.launch();
    let mut sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
    for group in groups(&c) {
        fs::create_dir_all(group.join("below/deeper")).unwrap();
        let inside = fs::write(group.join("below/deeper/cgroup.procs"), sleeper.id().to_string());
        // A new cpuset has no processors.
        assert!(
            inside.is_ok() || group.starts_with("/sys/fs/cgroup/cpuset"),
            "{}: {inside:?}",
            group.display()
        );
    }
    c.kill("KILL").ok();
    c.until_stopped();
    c.delete().ok();
    assert!(!sleeper.wait().unwrap().success(), "what was in our group is killed with it");
    ended(&c);
}

fn foreign_process(s: &Sandbox) {
    let c = s.container("b", &s.bundle("b").spt("idle"));
    c.launch();
    let mut sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
    for group in groups(&c) {
        fs::write(group.join("cgroup.procs"), sleeper.id().to_string()).unwrap();
    }
    // As `create` says: what is in the groups is the container's.
    ended_with(&c, &mut sleeper);
}

fn ended_with(c: &Container<'_>, sleeper: &mut std::process::Child) {
    c.delete_force().ok();
    assert!(!sleeper.wait().unwrap().success(), "what was in our group is killed with it");
    ended(c);
}

fn read_only_run(s: &Sandbox) {
    s.run(["list", "-q"]).ok();
    let c = s.container("a", &s.bundle("b").spt("idle"));
    let script = "mount --bind /run /run && mount -o remount,ro,bind /run && exec \"$@\"";
    let bundle = c.bundle.display().to_string();
    let mut said = Vec::new();
    for words in [
        &["create", "--bundle", &bundle, &c.id][..],
        &["state", &c.id],
        &["start", &c.id],
        &["delete", &c.id],
    ] {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(&s.runtime.program).args(words);
        let output = s.dir.join(format!("read-only-{}", said.len()));
        let outcome = command::run(command.env("URUNC_CONFIG_FILE", &s.settings), &output);
        let errors = outcome.stderr.lines().filter(|line| line.contains("level=error")).count();
        assert!(
            outcome.code == 1 && errors == 1,
            "{}: exit {}: {}",
            outcome.line,
            outcome.code,
            outcome.stderr
        );
        said.push(outcome.stderr);
    }
    assert!(said[0].contains("/run/urunc"), "{}", said[0]);
    ended(&c);
}
