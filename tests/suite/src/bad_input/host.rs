//! Command lines, directories, monitors and a host that do not fit.

use super::{create_is_refused, refused};
use crate::bundle::Bundle;
use crate::command;
use crate::image::{SPT, idle_with};
use crate::reality::network::Network;
use crate::sandbox::Sandbox;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use urunc_plan::solo5::Declared;

type Entry = (&'static str, fn(&Sandbox));

/// Any runtime.
pub(super) const COMMON: &[Entry] = &[
    ("i-31-an-id-with-a-path", |s| bad_id(s, "../x")),
    ("i-31-an-id-with-a-slash", |s| bad_id(s, "a/b")),
    ("i-31-an-id-of-two-dots", |s| bad_id(s, "..")),
    ("i-31-an-id-of-one-dot", |s| bad_id(s, ".")),
    ("i-31-an-id-with-a-space", |s| bad_id(s, "a b")),
    ("i-31-an-id-with-a-newline", |s| bad_id(s, "a\nb")),
    ("i-31-an-id-with-a-colon", |s| bad_id(s, "a:b")),
    ("i-31-an-empty-id", |s| bad_id(s, "")),
    ("i-34-a-bundle-that-is-missing", |s| bad_bundle(s, "missing")),
    ("i-34-a-bundle-that-is-a-file", |s| bad_bundle(s, "canary/zero")),
    ("i-34-a-bundle-that-is-a-loop-of-links", |s| {
        symlink("loop", s.dir.join("loop")).unwrap();
        bad_bundle(s, "loop");
    }),
    ("i-35-a-root-that-is-a-file", |s| {
        fs::write(s.root(), "").unwrap();
        let bundle = s.bundle("b");
        let outcome = s.container("a", &bundle).create();
        refused(s, &outcome, "");
    }),
    ("i-35-a-root-on-a-full-file-system", |s| {
        s.bound_root("size=4k,nr_inodes=64");
        fs::write(s.root().join("full"), [0; 4096]).unwrap();
        let outcome = s.container("a", &s.bundle("b")).create();
        refused(s, &outcome, "no space");
    }),
    ("i-32-an-id-that-is-in-use", |s| {
        let bundle = s.bundle("b");
        let c = s.container("a", &bundle);
        c.create().ok();
        let other = s.bundle("other");
        // Not the canary, which is watched now.
        let scope = ledger::Scope { trees: vec![bundle.path.clone(), other.path.clone()], ..s.scope() };
        let before = ledger::Ledger::take(&scope);
        assert!(s.container("a", &other).create().fails().contains("exist"));
        let left = ledger::settle(&before, &scope, ledger::SETTLE);
        assert!(left.is_empty(), "{left:#?}");
        assert_eq!(c.status(), "created");
        assert_eq!(c.state()["bundle"], bundle.path.display().to_string());
    }),
    ("i-36-a-pid-file-in-a-missing-directory", |s| {
        let bundle = s.bundle("b").path.display().to_string();
        let file = s.dir.join("missing/pid").display().to_string();
        let outcome = s.run(["create", "--bundle", &bundle, "--pid-file", &file, &s.id("a")]);
        refused(s, &outcome, "pid");
    }),
    ("i-40-an-unknown-command-exits-with-3", |s| {
        let outcome = s.run(["frobnicate", &s.id("a")]);
        assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    }),
    ("i-40-an-unknown-option", |s| {
        s.run(["create", "--frobnicate", &s.id("a")]).fails();
    }),
];

/// Ours.
pub(super) const OURS: &[Entry] = &[
    ("i-49-a-monitor-that-is-not-installed", |s| monitor(s, "/nonexistent/qemu", "/nonexistent/qemu")),
    ("i-49-a-monitor-that-is-a-directory", |s| monitor(s, "/usr/bin", "/usr/bin")),
    ("i-49-a-monitor-that-is-not-executable", |s| {
        let path = s.dir.join("monitor");
        fs::write(&path, "").unwrap();
        monitor(s, &path.display().to_string(), "monitor");
    }),
    ("i-49-a-monitor-of-another-machine", |s| {
        changed_monitor(s, "monitors.qemu.path", |bytes| {
            bytes[18..20].copy_from_slice(&183u16.to_le_bytes());
        });
    }),
    ("i-49-a-monitor-that-is-cut", |s| changed_monitor(s, "monitors.qemu.path", |bytes| bytes.truncate(100))),
    ("i-49-a-monitor-that-is-empty", |s| changed_monitor(s, "monitors.qemu.path", Vec::clear)),
    ("i-49-a-monitor-that-is-a-script", |s| {
        changed_monitor(s, "not a usable ELF file", |bytes| *bytes = b"#!/bin/sh\n".to_vec());
    }),
    ("i-49-a-monitor-without-its-loader", |s| {
        changed_monitor(s, "/lib64/ld-none-x86-64", |bytes| {
            let name = b"/lib64/ld-linux-x86-64";
            let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
            bytes[at..at + name.len()].copy_from_slice(b"/lib64/ld-none-x86-64\0");
        });
    }),
    ("i-49-a-monitor-without-its-library", |s| {
        changed_monitor(s, "libn.so.6", |bytes| {
            let at = bytes.windows(9).position(|window| window == b"libc.so.6").unwrap();
            bytes[at + 3] = b'n';
        });
    }),
    ("i-49-a-monitor-that-others-may-exchange", |s| {
        let path = s.dir.join("monitor");
        fs::copy("/bin/true", &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        monitor(s, &path.display().to_string(), "monitors.qemu.path");
    }),
    ("i-49-a-monitor-by-relative-path", |s| monitor(s, "bin/qemu", "monitors.qemu.path")),
    ("i-50-a-monitor-that-exits-with-127", |s| {
        start_with_probe(s, &["probe=brief", "probe=exit:127"]);
    }),
    ("i-50-a-monitor-that-hangs", |s| {
        let settings =
            |path: &str| format!("[runtime]\nstart_timeout = 1\n[monitors.qemu]\npath = \"{path}\"\n");
        let bundle = linux_on_probe(s, &["probe=quiet", "probe=sleep"]);
        fs::write(&s.settings, settings(&probe().display().to_string())).unwrap();
        let error = start_fails(s, &bundle);
        assert!(error.contains("within 1 s"), "{error}");
    }),
    ("i-50-a-monitor-that-prints-a-gibibyte", |s| {
        start_with_probe(s, &["probe=brief", "probe=print:1024", "probe=exit:1"]);
    }),
    ("i-51-dev-kvm-is-missing-and-wanted", |s| {
        without_kvm(s, "mount -t tmpfs none /dev", "cannot be opened");
    }),
    ("i-51-dev-kvm-is-a-file-and-wanted", |s| {
        without_kvm(s, "mount -t tmpfs none /dev && : > /dev/kvm", "/dev/kvm");
    }),
    ("i-51-dev-kvm-is-another-device-and-wanted", |s| {
        without_kvm(s, "mount --bind /dev/null /dev/kvm", "/dev/kvm");
    }),
    ("i-52-dev-net-tun-is-missing", |s| {
        let _network = Network(s);
        let path = Network::make(s, &Network::usual());
        let bundle = linux_on_probe(s, &["probe=quiet", "probe=qmp"]).namespace("network", Some(&path));
        let c = s.container("a", &bundle);
        c.create().ok();
        let outcome = in_mount_namespace(s, "mount -t tmpfs none /dev/net", &["start", &c.id]);
        super::one_line(s, &outcome, "/dev/net/tun");
        command::until("the container is stopped", || c.status() == "stopped");
        c.delete().ok();
    }),
    ("i-50-a-monitor-that-exits-before-its-greeting", |s| {
        let error = start_with_probe(s, &["probe=brief", "probe=stderr:sentinel", "probe=exit:1"]);
        assert!(error.contains("sentinel"), "the monitor's last line is missing: {error}");
    }),
    ("i-50-a-monitor-that-exits-with-0-before-its-greeting", |s| {
        start_with_probe(s, &["probe=brief", "probe=exit:0"]);
    }),
    ("i-50-a-monitor-that-dies-of-a-signal", |s| {
        start_with_probe(s, &["probe=brief", "probe=signal:11"]);
    }),
    ("i-29-a-profile-under-which-nothing-can-be-executed", |s| {
        let only_read = json!([{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]);
        let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": only_read});
        start_fails(s, &linux_on_probe(s, &["probe=brief"]).with("/linux/seccomp", profile));
    }),
    ("i-53-a-kernel-of-a-tebibyte", |s| {
        let bundle = s.bundle("b").spt("hello");
        let file = fs::File::create(bundle.rootfs().join(crate::image::KERNEL)).unwrap();
        // A hole; the ledger would read it for hours, so the tree is not watched.
        file.set_len(1 << 40).unwrap();
        let outcome = s.container("a", &bundle).create();
        refused(s, &outcome, "binary");
    }),
    ("i-58-a-network-device-without-network", |s| {
        let service = Declared { name: "service".into(), net: true };
        let bundle = s.bundle("b").unikernel(&idle_with(&[service]), &SPT);
        let error = start_fails(s, &bundle);
        assert!(error.contains("service"), "{error}");
    }),
    ("i-35-a-root-that-is-full-at-start", |s| {
        s.bound_root("size=256k,nr_inodes=64");
        let c = s.container("a", &s.bundle("b").spt("idle"));
        c.create().ok();
        // As much as there is room for; the write that fails is what is wanted.
        let _ = fs::write(s.root().join("full"), [0; 1 << 18]);
        let error = c.start().fails();
        assert!(error.to_lowercase().contains("no space"), "{error}");
        fs::remove_file(s.root().join("full")).unwrap();
        c.delete_force().ok();
        let left = s.leftovers();
        assert!(left.is_empty(), "{left:#?}");
    }),
    ("i-48-a-configuration-file-with-a-syntax-error", |s| {
        fs::write(&s.settings, "[monitors\n").unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
    ("i-48-a-syntax-error-has-line-and-column", |s| {
        fs::write(&s.settings, "[runtime]\ndelegate = \n").unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "line 2, column");
    }),
    ("i-48-an-unknown-key-of-the-configuration-is-told", |s| {
        fs::write(&s.settings, "[runtime]\nfuture = 1\n").unwrap();
        let c = s.container("a", &s.bundle("b").spt("hello"));
        c.create().ok();
        assert_eq!(s.log().iter().filter(|line| line.contains("runtime.future")).count(), 1, "{:?}", s.log());
    }),
    ("i-48-a-configuration-value-of-another-type", |s| {
        fs::write(&s.settings, "[runtime]\nstart_timeout = \"x\"\n").unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "start_timeout");
    }),
    ("i-48-a-configuration-file-that-is-a-directory", |s| {
        fs::remove_file(&s.settings).unwrap();
        fs::create_dir(&s.settings).unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
    ("i-48-a-configuration-file-that-is-no-text", |s| {
        fs::write(&s.settings, b"\xff\xfe").unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
    ("i-48-a-configuration-file-of-somebody-else", |s| {
        std::os::unix::fs::chown(&s.settings, Some(65_534), None).unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
    ("i-48-a-monitor-in-a-user-s-home", |s| {
        let home = s.dir.join("home");
        fs::create_dir(&home).unwrap();
        fs::copy("/bin/true", home.join("qemu")).unwrap();
        std::os::unix::fs::chown(&home, Some(1000), None).unwrap();
        monitor(s, &home.join("qemu").display().to_string(), "1000");
    }),
    ("i-48-a-configuration-file-that-others-may-write", |s| {
        fs::set_permissions(&s.settings, fs::Permissions::from_mode(0o666)).unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
    ("i-40-exec-on-a-unikernel-answers-255-at-once", |s| {
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

/// The runtime in a mount namespace of its own that `script` changes.
fn in_mount_namespace(s: &Sandbox, script: &str, words: &[&str]) -> command::Outcome {
    let (runtime, output) = s.command(words);
    let mut command = std::process::Command::new("unshare");
    let script = format!("{script} && exec \"$@\"");
    command.args(["-m", "sh", "-c", &script, "sh"]).arg(runtime.get_program()).args(runtime.get_args());
    command.env("URUNC_CONFIG_FILE", &s.settings).current_dir(&s.dir);
    command::run(&mut command, &output)
}

/// `create` of a Linux guest whose monitor may not emulate, where /dev/kvm does not do.
fn without_kvm(s: &Sandbox, script: &str, word: &str) {
    fs::write(&s.settings, "[monitors.qemu]\nallow_emulation = false\n").unwrap();
    let bundle = s.bundle("b").linux().path.display().to_string();
    let outcome = in_mount_namespace(s, script, &["create", "--bundle", &bundle, &s.id("a")]);
    refused(s, &outcome, word);
}

/// A copy of a dynamic program that is changed, as monitor.
fn changed_monitor(s: &Sandbox, word: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = s.dir.join("monitor");
    let mut bytes = fs::read("/bin/true").unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    monitor(s, &path.display().to_string(), word);
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
