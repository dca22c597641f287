//! Hooks of all six kinds: when, where, with what on standard input, and what a failure does.

use super::Entry;
use crate::bundle::Bundle;
use crate::command::until;
use crate::container::namespace;
use crate::sandbox::{Sandbox, text};
use serde_json::{Value, json};
use std::fs;

pub(super) const CASES: &[Entry] = &[
    ("hooks-run-in-listed-order", order),
    ("poststart-hooks-run-at-start-with-a-running-container", |s| {
        let bundle = s.bundle("b").stoppable(0);
        let file = bundle.path.join("poststart");
        let c = s.container("a", &bundle.hook("poststart", "/bin/sh", &format!("cat > {}", file.display())));
        c.create().ok();
        assert!(!file.exists(), "it ran at create");
        c.start().ok();
        assert_eq!(serde_json::from_str::<Value>(&text(&file)).unwrap()["status"], "running");
    }),
    ("hooks-get-the-state-on-standard-input", states),
    ("hooks-run-in-their-namespaces", namespaces),
    ("hooks-get-only-their-own-environment", environment),
    ("a-failing-prestart-hook-fails-create-in-words", |s| failing_create(s, "prestart")),
    ("a-failing-createRuntime-hook-fails-create-in-words", |s| failing_create(s, "createRuntime")),
    ("a-failing-createContainer-hook-fails-create-in-words", |s| failing_create(s, "createContainer")),
    ("a-failing-startContainer-hook-fails-start", |s| {
        let c = s.container(
            "a",
            &s.bundle("b").stoppable(0).hook("startContainer", "/bin/sh", "echo sentinel >&2; exit 3"),
        );
        c.create().ok();
        assert!(c.start().fails().contains("startContainer"));
        c.until_stopped();
    }),
    ("a-failing-poststart-hook-fails-start-and-stops", |s| {
        let c = s.container(
            "a",
            &s.bundle("b").stoppable(0).hook("poststart", "/bin/sh", "echo sentinel >&2; exit 3"),
        );
        c.create().ok();
        assert!(c.start().fails().contains("sentinel"));
        c.until_stopped();
    }),
    ("a-failing-poststop-hook-does-not-keep-the-container", |s| {
        let c = s.container("a", &s.bundle("b").busybox(&["true"]).hook("poststop", "/bin/sh", "exit 3"));
        c.launch();
        c.until_stopped();
        c.delete().ok();
        c.verb("state").fails();
    }),
    ("a-failing-poststop-hook-does-not-stop-the-next-one", |s| {
        let bundle = s.bundle("b").busybox(&["true"]).hook("poststop", "/bin/sh", "exit 3");
        let second = bundle.path.join("second");
        let c =
            s.container("a", &bundle.hook("poststop", "/bin/sh", &format!("echo > {}", second.display())));
        c.launch();
        c.until_stopped();
        c.delete().ok();
        assert!(second.exists(), "the hook after the failing one did not run");
    }),
    ("a-hook-that-hangs-is-killed-after-its-timeout", |s| {
        let bundle = s.bundle("b").hook("createRuntime", "/bin/sh", "exec sleep 1000");
        let c = s.container("a", &bundle.with("/hooks/createRuntime/0/timeout", json!(1)));
        let outcome = c.create();
        assert!(outcome.took.as_secs() < 10, "{:?}", outcome.took);
        outcome.fails();
        c.verb("state").fails();
    }),
    ("a-missing-hook-fails-create-and-is-named", |s| {
        let bundle = s.bundle("b").hook("createRuntime", "/missing/hook", "");
        let c = s.container("a", &bundle);
        assert!(c.create().fails().contains("/missing/hook"));
        c.verb("state").fails();
    }),
    ("delete-runs-poststop-after-the-process-is-gone", |s| {
        let bundle = s.bundle("b");
        let log = bundle.path.join("log");
        let script = format!(
            "cat > {0}.state; ls -d /proc/$(cat {1}) > {0} 2>/dev/null; echo ran >> {0}",
            log.display(),
            s.dir.join("pid").display()
        );
        let c = s.container("a", &bundle.hook("poststop", "/bin/sh", &script));
        c.launch();
        fs::copy(c.pid_file(), s.dir.join("pid")).unwrap();
        c.kill("KILL").ok();
        c.exit_code();
        c.delete().ok();
        assert_eq!(text(&log), "ran\n");
        assert_eq!(
            serde_json::from_str::<Value>(&text(&log.with_extension("state"))).unwrap()["status"],
            "stopped"
        );
    }),
];

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A bundle with a hook of every kind; `script` gets the kind and the directory that is the image's root where it runs.
fn with_all(s: &Sandbox, script: impl Fn(&str, &str) -> String) -> Bundle {
    let mut bundle = s.bundle("b").stoppable(0);
    let root = bundle.rootfs().display().to_string();
    for kind in KINDS {
        let place = if kind == "startContainer" { "" } else { root.as_str() };
        bundle = bundle.hook(kind, "/bin/sh", &script(kind, place));
    }
    bundle
}

fn order(s: &Sandbox) {
    // The second hook of each kind must not overtake the first, which is slower to begin.
    let mut bundle = with_all(s, |kind, root| format!("sleep 0.05; echo {kind}-1 >> {root}/order"));
    let root = bundle.rootfs().display().to_string();
    for kind in KINDS {
        let place = if kind == "startContainer" { "" } else { root.as_str() };
        bundle = bundle.hook(kind, "/bin/sh", &format!("echo {kind}-2 >> {place}/order"));
    }
    std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin/sleep")).unwrap();
    let c = s.container("a", &bundle);
    // When poststart runs has a case of its own.
    let ran = || -> Vec<String> {
        let order = text(&bundle.rootfs().join("order"));
        order.lines().filter(|l| !l.starts_with("poststart")).map(str::to_owned).collect()
    };
    let expected = |kinds: &[&str]| -> Vec<String> {
        let kinds = kinds.iter().filter(|k| **k != "poststart");
        kinds.flat_map(|k| [format!("{k}-1"), format!("{k}-2")]).collect()
    };
    c.create().ok();
    assert_eq!(ran(), expected(&KINDS[..3]));
    c.start().ok();
    until("the startContainer hooks ran", || ran() == expected(&KINDS[..5]));
    c.kill("KILL").ok();
    c.until_stopped();
    assert_eq!(ran(), expected(&KINDS[..5]));
    c.delete().ok();
    assert_eq!(ran(), expected(&KINDS));
}

fn states(s: &Sandbox) {
    let bundle = with_all(s, |kind, root| format!("cat > {root}/state.{kind}"))
        .with("/annotations", json!({"k": "v"}));
    std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin/cat")).unwrap();
    let c = s.container("a", &bundle);
    c.launch();
    until("the process runs", || text(&s.dir.join("command-0.out")).contains("ready"));
    c.kill("KILL").ok();
    c.until_stopped();
    c.delete().ok();
    let expected = ["creating", "creating", "creating", "created", "running", "stopped"];
    // What poststart gets has a case of its own.
    for (kind, status) in KINDS.into_iter().zip(expected).filter(|(kind, _)| *kind != "poststart") {
        let state: Value =
            serde_json::from_str(&text(&bundle.rootfs().join(format!("state.{kind}")))).unwrap();
        assert_eq!(state["status"], status, "{kind}");
        assert_eq!(state["id"], c.id, "{kind}");
        assert_eq!(state["bundle"], c.bundle.display().to_string(), "{kind}");
        assert_eq!(state["annotations"], json!({"k": "v"}), "{kind}");
        assert!(state["ociVersion"].is_string(), "{kind}");
        if matches!(kind, "prestart" | "createRuntime") {
            assert_eq!(state["pid"].as_i64(), Some(i64::from(c.pid())), "{kind}");
        }
    }
}

fn namespaces(s: &Sandbox) {
    let links = |kind: &str, root: &str| {
        format!("for n in mnt net uts ipc; do readlink /proc/self/ns/$n; done > {root}/ns.{kind}")
    };
    let bundle = with_all(s, links);
    std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin/readlink")).unwrap();
    let c = s.container("a", &bundle);
    c.launch();
    until("the process runs", || text(&s.dir.join("command-0.out")).contains("ready"));
    let of = |process: &str| ["mnt", "net", "uts", "ipc"].map(|n| namespace(process, n)).join("\n") + "\n";
    let (host, inside) = (of("self"), of(&c.pid().to_string()));
    for kind in &KINDS[..5] {
        let expected = if matches!(*kind, "createContainer" | "startContainer") { &inside } else { &host };
        assert_eq!(&text(&bundle.rootfs().join(format!("ns.{kind}"))), expected, "{kind}");
    }
}

fn environment(s: &Sandbox) {
    let bundle = s.bundle("b");
    let file = bundle.path.join("environment");
    let bundle =
        bundle.hook("createRuntime", "/bin/sh", &format!("cat /proc/self/environ > {}", file.display()));
    let c = s.container(
        "a",
        &bundle.with("/hooks/createRuntime/0/env", json!(["PATH=/bin:/usr/bin", "ONLY=this"])),
    );
    c.create().ok();
    let seen = text(&file);
    let mut names: Vec<&str> = seen.split('\0').filter_map(|v| v.split_once('=').map(|(n, _)| n)).collect();
    names.sort_unstable();
    // A shell adds PWD and the like by itself; none of them comes from the runtime's own environment.
    names.retain(|name| !matches!(*name, "PWD" | "SHLVL" | "OLDPWD" | "_"));
    assert_eq!(names, ["ONLY", "PATH"]);
}

fn failing_create(s: &Sandbox, kind: &str) {
    let later = s.dir.join("later");
    let bundle = s.bundle("b").hook(kind, "/bin/sh", "echo sentinel >&2; exit 3");
    let c = s.container("a", &bundle.hook(kind, "/bin/sh", &format!("echo > {}", later.display())));
    let error = c.create().fails();
    assert!(error.contains("sentinel"), "the hook's output is missing: {error}");
    assert!(!later.exists(), "the hook after the failing one ran");
    until("the container is gone", || c.verb("state").code != 0);
    let left = s.leftovers();
    assert!(left.is_empty(), "{left:#?}");
}
