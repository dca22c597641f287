//! Ids, options, signals and commands that do not fit the container; ours.

use super::{Entry, refused, stays};
use crate::bundle::Bundle;
use crate::command::{self, HANG, Outcome};
use crate::container::Container;
use crate::image::SPT;
use crate::sandbox::Sandbox;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

pub(super) const CASES: &[Entry] = &[
    ("i-10-no-process-can-be-created-and-not-started", |s| {
        let cmdline = [&SPT[..], &[("cmdline", "hello")]].concat();
        let mut bundle = s.bundle("b").spt("hello").keys(&cmdline);
        bundle.config.as_object_mut().unwrap().remove("process");
        bundle.write();
        let c = s.container("a", &bundle);
        c.create().ok();
        stays(&c, &c.start(), "created", "process");
        ended(&c);
    }),
    ("i-19-a-console-socket-of-200-bytes", |s| console(s, &"x".repeat(200))),
    ("i-19-a-console-socket-that-is-a-file", |s| {
        fs::write(s.dir.join("tty"), "").unwrap();
        console(s, "tty");
    }),
    ("i-19-a-console-socket-that-is-a-directory", |s| {
        fs::create_dir(s.dir.join("tty")).unwrap();
        console(s, "tty");
    }),
    ("i-19-a-console-socket-that-nobody-listens-on", |s| {
        drop(UnixListener::bind(s.dir.join("tty")).unwrap());
        console(s, "tty");
    }),
    ("i-31-an-id-of-1025-bytes", |s| odd_id(s, &"x".repeat(1025))),
    ("i-31-an-id-of-256-bytes", |s| odd_id(s, &"x".repeat(256))),
    ("i-31-an-id-with-a-control-character", |s| odd_id(s, "a\u{1b}[31m")),
    ("i-31-an-id-that-is-no-ascii", |s| odd_id(s, "bücher")),
    ("i-31-an-id-that-is-an-absolute-path", |s| odd_id(s, "/etc")),
    ("i-31-an-id-that-is-a-link-in-the-root", |s| {
        let elsewhere = s.dir.join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        private_root(s);
        symlink(&elsewhere, s.root().join(s.id("a"))).unwrap();
        let outcome = s.container("a", &s.bundle("b").spt("hello")).create();
        refused(s, &outcome, &s.id("a"));
        assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 0);
        for verb in ["state", "start", "delete"] {
            s.run([verb, &s.id("a")]).fails();
        }
    }),
    ("i-31-an-id-that-is-a-file-in-the-root", |s| {
        private_root(s);
        fs::write(s.root().join(s.id("a")), "").unwrap();
        let outcome = s.container("a", &s.bundle("b").spt("hello")).create();
        refused(s, &outcome, &s.id("a"));
        for verb in ["state", "start", "delete"] {
            s.run([verb, &s.id("a")]).fails();
        }
    }),
    ("i-32-an-id-in-use-by-a-running-container", |s| {
        let c = idle(s);
        c.launch();
        stays(&c, &c.create(), "running", "exist");
        ended(&c);
    }),
    ("i-33-an-id-that-is-being-deleted", being_deleted),
    ("i-34-a-bundle-by-relative-path-is-taken", |s| {
        let bundle = s.bundle("b").spt("hello");
        let c = s.container("a", &bundle);
        s.run(["create", "--bundle", "bundles/b", &c.id]).ok();
        assert_eq!(c.state()["bundle"], bundle.path.display().to_string());
        ended(&c);
    }),
    ("i-34-a-bundle-of-4096-bytes", |s| {
        let outcome = s.run(["create", "--bundle", &"x/".repeat(2048), &s.id("a")]);
        refused(s, &outcome, "bundle");
    }),
    ("i-34-a-bundle-without-a-name", |s| {
        let outcome = s.run(["create", "--bundle", "", &s.id("a")]);
        refused(s, &outcome, "");
    }),
    ("i-35-a-root-of-4096-bytes", |s| {
        with_root(s, &s.dir.join("x/".repeat(2048)).display().to_string(), "--root");
    }),
    ("i-35-a-root-that-others-may-write-to", |s| {
        let root = s.dir.join("open");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        with_root(s, &root.display().to_string(), "--root");
    }),
    ("i-35-a-root-below-a-file", |s| {
        let root = s.dir.join("file");
        fs::write(&root, "").unwrap();
        with_root(s, &format!("{}/root", root.display()), "--root");
    }),
    ("i-35-a-root-that-is-read-only", |s| {
        s.bound_root("ro");
        let outcome = s.container("a", &s.bundle("b").spt("hello")).create();
        refused(s, &outcome, "--root");
    }),
    ("i-35-commands-on-a-root-that-is-a-file", |s| {
        fs::write(s.root(), "").unwrap();
        let id = s.id("a");
        for words in [&["list"][..], &["state", &id], &["start", &id], &["kill", &id], &["delete", &id]] {
            let outcome = s.run(words);
            refused(s, &outcome, "");
        }
    }),
    ("i-35-list-of-a-root-that-is-missing-is-empty", |s| {
        s.run(["list"]).ok();
        assert_eq!(s.run(["list", "-q"]).ok().stdout.trim(), "");
    }),
    ("i-36-a-pid-file-in-a-read-only-directory", |s| {
        s.bound_root("ro");
        let file = s.root().join("pid").display().to_string();
        let bundle = s.bundle("b").spt("hello").path.display().to_string();
        let root = s.dir.join("second").display().to_string();
        let outcome =
            s.run(["--root", &root, "create", "--bundle", &bundle, "--pid-file", &file, &s.id("a")]);
        refused(s, &outcome, "--pid-file");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    }),
    ("i-36-a-pid-file-that-is-a-directory", |s| {
        let bundle = s.bundle("b").spt("hello").path.display().to_string();
        let file = s.dir.display().to_string();
        let outcome = s.run(["create", "--bundle", &bundle, "--pid-file", &file, &s.id("a")]);
        refused(s, &outcome, "--pid-file");
    }),
    ("i-37-start-of-a-running-container", |s| {
        let c = idle(s);
        c.launch();
        stays(&c, &c.start(), "running", "running");
        ended(&c);
    }),
    ("i-37-start-of-a-stopped-container", |s| {
        let c = idle(s);
        c.launch();
        c.kill("KILL").ok();
        c.until_stopped();
        stays(&c, &c.start(), "stopped", "stopped");
        ended(&c);
    }),
    ("i-37-start-of-an-unknown-container", |s| unknown(s, &["start"])),
    ("i-37-delete-of-a-running-container", |s| {
        let c = idle(s);
        c.launch();
        stays(&c, &c.delete(), "running", "not stopped");
        ended(&c);
    }),
    ("i-37-delete-of-an-unknown-container", |s| unknown(s, &["delete"])),
    ("i-37-state-of-an-unknown-container", |s| unknown(s, &["state"])),
    ("i-38-kill-of-an-unknown-container", |s| unknown(s, &["kill"])),
    ("i-38-signal-65", |s| bad_signal(s, "65")),
    ("i-38-signal-of-a-hundred-digits", |s| bad_signal(s, &"9".repeat(100))),
    ("i-38-signal-by-an-unknown-name", |s| bad_signal(s, "SIGFOO")),
    ("i-38-signal-without-a-name", |s| bad_signal(s, "")),
    ("i-38-signal-nought-only-asks", |s| {
        let c = idle(s);
        c.launch();
        let outcome = c.kill("0");
        assert!(outcome.code == 0 || outcome.code == 1, "{}", outcome.stderr);
        assert_eq!(c.status(), "running");
        ended(&c);
    }),
    ("i-38-kill-of-a-created-container", |s| {
        let c = idle(s);
        c.create().ok();
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
        ended(&c);
    }),
    ("i-38-kill-of-a-stopped-container", |s| {
        let c = idle(s);
        c.launch();
        c.kill("KILL").ok();
        c.until_stopped();
        stays(&c, &c.kill("TERM"), "stopped", "not running");
        ended(&c);
    }),
    ("i-39-one-of-two-starts-wins", |s| {
        for round in 0..5 {
            let c = s.container(&format!("r{round}"), &s.bundle(&format!("b{round}")).spt("idle"));
            c.create().ok();
            let mut codes = [(); 2].map(|()| {
                let (mut command, output) = s.command(["start", &c.id]);
                (command::spawn(&mut command, &output), output)
            });
            let codes = codes.each_mut().map(|(child, _)| command::wait(child, HANG, "start"));
            assert!(codes == [0, 1] || codes == [1, 0], "{codes:?}");
            assert_eq!(c.status(), "running");
            ended(&c);
        }
    }),
    ("i-40-an-unknown-global-option", |s| {
        let outcome = s.run(["--frobnicate", "list"]);
        assert_ne!(outcome.code, 0);
        assert_eq!(outcome.stderr.matches("level=error").count(), 1, "{}", outcome.stderr);
    }),
    ("i-40-an-unknown-command-is-never-forwarded", |s| {
        fs::write(&s.settings, "[runtime]\ndelegate = \"/bin/echo\"\n").unwrap();
        let outcome = s.run(["frobnicate", &s.id("a")]);
        assert_eq!(outcome.code, 3);
        assert!(!outcome.stdout.contains("frobnicate /"), "{}", outcome.stdout);
    }),
    ("i-42-without-keys-the-container-is-the-delegate-s", |s| {
        fs::write(&s.settings, "[runtime]\ndelegate = \"/bin/echo\"\n").unwrap();
        let outcome = s.container("a", &s.bundle("b")).create().ok();
        assert!(outcome.stdout.contains("create --bundle"), "{}", outcome.stdout);
        s.run(["delete", "--force", &s.id("a")]).ok();
    }),
    ("i-42-a-delegate-that-is-missing", |s| {
        fs::write(&s.settings, "[runtime]\ndelegate = \"/missing/runtime\"\n").unwrap();
        let outcome = s.container("a", &s.bundle("b")).create();
        refused(s, &outcome, "/missing/runtime");
    }),
];

fn idle(s: &Sandbox) -> Container<'_> {
    s.container("a", &s.bundle("b").spt("idle"))
}

/// The group's end of a life: nothing is left.
pub(super) fn ended(c: &Container<'_>) {
    c.delete_force().ok();
    let left = c.sandbox.leftovers();
    assert!(left.is_empty(), "{left:#?}");
}

fn private_root(s: &Sandbox) {
    fs::create_dir(s.root()).unwrap();
    fs::set_permissions(s.root(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
}

fn odd_id(s: &Sandbox, id: &str) {
    let bundle = s.bundle("b").spt("hello").path.display().to_string();
    for words in [&["create", "--bundle", &bundle, id][..], &["state", id], &["start", id], &["delete", id]] {
        let outcome = s.run(words);
        refused(s, &outcome, "id");
    }
}

/// `create` with a terminal and this console socket, a path below the case's directory.
fn console(s: &Sandbox, name: &str) {
    let bundle = s.bundle("b").spt("hello").with("/process/terminal", json!(true));
    let socket = s.dir.join(name).display().to_string();
    let outcome = s.container("a", &bundle).create_with(&["--console-socket", &socket]);
    refused(s, &outcome, "--console-socket");
}

fn with_root(s: &Sandbox, root: &str, word: &str) {
    let bundle: Bundle = s.bundle("b").spt("hello");
    let path = bundle.path.display().to_string();
    let outcome = s.run(["--root", root, "create", "--bundle", &path, &s.id("a")]);
    refused(s, &outcome, word);
}

fn unknown(s: &Sandbox, words: &[&str]) {
    let id = s.id("none");
    let words: Vec<&str> = words.iter().copied().chain([id.as_str()]).collect();
    let outcome: Outcome = s.run(words);
    refused(s, &outcome, "does not exist");
}

fn bad_signal(s: &Sandbox, signal: &str) {
    let c = idle(s);
    c.launch();
    stays(&c, &c.kill(signal), "running", "signal");
    ended(&c);
}

/// A `create` that comes while a poststop hook keeps `delete` busy: the id is still taken, or already free.
fn being_deleted(s: &Sandbox) {
    let bundle = s.bundle("b").spt("idle");
    let (reached, release) = (bundle.path.join("reached"), bundle.path.join("release"));
    let script =
        format!(": > {}; while ! test -e {}; do sleep 0.01; done", reached.display(), release.display());
    let c = s.container("a", &bundle.hook("poststop", "/bin/sh", &script));
    c.launch();
    let (mut delete, output) = s.command(["delete", "--force", &c.id]);
    let mut delete = command::spawn(&mut delete, &output);
    command::until("the hook runs", || reached.exists());
    let error = c.create().fails();
    assert!(error.contains("exist"), "{error}");
    fs::write(release, "").unwrap();
    assert_eq!(command::wait(&mut delete, HANG, "delete"), 0);
    c.create().ok();
    ended(&c);
}
