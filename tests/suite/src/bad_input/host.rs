//! Ids, directories and a host that do not fit.

use super::{Entry, one_line, refused, start_fails};
use crate::command;
use crate::image::{LINUX, SPT, idle_with, replaced};
use crate::probe::linux_on_probe;
use crate::reality::network::Network;
use crate::sandbox::Sandbox;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use urunc_plan::solo5::Declared;

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
        one_line(s, &outcome, "/dev/net/tun");
        command::until("the container is stopped", || c.status() == "stopped");
        c.delete().ok();
    }),
    ("i-29-a-profile-under-which-nothing-can-be-executed", |s| {
        let only_read = json!([{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]);
        let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": only_read});
        start_fails(s, &linux_on_probe(s, &["probe=brief"]).with("/linux/seccomp", profile));
    }),
    ("i-59-a-block-image-that-the-user-may-not-read", |s| {
        let bundle = s.bundle("b").linux().keys(&replaced(&LINUX, "block", "/disk"));
        let bundle = bundle.with("/process/user", json!({"uid": 1000, "gid": 1000}));
        let disk = bundle.rootfs().join("disk");
        fs::write(&disk, [0; 4096]).unwrap();
        fs::set_permissions(&disk, fs::Permissions::from_mode(0o000)).unwrap();
        let error = start_fails(s, &bundle);
        assert!(error.contains("/guest/disk0") && error.contains("Permission denied"), "{error}");
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
pub(super) fn in_mount_namespace(s: &Sandbox, script: &str, words: &[&str]) -> command::Outcome {
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
