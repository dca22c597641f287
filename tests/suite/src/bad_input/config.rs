//! config.json that is no config.json, or asks for what cannot be.

use super::Row;
use crate::bundle::Bundle;
use serde_json::json;
use std::fs;

fn file(bundle: Bundle, content: &[u8]) -> Bundle {
    fs::write(bundle.path.join("config.json"), content).unwrap();
    bundle
}

pub(super) const ROWS: &[Row] = &[
    ("config-json-is-missing", "config.json", |b| {
        fs::remove_file(b.path.join("config.json")).unwrap();
        b
    }),
    ("config-json-is-empty", "", |b| file(b, b"")),
    ("config-json-is-a-directory", "config.json", |b| {
        fs::remove_file(b.path.join("config.json")).unwrap();
        fs::create_dir(b.path.join("config.json")).unwrap();
        b
    }),
    ("config-json-is-no-json", "", |b| file(b, b"hello")),
    ("config-json-is-an-array", "", |b| file(b, b"[]")),
    ("config-json-is-cut-off", "", |b| {
        let text = b.config.to_string();
        file(b, &text.as_bytes()[..text.len() / 2])
    }),
    ("config-json-is-a-megabyte-of-brackets", "", |b| file(b, &vec![b'['; 1 << 20])),
    ("config-json-is-no-utf-8", "", |b| file(b, b"{\"ociVersion\": \"\xff\xfe")),
    ("the-version-is-missing", "version", |b| b.with("/ociVersion", json!(""))),
    ("the-root-is-missing", "root", |mut b| {
        b.config.as_object_mut().unwrap().remove("root");
        b.write();
        b
    }),
    ("the-root-path-does-not-exist", "rootfs", |b| b.with("/root/path", json!("missing-rootfs"))),
    ("the-arguments-are-empty", "args", |b| b.with("/process/args", json!([]))),
    ("the-arguments-are-a-string", "", |b| b.with("/process/args", json!("sleep"))),
    ("the-working-directory-is-relative", "cwd", |b| b.with("/process/cwd", json!("tmp"))),
    ("the-working-directory-is-empty", "cwd", |b| b.with("/process/cwd", json!(""))),
    ("the-user-is-negative", "", |b| b.with("/process/user/uid", json!(-1))),
    ("the-user-is-too-large", "", |b| b.with("/process/user/uid", json!(1u64 << 32))),
    ("the-user-is-a-name", "", |b| b.with("/process/user/uid", json!("root"))),
    ("a-namespace-of-unknown-type", "", |mut b| {
        b.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "moon"}));
        b.write();
        b
    }),
    ("a-user-namespace-without-mappings", "user", |b| b.namespace("user", None)),
    ("a-memory-limit-of-one-and-a-half", "", |b| b.with("/linux/resources/memory", json!({"limit": 1.5}))),
    ("a-memory-limit-in-words", "", |b| b.with("/linux/resources/memory", json!({"limit": "x"}))),
    ("a-cpu-quota-in-words", "", |b| b.with("/linux/resources/cpu", json!({"quota": "x"}))),
    ("a-pids-limit-in-words", "", |b| b.with("/linux/resources/pids", json!({"limit": "x"}))),
    ("an-unknown-rlimit", "RLIMIT_TEST", |b| {
        b.with("/process/rlimits", json!([{"type": "RLIMIT_TEST", "soft": 1, "hard": 1}]))
    }),
    ("an-unknown-seccomp-action", "SCMP_ACT_MAYBE", |b| {
        b.with(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_MAYBE", "architectures": ["SCMP_ARCH_X86_64"]}),
        )
    }),
    ("an-unknown-seccomp-architecture", "SCMP_ARCH_PDP11", |b| {
        b.with(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"],
            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}),
        )
    }),
    ("annotations-are-no-strings", "", |b| b.with("/annotations", json!({"a": 1}))),
    ("a-sysctl-of-the-host", "kernel.core_pattern", |b| {
        b.with("/linux/sysctl", json!({"kernel.core_pattern": "|/x"}))
    }),
    ("a-network-namespace-that-is-missing", "/run/netns/suite-missing", |b| {
        b.namespace("network", Some("/run/netns/suite-missing"))
    }),
    ("a-hook-that-is-missing", "/missing/hook", |b| b.hook("createRuntime", "/missing/hook", "")),
    ("a-hook-that-fails", "hook", |b| b.hook("createRuntime", "/bin/sh", "exit 3")),
    ("a-hook-that-hangs", "hook", |b| {
        b.hook("createRuntime", "/bin/sh", "exec sleep 1000").with("/hooks/createRuntime/0/timeout", json!(1))
    }),
];
