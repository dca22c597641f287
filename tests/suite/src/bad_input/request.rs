//! What config.json asks for, on a unikernel: refused in words, or taken as runc takes it.

use super::Row;
use crate::bundle::Bundle;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

/// Replaces config.json by what `write` makes at its path.
fn config(bundle: Bundle, write: impl FnOnce(&std::path::Path)) -> Bundle {
    let path = bundle.path.join("config.json");
    fs::remove_file(&path).unwrap();
    write(&path);
    bundle
}

fn without(mut bundle: Bundle, field: &str) -> Bundle {
    bundle.config.as_object_mut().unwrap().remove(field);
    bundle.write();
    bundle
}

fn root_is(bundle: Bundle, make: impl FnOnce(&std::path::Path)) -> Bundle {
    make(&bundle.path.join("odd-root"));
    bundle.with("/root/path", json!("odd-root"))
}

fn mount(mut bundle: Bundle, destination: &str, kind: &str) -> Bundle {
    let mount = json!({"destination": destination, "type": kind, "source": kind});
    bundle.config["mounts"].as_array_mut().unwrap().push(mount);
    bundle.write();
    bundle
}

fn hook(bundle: Bundle, path: &str) -> Bundle {
    bundle.with("/hooks", json!({"createRuntime": [{"path": path}]}))
}

fn resources(bundle: Bundle, name: &str, value: Value) -> Bundle {
    bundle.with(&format!("/linux/resources/{name}"), value)
}

fn syscalls(bundle: Bundle, rule: &Value) -> Bundle {
    bundle.with("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("N{n}=")).collect()
}

/// `create` refuses, and the error has the word.
pub(super) const REFUSED: &[Row] = &[
    ("i-04-config-json-is-a-fifo", "config.json", |b| {
        config(b, |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()))
    }),
    ("i-04-config-json-is-a-device", "config.json", |b| {
        config(b, |path| {
            let name = path.as_os_str();
            let made = Command::new("mknod").arg(name).args(["c", "1", "5"]).status();
            assert!(made.unwrap().success());
        })
    }),
    ("i-05-config-json-is-100-mebibytes-of-brackets", "config.json", |b| {
        config(b, |path| fs::write(path, vec![b'['; 100 << 20]).unwrap())
    }),
    ("i-06-config-json-ends-within-a-character", "config.json", |b| {
        config(b, |path| fs::write(path, b"{\"hostname\": \"\xc3").unwrap())
    }),
    ("i-07-a-field-twice", "duplicate field", |b| {
        let text = b.config.to_string().replacen('{', "{\"ociVersion\":\"1.0.2\",", 1);
        config(b, |path| fs::write(path, text).unwrap())
    }),
    ("i-09-a-version-of-the-future", "ociVersion", |b| b.with("/ociVersion", json!("9.9.9"))),
    ("i-09-a-version-that-is-a-number", "ociVersion", |b| b.with("/ociVersion", json!(1))),
    ("i-11-root-is-null", "root.path", |b| without(b, "root")),
    ("i-12-the-root-is-a-file", "root.path", |b| root_is(b, |path| fs::write(path, "").unwrap())),
    ("i-12-the-root-is-a-link-to-the-host-s", "root.path", |b| {
        root_is(b, |path| symlink("/", path).unwrap())
    }),
    ("i-12-the-root-is-the-host-s", "root.path", |b| b.with("/root/path", json!("/"))),
    ("i-12-the-root-is-a-loop-of-links", "root.path", |b| {
        root_is(b, |path| symlink("odd-root", path).unwrap())
    }),
    ("i-14-100000-arguments", "command line", |b| b.with("/process/args", json!(vec!["argument"; 100_000]))),
    ("i-15-a-variable-with-a-nul", "process.env[0]", |b| b.with("/process/env", json!(["A=\0"]))),
    ("i-15-a-working-directory-with-a-nul", "process.cwd", |b| b.with("/process/cwd", json!("/a\0b"))),
    ("i-16-a-variable-without-equals-sign", "process.env[1]", |b| {
        b.with("/process/env", json!(["A=1", "PATH"]))
    }),
    ("i-16-a-variable-without-name", "process.env[0]", |b| b.with("/process/env", json!(["=x"]))),
    ("i-17-a-working-directory-by-descriptor", "process.cwd", |b| {
        b.with("/process/cwd", json!("/proc/self/fd/7"))
    }),
    ("i-17-a-working-directory-by-descriptor-in-disguise", "process.cwd", |b| {
        b.with("/process/cwd", json!("//./proc/self/fd/7"))
    }),
    ("i-18-the-user-that-means-no-change", "process.user.uid", |b| {
        b.with("/process/user/uid", json!(u32::MAX))
    }),
    ("i-18-the-group-that-means-no-change", "process.user.gid", |b| {
        b.with("/process/user/gid", json!(u32::MAX))
    }),
    ("i-18-an-additional-group-that-means-no-change", "additionalGids[1]", |b| {
        b.with("/process/user/additionalGids", json!([1, u32::MAX]))
    }),
    ("i-19-a-terminal-without-socket", "--console-socket", |b| b.with("/process/terminal", json!(true))),
    ("i-20-a-namespace-of-another-kind", "uts", |b| b.namespace("uts", Some("/proc/self/ns/net"))),
    ("i-20-a-namespace-that-is-a-file", "/etc/hostname", |b| b.namespace("uts", Some("/etc/hostname"))),
    ("i-20-a-namespace-that-is-a-directory", "/etc", |b| b.namespace("uts", Some("/etc"))),
    ("i-20-a-namespace-by-relative-path", "linux.namespaces[4].path", |b| b.namespace("ipc", Some("ns/ipc"))),
    ("i-20-a-namespace-that-is-missing", "/run/none", |b| b.namespace("uts", Some("/run/none"))),
    ("i-21-a-namespace-twice", "linux.namespaces[5].type", |mut b| {
        b.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "uts"}));
        b.write();
        b
    }),
    ("i-22-a-user-namespace-without-mappings-on-a-unikernel", "user namespaces", |b| {
        b.namespace("user", None)
    }),
    ("i-22-mappings-without-a-user-namespace", "linux.uidMappings", |b| {
        b.with("/linux/uidMappings", json!([{"containerID": 0, "hostID": 1, "size": 1}]))
    }),
    ("i-23-a-mount-with-dots", "mounts[3].destination", |b| mount(b, "/a/../../b", "tmpfs")),
    ("i-23-a-mount-over-the-root", "mounts[3].destination", |b| mount(b, "/", "tmpfs")),
    ("i-23-a-mount-over-the-root-in-disguise", "mounts[3].destination", |b| mount(b, "/./", "tmpfs")),
    ("i-23-a-mount-without-destination", "mounts[3].destination", |b| mount(b, "", "tmpfs")),
    ("i-23-a-mount-with-a-nul", "mounts[3].destination", |b| mount(b, "/a\0b", "tmpfs")),
    ("i-23-a-mount-of-an-unknown-type", "moonfs", |b| mount(b, "/odd", "moonfs")),
    ("i-23-a-mount-at-a-relative-place", "/odd", |b| mount(b, "odd", "tmpfs")),
    ("i-23-10000-mounts", "mounts[0]", |mut b| {
        let mounts = (0..10_000).map(|n| json!({"destination": format!("/m{n}"), "type": "tmpfs"}));
        b.config["mounts"] = mounts.collect();
        b.write();
        b
    }),
    ("i-24-a-hook-by-relative-path", "hook", |b| hook(b, "bin/true")),
    ("i-24-a-hook-that-may-not-be-executed", "hook", |b| {
        let path = b.path.join("hook");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        hook(b, &path.display().to_string())
    }),
    ("i-24-a-hook-that-is-a-directory", "hook", |b| hook(b, "/etc")),
    ("i-24-a-hook-that-fails-and-writes-a-gibibyte", "hook", |b| {
        b.hook("prestart", "/bin/sh", "head -c 1073741824 /dev/zero; exit 3")
    }),
    ("i-24-a-hook-of-the-container-that-fails", "createContainer hook", |b| {
        b.hook("createContainer", "/bin/sh", "exit 3")
    }),
    ("i-25-a-cgroup-with-dots", "linux.cgroupsPath", |b| b.with("/linux/cgroupsPath", json!("/../x"))),
    ("i-25-a-cgroup-with-dots-at-the-end", "linux.cgroupsPath", |b| {
        b.with("/linux/cgroupsPath", json!("/a/.."))
    }),
    ("i-25-a-cgroup-with-a-newline", "linux.cgroupsPath", |b| b.with("/linux/cgroupsPath", json!("/a\nb"))),
    ("i-26-a-memory-limit-of-one-byte", "memory", |b| resources(b, "memory", json!({"limit": 1}))),
    ("i-26-a-memory-limit-of-words-on-a-unikernel", "linux.resources.memory.limit", |b| {
        resources(b, "memory", json!({"limit": "x"}))
    }),
    ("i-26-a-memory-limit-below-what-the-guest-needs", "memory", |b| {
        resources(b, "memory", json!({"limit": 3 << 20}))
    }),
    ("i-27-a-cpu-quota-in-words-on-a-unikernel", "linux.resources.cpu.quota", |b| {
        resources(b, "cpu", json!({"quota": "x"}))
    }),
    ("i-27-cpu-shares-below-zero", "linux.resources.cpu.shares", |b| {
        resources(b, "cpu", json!({"shares": -1}))
    }),
    ("i-27-processors-that-do-not-exist", "cpus", |b| resources(b, "cpu", json!({"cpus": "4095"}))),
    ("i-28-a-pids-limit-in-words-on-a-unikernel", "linux.resources.pids.limit", |b| {
        resources(b, "pids", json!({"limit": "x"}))
    }),
    ("i-29-an-unknown-seccomp-operator", "SCMP_CMP_MAYBE", |b| {
        let arg = json!({"index": 0, "value": 0, "op": "SCMP_CMP_MAYBE"});
        syscalls(b, &json!({"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [arg]}))
    }),
    ("i-29-a-seccomp-argument-of-the-future", "linux.seccomp", |b| {
        let arg = json!({"index": 6, "value": 0, "op": "SCMP_CMP_EQ"});
        syscalls(b, &json!({"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [arg]}))
    }),
    ("i-29-seccomp-with-a-listener", "SCMP_ACT_NOTIFY", |b| {
        syscalls(b, &json!({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}))
    }),
    ("i-30-a-device-of-an-unknown-type", "linux.devices[0]", |b| {
        b.with("/linux/devices", json!([{"path": "/dev/odd", "type": "x", "major": 1, "minor": 3}]))
    }),
    ("i-30-a-device-of-the-host", "linux.devices[0]", |b| {
        b.with("/linux/devices", json!([{"path": "/dev/sda", "type": "b", "major": 8, "minor": 0}]))
    }),
    ("i-30-a-device-rule-with-a-major-above-all", "linux.resources.devices", |b| {
        let rule = json!({"allow": true, "type": "c", "major": 1u64 << 32, "minor": 0, "access": "rwm"});
        resources(b, "devices", json!([rule]))
    }),
    ("i-30-a-device-rule-of-an-unknown-type", "linux.resources.devices", |b| {
        resources(b, "devices", json!([{"allow": true, "type": "x", "major": 1, "minor": 3, "access": "r"}]))
    }),
    ("i-41-a-console-wider-than-65535", "process.consoleSize", |b| {
        b.with("/process/consoleSize", json!({"height": 1, "width": 65_536}))
    }),
];

/// What is odd, and how the bundle gets so.
pub(super) type Taken = (&'static str, fn(Bundle) -> Bundle);

/// Odd, and taken: `create`, `start` and `delete` succeed.
pub(super) const TAKEN: &[Taken] = &[
    ("i-08-an-unknown-field-is-taken", |b| b.with("/futureField", json!({"a": [1]}))),
    ("i-09-a-version-of-the-same-major-is-taken", |b| b.with("/ociVersion", json!("1.99.0"))),
    ("i-14-1000-arguments-are-taken", |b| b.with("/process/args", json!(vec!["abc"; 1_000]))),
    ("i-15-an-argument-with-a-newline-is-taken", |b| b.with("/process/args", json!(["a\nb"]))),
    ("i-16-10000-variables-are-taken", |b| b.with("/process/env", json!(numbered(10_000)))),
    ("i-20-the-own-namespace-is-taken", |b| b.namespace("network", Some("/proc/self/ns/net"))),
    ("i-24-a-hook-that-writes-a-gibibyte-is-taken", |b| {
        b.hook("createRuntime", "/bin/sh", "head -c 1073741824 /dev/zero")
    }),
    ("i-26-no-memory-limit-by-nought-is-taken", |b| resources(b, "memory", json!({"limit": 0}))),
    ("i-26-no-memory-limit-by-minus-one-is-taken", |b| resources(b, "memory", json!({"limit": -1}))),
    ("i-28-no-pids-limit-is-taken", |b| resources(b, "pids", json!({"limit": -1}))),
    ("i-29-an-unknown-syscall-is-taken", |b| {
        syscalls(b, &json!({"names": ["syscall_of_the_future"], "action": "SCMP_ACT_ERRNO"}))
    }),
    ("i-41-a-console-of-no-size-is-taken", |b| {
        b.with("/process/consoleSize", json!({"height": 0, "width": 0}))
    }),
    ("i-41-a-console-of-65535-is-taken", |b| {
        b.with("/process/consoleSize", json!({"height": 65_535, "width": 65_535}))
    }),
];
