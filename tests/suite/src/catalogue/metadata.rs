//! B: metadata of the image or the pod that must not become control of the host.

use super::{Entry, lives_or_is_refused};
use crate::bad_input::{one_line, refused};
use crate::bundle::Bundle;
use crate::harness::Case;
use crate::image::{KERNEL, SPT, replaced};
use crate::sandbox::{Sandbox, text};
use serde_json::{Value, json};
use std::fs;
use urunc_plan::KEY_PREFIX;
use urunc_plan::annotations::OPERATOR_KEYS;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("b-02-annotations-that-name-host-objects", host_objects),
    ("b-03-foreign-keys-change-nothing", foreign_keys),
    ("b-06-integer-traps", integers),
    ("b-07-silent-downgrade", downgrades),
];

/// What names an object of the host is the operator's: refused from images and pods, and listed for engines.
fn host_objects(s: &Sandbox) {
    let features = s.run(["features"]).ok().json();
    let unsafe_ones = features["potentiallyUnsafeConfigAnnotations"].as_array().expect("a list").clone();
    for name in OPERATOR_KEYS {
        assert!(unsafe_ones.contains(&json!(format!("{KEY_PREFIX}{name}"))), "{name} is not listed");
        let value = s.dir.join("canary/file").display().to_string();
        let image = s.bundle(&format!("image-{name}")).spt("idle").keys(&replaced(&SPT, name, &value));
        assert!(!lives_or_is_refused(s, &image, name, |_| {}), "{name} from an image");
        let pod = s.bundle(&format!("pod-{name}")).spt("idle").annotations(&replaced(&SPT, name, &value));
        assert!(!lives_or_is_refused(s, &pod, name, |_| {}), "{name} from an annotation");
    }
}

/// Labels and annotations of other programs, and where they may be.
fn foreign_keys(s: &Sandbox) {
    let keys = [
        "containerd.io/restart.policy",
        "containerd.io/runtime/options",
        "io.containerd.runc.v2.group",
        "io.katacontainers.config.hypervisor.path",
        "io.katacontainers.config.hypervisor.kernel_params",
        "org.systemd.property.ExecStartPre",
        "run.oci.handler",
        "run.oci.hooks.stdout",
        "com.urunc.unikernel.hypervisorPath",
        "com.urunc.unikernel.qemu_args",
    ];
    let value = json!("/canary/file; -drive file=/canary");
    let plan = |bundle: &Bundle| {
        let path = bundle.path.display().to_string();
        s.run(["plan", "--json", "--bundle", &path]).ok().stdout
    };
    let bundle = s.bundle("b").spt("idle");
    let usual = plan(&bundle);
    for key in keys {
        plant(&bundle, |image| image[key] = value.clone());
        assert_eq!(plan(&bundle), usual, "{key} in urunc.json");
        plant(&bundle, |image| drop(image.as_object_mut().expect("an object").remove(key)));
        if !key.starts_with(KEY_PREFIX) {
            let labelled = bundle.clone().with("/annotations", json!({key: value}));
            assert_eq!(plan(&labelled), usual, "{key} as an annotation");
            drop(bundle.clone().with("/annotations", json!({})));
        }
    }
}

/// Changes `/urunc.json` of an image.
fn plant(bundle: &Bundle, change: impl FnOnce(&mut Value)) {
    let path = bundle.rootfs().join("urunc.json");
    let mut image = serde_json::from_str(&text(&path)).expect("urunc.json");
    change(&mut image);
    fs::write(path, image.to_string()).expect("urunc.json");
}

/// Numbers that wrap, round or change their sign somewhere: taken as they are, or refused.
fn integers(s: &Sandbox) {
    let values =
        ["2147483648", "4294967295", "4294967296", "9223372036854775808", "-1", "1.5", "\"0x10\"", "1e3"];
    let ids = [
        ("/process/user/uid", "Uid"),
        ("/process/user/gid", "Gid"),
        ("/process/user/additionalGids", "Groups"),
    ];
    for (number, text) in values.iter().enumerate() {
        let value: Value = serde_json::from_str(text).expect("JSON");
        for (pointer, field) in ids {
            let value = if field == "Groups" { json!([value]) } else { value.clone() };
            let bundle = s.bundle(&format!("{field}-{number}")).spt("idle").with(pointer, value);
            let c = s.container("a", &bundle);
            let created = c.create();
            assert!(created.code == 0 || !["2147483648"].contains(text), "{pointer} {text}");
            if created.code != 0 {
                refused(s, &created, "user");
                continue;
            }
            let seen = c.status_field(field);
            assert!(seen.split(' ').all(|id| id == *text), "{pointer} {text}: {seen}");
            c.delete_force().ok();
        }
        for name in ["memory/limit", "cpu/shares", "cpu/quota", "cpu/period", "pids/limit"] {
            let pointer = format!("/linux/resources/{name}");
            let bundle = s
                .bundle(&format!("{}-{number}", name.replace('/', "-")))
                .spt("idle")
                .with(&pointer, value.clone());
            let path = bundle.path.display().to_string();
            let outcome = s.run(["plan", "--json", "--bundle", &path]);
            if outcome.code != 0 {
                one_line(s, &outcome, "");
                continue;
            }
            let printed = outcome.stdout.contains(text);
            // -1 is no limit (runtime-spec), and so is what no counter can reach.
            let unlimited = ["-1", "9223372036854775808"].contains(text);
            assert!(printed || unlimited, "{pointer} {text} is neither taken nor refused");
        }
    }
}

/// What a bundle asks for that is not built, and the row of `features` that says so where it is no error.
type Isolation = (&'static str, &'static str, &'static str, fn() -> Value);

/// Name in the error (or pointer into `features`), place in config.json, value.
const ISOLATION: &[Isolation] = &[
    ("user namespace", "/linux/namespaces/5", "", || json!({"type": "user"})),
    (
        "linux.uidMappings",
        "/linux/uidMappings",
        "",
        || json!([{"containerID": 0, "hostID": 1000, "size": 1}]),
    ),
    (
        "linux.gidMappings",
        "/linux/gidMappings",
        "",
        || json!([{"containerID": 0, "hostID": 1000, "size": 1}]),
    ),
    ("mounts[0]", "/mounts/0/uidMappings", "", || json!([{"containerID": 0, "hostID": 1000, "size": 1}])),
    ("SCMP_ACT_NOTIFY", "/linux/seccomp", "", || json!({"defaultAction": "SCMP_ACT_NOTIFY"})),
    (
        "flag",
        "/linux/seccomp",
        "",
        || json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_X"]}),
    ),
    ("apparmor", "/process/apparmorProfile", "", || json!("suite-no-such-profile")),
    ("linux.mountLabel", "/linux/mountLabel", "", || json!("system_u:object_r:x:s0")),
    ("", "/process/selinuxLabel", "/linux/selinux/enabled", || json!("system_u:system_r:x:s0")),
    (
        "linux.devices[0]",
        "/linux/devices",
        "",
        || json!([{"path": "/srv/sda", "type": "b", "major": 8, "minor": 0}]),
    ),
    ("linux.personality", "/linux/personality", "", || json!({"domain": "LINUX32"})),
    ("linux.intelRdt", "/linux/intelRdt", "", || json!({"closID": "x"})),
    ("linux.memoryPolicy", "/linux/memoryPolicy", "", || json!({"mode": "MPOL_BIND", "nodes": "0"})),
    ("linux.netDevices", "/linux/netDevices", "", || json!({"eth0": {}})),
    ("process.scheduler", "/process/scheduler", "", || json!({"policy": "SCHED_FIFO", "priority": 1})),
    ("process.ioPriority", "/process/ioPriority", "", || json!({"class": "IOPRIO_CLASS_RT", "priority": 0})),
    ("process.execCPUAffinity", "/process/execCPUAffinity", "", || json!({"initial": "0"})),
];

fn downgrades(s: &Sandbox) {
    let features = s.run(["features"]).ok().json();
    for (number, (word, pointer, declared, value)) in ISOLATION.iter().enumerate() {
        for (kind, bundle) in [
            ("spt", s.bundle(&format!("spt-{number}")).spt("idle")),
            ("process", s.bundle(&format!("process-{number}"))),
        ] {
            let bundle = match pointer.strip_suffix("/5") {
                Some(_) => bundle.namespace("user", None),
                None => bundle.with(pointer, value()),
            };
            let lived = lives_or_is_refused(s, &bundle, word, |_| {});
            if lived {
                assert_eq!(
                    features.pointer(declared),
                    Some(&json!(false)),
                    "{kind}: {pointer} is dropped without a word"
                );
            }
        }
    }
    // What is masked or made read-only in the host's own directories is not there at all.
    let hidden = json!(["/proc/kcore", "/sys/firmware", "/proc/sysrq-trigger"]);
    let bundle = s.bundle("hidden").spt("idle").with("/linux/maskedPaths", hidden.clone());
    let lived = lives_or_is_refused(s, &bundle.with("/linux/readonlyPaths", hidden), "", |pid| {
        assert!(!super::inside(pid, "/proc").exists() && !super::inside(pid, "/sys").exists());
        assert!(!super::inside(pid, &format!("/{KERNEL}")).exists());
    });
    assert!(lived);
}
