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
    ("i-01-config-json-is-missing", "config.json", |b| {
        fs::remove_file(b.path.join("config.json")).unwrap();
        b
    }),
    ("i-02-config-json-is-empty", "", |b| file(b, b"")),
    ("i-03-config-json-is-a-directory", "config.json", |b| {
        fs::remove_file(b.path.join("config.json")).unwrap();
        fs::create_dir(b.path.join("config.json")).unwrap();
        b
    }),
    ("i-06-config-json-is-no-json", "", |b| file(b, b"hello")),
    ("i-06-config-json-is-an-array", "", |b| file(b, b"[]")),
    ("i-06-config-json-is-cut-off", "", |b| {
        let text = b.config.to_string();
        file(b, &text.as_bytes()[..text.len() / 2])
    }),
    ("i-05-config-json-is-a-megabyte-of-brackets", "", |b| file(b, &vec![b'['; 1 << 20])),
    ("i-06-config-json-is-no-utf-8", "", |b| file(b, b"{\"ociVersion\": \"\xff\xfe")),
    ("i-09-the-version-is-missing", "version", |b| b.with("/ociVersion", json!(""))),
    ("i-11-the-root-is-missing", "root", |mut b| {
        b.config.as_object_mut().unwrap().remove("root");
        b.write();
        b
    }),
    ("i-12-the-root-path-does-not-exist", "rootfs", |b| b.with("/root/path", json!("missing-rootfs"))),
    ("i-13-the-arguments-are-empty", "args", |b| b.with("/process/args", json!([]))),
    ("i-13-the-arguments-are-a-string", "", |b| b.with("/process/args", json!("sleep"))),
    ("i-17-the-working-directory-is-relative", "cwd", |b| b.with("/process/cwd", json!("tmp"))),
    ("i-17-the-working-directory-is-empty", "cwd", |b| b.with("/process/cwd", json!(""))),
    ("i-18-the-user-is-negative", "", |b| b.with("/process/user/uid", json!(-1))),
    ("i-18-the-user-is-too-large", "", |b| b.with("/process/user/uid", json!(1u64 << 32))),
    ("i-18-the-user-is-a-name", "", |b| b.with("/process/user/uid", json!("root"))),
    ("i-20-a-namespace-of-unknown-type", "", |mut b| {
        b.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "moon"}));
        b.write();
        b
    }),
    ("i-22-a-user-namespace-without-mappings", "user", |b| b.namespace("user", None)),
    ("i-26-a-memory-limit-of-one-and-a-half", "", |b| {
        b.with("/linux/resources/memory", json!({"limit": 1.5}))
    }),
    ("i-26-a-memory-limit-in-words", "", |b| b.with("/linux/resources/memory", json!({"limit": "x"}))),
    ("i-27-a-cpu-quota-in-words", "", |b| b.with("/linux/resources/cpu", json!({"quota": "x"}))),
    ("i-28-a-pids-limit-in-words", "", |b| b.with("/linux/resources/pids", json!({"limit": "x"}))),
    ("i-28-an-unknown-rlimit", "RLIMIT_TEST", |b| {
        b.with("/process/rlimits", json!([{"type": "RLIMIT_TEST", "soft": 1, "hard": 1}]))
    }),
    ("i-29-an-unknown-seccomp-action", "SCMP_ACT_MAYBE", |b| {
        b.with(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_MAYBE", "architectures": ["SCMP_ARCH_X86_64"]}),
        )
    }),
    ("i-29-an-unknown-seccomp-architecture", "SCMP_ARCH_PDP11", |b| {
        b.with(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"],
            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}),
        )
    }),
    ("i-42-annotations-are-no-strings", "", |b| b.with("/annotations", json!({"a": 1}))),
    ("i-30-a-sysctl-of-the-host", "kernel.core_pattern", |b| {
        b.with("/linux/sysctl", json!({"kernel.core_pattern": "|/x"}))
    }),
    ("i-20-a-network-namespace-that-is-missing", "/run/netns/suite-missing", |b| {
        b.namespace("network", Some("/run/netns/suite-missing"))
    }),
    ("i-24-a-hook-that-is-missing", "/missing/hook", |b| b.hook("createRuntime", "/missing/hook", "")),
    ("i-24-a-hook-that-fails", "hook", |b| b.hook("createRuntime", "/bin/sh", "exit 3")),
    ("i-24-a-hook-that-hangs", "hook", |b| {
        b.hook("createRuntime", "/bin/sh", "exec sleep 1000").with("/hooks/createRuntime/0/timeout", json!(1))
    }),
];
