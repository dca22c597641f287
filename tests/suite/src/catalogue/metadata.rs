//! B: metadata of the image or the pod that must not become control of the host.

use super::{Entry, lives_or_is_refused, monitor_for_all, nothing_left};
use crate::bad_input::{one_line, refused};
use crate::bundle::Bundle;
use crate::command::until;
use crate::harness::Case;
use crate::image::{KERNEL, LINUX, SPT, bzimage, replaced};
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
    ("b-01-text-that-looks-like-options", options_in_text),
    ("b-02-annotations-that-name-host-objects", host_objects),
    ("b-03-foreign-keys-change-nothing", foreign_keys),
    ("b-05-smuggling-into-the-guest-command-line", command_line),
    ("b-06-integer-traps", integers),
    ("b-07-silent-downgrade", downgrades),
];

/// What a shell, a comma-separated option or a line-based format would take apart.
fn payloads() -> Vec<String> {
    let short = [
        " -drive file=/canary",
        "a\nb",
        "a\0b",
        "a\"b",
        "a'b",
        "a,b",
        "a,,b",
        "a=b",
        "--",
        "-",
        "é☃",
        "%s$(id)`id`;id|id",
    ];
    short.into_iter().map(str::to_owned).chain(["x".repeat(64 << 10)]).collect()
}

/// Puts a text into one place of a Linux bundle.
type Place = (&'static str, fn(Bundle, &str) -> Bundle);

fn key(bundle: Bundle, name: &'static str, value: &str) -> Bundle {
    bundle.keys(&replaced(&LINUX, name, value))
}

/// The image has a file of that name, if a file can have it.
fn file_key(bundle: Bundle, name: &'static str, value: &str) -> Bundle {
    let value = format!("/boot-{value}");
    let _ = fs::write(bundle.rootfs().join(value.trim_start_matches('/')), bzimage());
    key(bundle, name, &value)
}

const PLACES: &[Place] = &[
    ("process.args", |b, text| b.with("/process/args", json!(["/app", text]))),
    ("the program", |b, text| b.with("/process/args", json!([text]))),
    ("a variable's value", |b, text| b.with("/process/env", json!([format!("A={text}")]))),
    ("a variable's name", |b, text| b.with("/process/env", json!([format!("{text}=a")]))),
    ("process.cwd", |b, text| b.with("/process/cwd", json!(format!("/{text}")))),
    ("hostname", |b, text| b.with("/hostname", json!(text))),
    ("unikernelType", |b, text| key(b, "unikernelType", text)),
    ("unikernelVersion", |b, text| key(b, "unikernelVersion", text)),
    ("hypervisor", |b, text| key(b, "hypervisor", text)),
    ("cmdline", |b, text| key(b, "cmdline", text)),
    ("blkMntPoint", |b, text| key(b, "blkMntPoint", text)),
    ("solo5NetDev", |b, text| key(b, "solo5NetDev", text)),
    ("solo5BlkDev", |b, text| key(b, "solo5BlkDev", text)),
    ("binary", |b, text| file_key(b, "binary", text)),
    ("initrd", |b, text| file_key(b, "initrd", text)),
    ("block", |b, text| file_key(b, "block", text)),
];

/// The argv that the monitor got; `None` if the bundle was refused in words.
fn argv(s: &Sandbox, bundle: &Bundle) -> Option<Vec<String>> {
    let c = s.container("a", bundle);
    let created = c.create();
    if created.code != 0 {
        refused(s, &created, "");
        return None;
    }
    let output = s.last_output().with_extension("out");
    let started = c.start();
    if started.code != 0 {
        one_line(s, &started, "");
        c.delete_force().ok();
        return None;
    }
    until("the monitor reports", || text(&output).contains('\n'));
    let said = text(&output);
    let report: Value = serde_json::from_str(said.lines().next().unwrap_or_default()).expect("a report");
    c.delete_force().ok();
    Some(serde_json::from_value(report["argv"].clone()).expect("argv"))
}

/// Whatever a text is, the monitor gets as many words as with an ordinary one, and at most one is another.
fn options_in_text(s: &Sandbox) {
    monitor_for_all(s);
    let mut lives = 0;
    for (number, (name, put)) in PLACES.iter().enumerate() {
        let plain = put(s.bundle(&format!("plain-{number}")).linux(), "plain");
        let usual = argv(s, &plain).or_else(|| argv(s, &s.bundle(&format!("default-{number}")).linux()));
        let usual = usual.expect("an ordinary life");
        for (n, payload) in payloads().iter().enumerate() {
            let bundle = put(s.bundle(&format!("p-{number}-{n}")).linux(), payload);
            let Some(argv) = argv(s, &bundle) else { continue };
            lives += 1;
            assert_eq!(argv.len(), usual.len(), "{name}: {payload:?}: {argv:#?}");
            let other: Vec<_> = argv.iter().zip(&usual).filter(|(seen, usual)| seen != usual).collect();
            assert!(other.len() <= 1, "{name}: {payload:?}: {other:#?}");
        }
        nothing_left(s);
    }
    assert!(lives >= 40, "{lives} of the texts reached a monitor");
}

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

/// Variables that would be parameters of the kernel if they could.
fn command_line(s: &Sandbox) {
    monitor_for_all(s);
    let many: Vec<String> = (0..4_000).map(|n| format!("V{n}=x")).collect();
    let strings = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let tries = [
        strings(&["A=1 init=/bin/sh"]),
        strings(&["A=x\t-- rdinit=/bin/sh"]),
        strings(&["A=\"x", "B=y\" init=/bin/sh"]),
        strings(&["A\ninit=/bin/sh"]),
        strings(&["A init=/bin/sh"]),
        strings(&["init=/bin/sh"]),
        strings(&["rdinit=/bin/sh"]),
        strings(&["INIT=/bin/sh", "panic=5"]),
        strings(&["console=tty0"]),
        strings(&["--=x"]),
        strings(&["A=\u{a0}init=/bin/sh"]),
        vec![format!("A={}", "x".repeat(2048))],
        many,
    ];
    let line = |bundle: &Bundle| {
        let argv = argv(s, bundle)?;
        let at = argv.iter().position(|word| word == "-append").expect("-append");
        Some(argv[at + 1].clone())
    };
    let plain = s.bundle("plain").linux().with("/process/env", json!([]));
    let fixed = parameters(&line(&plain).expect("a life"));
    let mut lives = 0;
    for (number, env) in tries.iter().enumerate() {
        let bundle = s.bundle(&format!("try-{number}")).linux().with("/process/env", json!(env));
        let Some(line) = line(&bundle) else { continue };
        lives += 1;
        let names: Vec<String> =
            env.iter().filter_map(|entry| Some(entry.split_once('=')?.0.to_owned())).collect();
        let mut seen = parameters(&line);
        seen.retain(|word| !names.iter().any(|name| word.starts_with(&format!("{name}="))));
        assert_eq!(seen, fixed, "{line}");
    }
    assert!(lives >= 2, "{lives}");
    assert!(lives < tries.len(), "nothing was refused");
}

/// Words before `--` as the kernel's `next_arg` reads them: blanks separate, double quotes group.
fn parameters(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for char in line.chars().chain([' ']) {
        match char {
            '"' => quoted = !quoted,
            ' ' | '\t' | '\n' | '\u{a0}' if !quoted => {
                words.extend(Some(std::mem::take(&mut word)).filter(|w| !w.is_empty()));
            }
            other => word.push(other),
        }
    }
    words.into_iter().take_while(|word| word != "--").collect()
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
    ("user namespaces", "/linux/namespaces/5", "", || json!({"type": "user"})),
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
        || json!([{"path": "/dev/sda", "type": "b", "major": 8, "minor": 0}]),
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
