//! Commands that meet, and signals that come at any time.

use super::{Entry, ended, idle};
use crate::chaos::kills::one_line;
use crate::command::{self, HANG, Outcome, until};
use crate::container::Container;
use crate::sandbox::{Sandbox, text, unsealed};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

pub(super) const CASES: &[Entry] = &[
    ("f-20-delete-during-create", |s| {
        let bundle = s.bundle("b").spt("idle");
        let reached = bundle.path.join("reached");
        let script = format!(": > {}; exec sleep 2", reached.display());
        let c = s.container("a", &bundle.hook("createContainer", "/bin/sh", &script));
        let create = begin(&c, &["create", "--bundle", &c.bundle.display().to_string(), &c.id]);
        until("the hook runs", || reached.exists());
        assert_eq!(c.status(), "creating");
        c.delete_force().ok();
        let outcome = end(create);
        assert!(!outcome.fails().is_empty());
        c.verb("state").fails();
        ended(&c);
    }),
    ("f-21-two-deletes", |s| {
        for options in [&[][..], &["--force"]] {
            for _ in 0..10 {
                let c = idle_again(s);
                c.launch();
                c.kill("KILL").ok();
                c.until_stopped();
                let words = [&["delete"][..], options, &[&c.id]].concat();
                let outcomes = [begin(&c, &words), begin(&c, &words)].map(end);
                outcomes.iter().for_each(one_line);
                assert!(outcomes.iter().any(|outcome| outcome.code == 0));
                s.reap();
            }
        }
        ended(&idle_again(s));
    }),
    ("f-22-kill-during-delete", |s| {
        for _ in 0..20 {
            let c = idle_again(s);
            c.launch();
            let delete = begin(&c, &["delete", "--force", &c.id]);
            let kill = begin(&c, &["kill", &c.id, "TERM"]);
            assert_eq!(end(delete).code, 0);
            one_line(&end(kill));
            s.reap();
            c.verb("state").fails();
        }
        ended(&idle_again(s));
    }),
    ("f-23-64-commands-on-one-container", |s| {
        const VERBS: [&str; 8] = ["create", "start", "state", "kill", "delete", "ps", "force", "start"];
        let c = idle_again(s);
        let bundle = c.bundle.display().to_string();
        let commands: Vec<_> = (0..64)
            .map(|number| match VERBS[number % VERBS.len()] {
                "create" => begin(&c, &["create", "--bundle", &bundle, &c.id]),
                "kill" => begin(&c, &["kill", &c.id, "KILL"]),
                "force" => begin(&c, &["delete", "--force", &c.id]),
                verb => begin(&c, &[verb, &c.id]),
            })
            .collect();
        commands.into_iter().map(end).for_each(|outcome| one_line(&outcome));
        s.reap();
        ended(&c);
    }),
    ("f-23-two-creates-on-the-same-group", |s| {
        let made: Vec<_> = ["a", "b"]
            .map(|name| {
                let bundle = s.bundle(name).spt("idle");
                s.container(name, &bundle.with("/linux/cgroupsPath", format!("/{}", s.id("shared")).into()))
            })
            .into();
        for _ in 0..20 {
            let create =
                |c: &Container<'_>| begin(c, &["create", "--bundle", &c.bundle.display().to_string(), &c.id]);
            let outcomes: Vec<_> = made.iter().map(create).collect::<Vec<_>>().into_iter().map(end).collect();
            outcomes.iter().for_each(one_line);
            let winners: Vec<_> =
                made.iter().zip(&outcomes).filter(|(_, outcome)| outcome.code == 0).collect();
            assert_eq!(winners.len(), 1, "{outcomes:?}");
            for c in &made {
                let won = winners[0].0.id == c.id;
                if !won {
                    c.delete_force().ok();
                }
            }
            winners[0].0.start().ok();
            assert_eq!(winners[0].0.status(), "running");
            winners[0].0.delete_force().ok();
            s.reap();
        }
        ended(&made[0]);
    }),
    ("f-03-a-start-that-died-after-its-frame-is-a-running-container", |s| {
        let c = idle(s, "a");
        c.launch();
        let file = s.root().join(&c.id).join("status.json");
        let status = unsealed(&text(&file)).replace("\"running\"", "\"created\"");
        std::fs::write(file, status).unwrap();
        assert_eq!(c.status(), "running");
        assert!(c.start().fails().contains("already running"));
        c.delete().fails();
        ended(&c);
    }),
    ("f-24-a-delegate-gets-our-signals", |s| {
        let script = s.dir.join("delegate");
        let text = "#!/bin/sh\ntrap 'kill -9 $!; exit 7' TERM\nsleep 1000 &\n: > reached\nwait\n";
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(&s.settings, format!("[runtime]\ndelegate = \"{}\"\n", script.display())).unwrap();
        let c = s.container("a", &s.bundle("a"));
        let create = begin(&c, &["create", "--bundle", &c.bundle.display().to_string(), &c.id]);
        until("the delegate runs", || s.dir.join("reached").exists());
        kill_process(Pid::from_child(&create.0), Signal::TERM).unwrap();
        assert_eq!(end(create).code, 7);
        ended(&c);
    }),
    ("f-24-harmless-signals-at-each-phase", |s| {
        storm(s, &[Signal::CHILD, Signal::WINCH, Signal::CONT], |outcome| assert_eq!(outcome.code, 0));
    }),
    ("f-24-term-at-each-phase", |s| {
        storm(s, &[Signal::TERM], |outcome| {
            if outcome.code != 128 + 15 {
                one_line(outcome);
            }
        });
    }),
    ("f-24-stopped-and-continued-at-each-phase", |s| {
        storm(s, &[Signal::STOP, Signal::CONT], |outcome| assert_eq!(outcome.code, 0));
    }),
    ("f-38-the-lock-is-held-for-a-while", |s| {
        let c = idle(s, "a");
        c.launch();
        let dir = std::fs::File::open(s.root().join(&c.id)).unwrap();
        rustix::fs::flock(&dir, rustix::fs::FlockOperation::LockExclusive).unwrap();
        // What only looks, and what must reach a container that hangs, needs no lock.
        assert_eq!(c.status(), "running");
        c.kill("KILL").ok();
        c.until_stopped();
        let delete = begin(&c, &["delete", &c.id]);
        until("delete waits for the lock", || text(&wchan(&delete.0)).contains("lock"));
        drop(dir);
        assert_eq!(end(delete).code, 0);
        ended(&c);
    }),
    ("f-38-the-lock-s-holder-died", |s| {
        let bundle = s.bundle("b").spt("idle");
        let reached = bundle.path.join("reached");
        let script = format!(": > {}; exec sleep 1", reached.display());
        let c = s.container("a", &bundle.hook("poststart", "/bin/sh", &script));
        c.create().ok();
        let (mut child, output, line) = begin(&c, &["start", &c.id]);
        until("the hook runs", || reached.exists());
        child.kill().unwrap();
        assert_eq!(end((child, output, line)).code, 128 + 9);
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
        ended(&c);
    }),
];

/// A command under way: its process, where its output is, its words.
type Running = (Child, PathBuf, String);

fn begin(c: &Container<'_>, words: &[&str]) -> Running {
    let (mut command, output) = c.sandbox.command(words);
    (command::spawn(&mut command, &output), output, words.join(" "))
}

fn end((mut child, output, line): Running) -> Outcome {
    let code = command::wait(&mut child, HANG, &line);
    let read = |kind: &str| text(&output.with_extension(kind));
    Outcome { line, code, stdout: read("out"), stderr: read("err"), took: Duration::ZERO }
}

fn wchan(child: &Child) -> PathBuf {
    format!("/proc/{}/wchan", child.id()).into()
}

/// The same container in each call: its bundle is made once.
fn idle_again(s: &Sandbox) -> Container<'_> {
    match s.dir.join("bundles/a") {
        made if made.exists() => s.container_at("a", &made),
        _ => idle(s, "a"),
    }
}

/// Lives whose commands get these signals all the time.
fn storm(s: &Sandbox, signals: &[Signal], judge: impl Fn(&Outcome)) {
    let c = idle_again(s);
    let bundle = c.bundle.display().to_string();
    for _ in 0..5 {
        for words in [
            &["create", "--bundle", &bundle, &c.id][..],
            &["start", &c.id],
            &["kill", &c.id, "KILL"],
            &["delete", "--force", &c.id],
        ] {
            let mut running = begin(&c, words);
            let pid = Pid::from_child(&running.0);
            // Our own child is not reaped yet, so its number stays its own.
            while running.0.try_wait().unwrap().is_none() {
                for signal in signals {
                    kill_process(pid, *signal).unwrap();
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
            judge(&end(running));
        }
        c.delete_force().ok();
        s.reap();
    }
    ended(&c);
}
