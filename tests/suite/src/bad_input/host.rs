//! Command lines, directories, monitors and a host that do not fit.

use super::{create_is_refused, refused};
use crate::bundle::Bundle;
use crate::command;
use crate::sandbox::Sandbox;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

type Entry = (&'static str, fn(&Sandbox));

/// Any runtime.
pub(super) const COMMON: &[Entry] = &[
    ("an-id-with-a-path", |s| bad_id(s, "../x")),
    ("an-id-with-a-slash", |s| bad_id(s, "a/b")),
    ("an-id-of-two-dots", |s| bad_id(s, "..")),
    ("an-id-of-one-dot", |s| bad_id(s, ".")),
    ("an-id-with-a-space", |s| bad_id(s, "a b")),
    ("an-id-with-a-newline", |s| bad_id(s, "a\nb")),
    ("an-id-with-a-colon", |s| bad_id(s, "a:b")),
    ("an-empty-id", |s| bad_id(s, "")),
    ("a-bundle-that-is-missing", |s| bad_bundle(s, "missing")),
    ("a-bundle-that-is-a-file", |s| bad_bundle(s, "canary/zero")),
    ("a-bundle-that-is-a-loop-of-links", |s| {
        symlink("loop", s.dir.join("loop")).unwrap();
        bad_bundle(s, "loop");
    }),
    ("a-root-that-is-a-file", |s| {
        fs::write(s.root(), "").unwrap();
        let bundle = s.bundle("b");
        let outcome = s.container("a", &bundle).create();
        refused(s, &outcome, "");
    }),
    ("a-root-on-a-full-file-system", |s| {
        s.bound_root("size=4k,nr_inodes=64");
        fs::write(s.root().join("full"), [0; 4096]).unwrap();
        let outcome = s.container("a", &s.bundle("b")).create();
        refused(s, &outcome, "");
    }),
    ("a-pid-file-in-a-missing-directory", |s| {
        let bundle = s.bundle("b").path.display().to_string();
        let file = s.dir.join("missing/pid").display().to_string();
        let outcome = s.run(["create", "--bundle", &bundle, "--pid-file", &file, &s.id("a")]);
        refused(s, &outcome, "pid");
    }),
    ("an-unknown-command-exits-with-3", |s| {
        let outcome = s.run(["frobnicate", &s.id("a")]);
        assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    }),
    ("an-unknown-option", |s| {
        s.run(["create", "--frobnicate", &s.id("a")]).fails();
    }),
];

/// Ours.
pub(super) const OURS: &[Entry] = &[
    ("a-monitor-that-is-not-installed", |s| monitor(s, "/nonexistent/qemu", "/nonexistent/qemu")),
    ("a-monitor-that-is-a-directory", |s| monitor(s, "/usr/bin", "/usr/bin")),
    ("a-monitor-that-is-not-executable", |s| {
        let path = s.dir.join("monitor");
        fs::write(&path, "").unwrap();
        monitor(s, &path.display().to_string(), "monitor");
    }),
    ("a-monitor-that-exits-before-its-greeting", |s| {
        let error = start_with_probe(s, &["probe=brief", "probe=stderr:sentinel", "probe=exit:1"]);
        assert!(error.contains("sentinel"), "the monitor's last line is missing: {error}");
    }),
    ("a-monitor-that-exits-with-0-before-its-greeting", |s| {
        start_with_probe(s, &["probe=brief", "probe=exit:0"]);
    }),
    ("a-monitor-that-dies-of-a-signal", |s| {
        start_with_probe(s, &["probe=brief", "probe=signal:11"]);
    }),
    ("a-profile-under-which-nothing-can-be-executed", |s| {
        let only_read = json!([{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]);
        let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": only_read});
        start_fails(s, &linux_on_probe(s, &["probe=brief"]).with("/linux/seccomp", profile));
    }),
    ("a-configuration-file-with-a-syntax-error", |s| {
        fs::write(&s.settings, "[monitors\n").unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
    ("a-configuration-file-that-others-may-write", |s| {
        fs::set_permissions(&s.settings, fs::Permissions::from_mode(0o666)).unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
    ("exec-on-a-unikernel-answers-255-at-once", |s| {
        let c = s.container("a", &s.bundle("b").spt("idle"));
        c.launch();
        let outcome = s.run(["exec", &c.id, "sh"]);
        assert_eq!(outcome.code, 255);
        assert_eq!(outcome.stderr.trim_end().lines().count(), 1, "{}", outcome.stderr);
        for verb in ["pause", "resume", "checkpoint"] {
            c.verb(verb).fails();
        }
        assert_eq!(c.status(), "running");
    }),
];

fn bad_id(s: &Sandbox, id: &str) {
    let bundle = s.bundle("b");
    s.trees.borrow_mut().push(bundle.path.clone());
    let outcome = s.run(["create", "--bundle", &bundle.path.display().to_string(), id]);
    refused(s, &outcome, "id");
}

fn bad_bundle(s: &Sandbox, path: &str) {
    let outcome = s.run(["create", "--bundle", &s.dir.join(path).display().to_string(), &s.id("a")]);
    refused(s, &outcome, "");
}

fn monitor(s: &Sandbox, path: &str, word: &str) {
    fs::write(&s.settings, format!("[monitors.qemu]\npath = \"{path}\"\n")).unwrap();
    create_is_refused(s, &s.bundle("b").linux(), word);
}

/// Starts a Linux bundle whose monitor is the probe with these words; returns the error.
fn start_with_probe(s: &Sandbox, words: &[&str]) -> String {
    start_fails(s, &linux_on_probe(s, words))
}

/// `start` must fail and delete must do. Returns the error.
fn start_fails(s: &Sandbox, bundle: &Bundle) -> String {
    let c = s.container("a", bundle);
    c.create().ok();
    let error = c.start().fails();
    command::until("the container is stopped", || c.status() == "stopped");
    c.delete().ok();
    let left = s.leftovers();
    assert!(left.is_empty(), "{left:#?}");
    error
}

/// A Linux bundle, and settings that make the probe its monitor.
pub(crate) fn linux_on_probe(s: &Sandbox, words: &[&str]) -> Bundle {
    let probe = probe();
    fs::write(&s.settings, format!("[monitors.qemu]\npath = \"{}\"\n", probe.display())).unwrap();
    // The first argument becomes `rdinit=`; the probe looks at whole words.
    let args: Vec<&str> = std::iter::once("/app").chain(words.iter().copied()).collect();
    s.bundle("b").linux().with("/process/args", json!(args))
}

/// The probe, built by `make probe` into `PROBE` (default: `dist/test/probe`).
pub(crate) fn probe() -> PathBuf {
    let probe = std::env::var("PROBE").unwrap_or_else(|_| "dist/test/probe".into());
    Path::new(&probe).canonicalize().unwrap_or_else(|e| panic!("{probe}: {e}: run make probe"))
}

/// The probe under the name that makes it a monitor without words in its argv.
pub(crate) fn monitor_path() -> PathBuf {
    probe().with_file_name("monitor")
}
