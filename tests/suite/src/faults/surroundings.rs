//! Logs, consoles, clocks, process numbers, load and mounts of the host.

use super::{Entry, ended, idle};
use crate::chaos::kills::one_line;
use crate::command::{self, until};
use crate::container::Container;
use crate::lifecycle::console;
use crate::sandbox::{Sandbox, text, unsealed};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(super) const CASES: &[Entry] = &[
    ("f-60-the-log-s-directory-is-removed", |s| {
        let c = idle(s, "a");
        c.launch();
        with_log(&c, "removed/log", |outcome| {
            assert!(outcome.stderr.contains("--log"), "{}", outcome.stderr);
        });
        assert_eq!(c.status(), "running");
        ended(&c);
    }),
    ("f-60-the-log-is-full", |s| {
        let c = idle(s, "a");
        with_log(&c, "/dev/full", |outcome| assert_eq!(outcome.code, 0, "{}", outcome.stderr));
        ended(&c);
    }),
    ("f-60-the-log-is-a-pipe-without-reader", |s| {
        assert!(Command::new("mkfifo").arg(s.dir.join("pipe")).status().unwrap().success());
        let c = idle(s, "a");
        with_log(&c, "pipe", |outcome| assert_eq!(outcome.code, 0, "{}", outcome.stderr));
        ended(&c);
    }),
    ("f-60-the-log-is-a-directory", |s| {
        let c = idle(s, "a");
        with_log(&c, "bundles", |outcome| assert!(outcome.stderr.contains("--log"), "{}", outcome.stderr));
        ended(&c);
    }),
    ("f-61-the-console-s-reader-is-gone", |s| {
        let c = s.container("a", &talking(s));
        drop(console::create(&c));
        one_line(&c.start());
        one_line(&c.kill("KILL"));
        c.until_stopped();
        ended(&c);
    }),
    ("f-61-the-console-s-reader-sleeps", |s| {
        let c = s.container("a", &talking(s));
        let master = console::create(&c);
        c.start().ok();
        // It sleeps only when it cannot write.
        until("the terminal is full", || c.status_field("State").starts_with('S'));
        assert_eq!(c.status(), "running");
        c.kill("KILL").ok();
        c.until_stopped();
        drop(master);
        ended(&c);
    }),
    ("f-62-standard-input-is-closed", |s| closed(s, "<&-")),
    ("f-62-standard-output-is-closed", |s| closed(s, ">&-")),
    ("f-62-all-standard-files-are-closed", |s| closed(s, "<&- >&- 2>&-")),
    ("f-63-the-clock-was-set-back-a-year", |s| {
        let c = idle(s, "a");
        c.launch();
        let file = s.root().join(&c.id).join("record.json");
        let mut record: serde_json::Value = serde_json::from_str(&unsealed(&text(&file))).unwrap();
        record["created"] = json!("2999-01-01T00:00:00Z");
        fs::write(file, record.to_string()).unwrap();
        assert_eq!(c.state()["created"], "2999-01-01T00:00:00Z");
        assert_eq!(c.status(), "running");
        s.run(["list"]).ok();
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
        ended(&c);
    }),
    ("f-64-the-process-number-is-somebody-else-s-by-now", |s| {
        // In a pid namespace of its own, where the next number can be chosen (pid_namespaces(7)).
        in_namespaces(
            s,
            &["-p", "-f", "--mount-proc"],
            r#"
            $U create --bundle $B --pid-file pid $C && $U start $C || exit 10
            pid=$(cat pid)
            kill -9 $pid
            while kill -0 $pid 2>/dev/null; do sleep 0.01; done
            sleep 0.1
            echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid; sleep 1000 &
            [ $! = $pid ] || exit 11
            $U state $C | grep -q '"stopped"' || exit 12
            $U kill $C KILL 2>/dev/null && exit 13
            $U delete --force $C || exit 14
            kill -0 $pid || exit 15
            kill -9 $pid"#,
        );
    }),
    ("f-68-50-burners", |s| {
        s.run(["list", "-q"]).ok();
        let mut burners: Vec<Child> = (0..50)
            .map(|_| Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap())
            .collect();
        let c = idle(s, "a");
        c.launch();
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
        for burner in &mut burners {
            burner.kill().unwrap();
            burner.wait().unwrap();
        }
        ended(&c);
    }),
    ("f-69-mountinfo-of-65000-lines", |s| {
        // Each round doubles what is there; the kernel's limit is 100 000 in a mount namespace (fs.mount-max).
        in_namespaces(
            s,
            &["-m"],
            r#"
            mkdir m && mount -t tmpfs many m && mkdir m/0 && mount -t tmpfs many m/0 || exit 10
            last=0
            for round in $(seq 14); do
                mkdir m/$round && mount -t tmpfs many m/$round && mkdir m/$round/a m/$round/b || exit 11
                mount --rbind m/$last m/$round/a && mount --rbind m/$last m/$round/b || exit 12
                last=$round
            done
            [ $(wc -l < /proc/self/mountinfo) -gt 60000 ] || exit 13
            $U create --bundle $B $C && $U start $C || exit 14
            $U state $C | grep -q '"running"' || exit 15
            $U kill $C KILL || exit 16
            $U delete --force $C"#,
        );
    }),
];

/// A guest that writes to its terminal without end.
fn talking(s: &Sandbox) -> crate::bundle::Bundle {
    s.bundle("b").busybox(&["yes"]).with("/process/terminal", json!(true))
}

/// A life with this log file, a path below the case's directory: each command is judged, and none hangs.
fn with_log(c: &Container<'_>, log: &str, judge: impl Fn(&command::Outcome)) {
    let s = c.sandbox;
    let log = s.dir.join(log).display().to_string();
    let bundle = c.bundle.display().to_string();
    let global = ["--log", &log];
    for words in [
        &["create", "--bundle", &bundle, &c.id][..],
        &["start", &c.id],
        &["state", &c.id],
        &["kill", &c.id, "KILL"],
        &["delete", "--force", &c.id],
    ] {
        let outcome = s.run([&global, words].concat());
        one_line(&outcome);
        judge(&outcome);
    }
}

/// A life whose commands have no standard files: what they open must not take those places.
fn closed(s: &Sandbox, redirections: &str) {
    let c = idle(s, "a");
    let bundle = c.bundle.display().to_string();
    for _ in 0..2 {
        for words in [
            &["create", "--bundle", &bundle, &c.id][..],
            &["start", &c.id],
            &["state", &c.id],
            &["kill", &c.id, "KILL"],
            &["delete", "--force", &c.id],
        ] {
            let (runtime, _) = s.command(words);
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("exec \"$@\" {redirections}"), "sh"]).arg(runtime.get_program());
            shell.args(runtime.get_args()).env("URUNC_CONFIG_FILE", &s.settings);
            let mut child =
                shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let code = command::wait(&mut child, command::HANG, words[0]);
            // `state` cannot say what it should.
            let silent = words[0] == "state" && redirections.contains('>');
            assert!(code == 0 || silent, "{}: exit {code}: {:?}", words[0], s.log());
        }
        s.reap();
    }
    ended(&c);
}

/// A script in namespaces of its own, with `$U` (the runtime and its options), `$B` (the bundle) and `$C` (the id).
fn in_namespaces(s: &Sandbox, namespaces: &[&str], script: &str) {
    let c = idle(s, "a");
    s.run(["list", "-q"]).ok();
    let runtime = format!("{} --root {}", s.runtime.program.display(), s.root().display());
    let mut command = Command::new("unshare");
    command.args(namespaces).args(["sh", "-c", script]).current_dir(&s.dir);
    command.envs([("U", runtime), ("B", c.bundle.display().to_string()), ("C", c.id.clone())]);
    command.env("URUNC_CONFIG_FILE", &s.settings);
    let outcome = command::run(&mut command, Path::new(&s.dir.join("script")));
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    ended(&c);
}
