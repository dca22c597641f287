//! What a good config.json becomes.

mod file;
mod values;

use super::*;
use serde_json::{Value, json};
use std::fs;
use urunc_plan::input::{Namespace, NamespaceKind, User};

pub(super) fn config() -> Value {
    json!({
        "ociVersion": "1.0.2-dev",
        "root": {"path": "rootfs", "readonly": true},
        "process": {
            "user": {"uid": 7, "gid": 8, "additionalGids": [9, 10], "umask": 63},
            "args": ["/app", "a b"], "env": ["A=1", "B="], "cwd": "/srv", "terminal": true,
            "consoleSize": {"height": 24, "width": 80}, "oomScoreAdj": -5, "apparmorProfile": "docker-default",
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 18_446_744_073_709_551_615_u64}],
            "capabilities": {"bounding": ["CAP_KILL"]}, "noNewPrivileges": true
        },
        "hostname": "h", "domainname": "d",
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]}, {"destination": "data"}],
        "hooks": {"prestart": [{"path": "/proc/1/exe", "args": ["libnetwork-setkey"], "env": ["X=1"], "timeout": 5}]},
        "annotations": {"k": "v"},
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/1/ns/net"}, {"type": "time"}],
            "timeOffsets": {"boottime": {"secs": -1, "nanosecs": 5}},
            "sysctl": {"net.ipv4.ip_unprivileged_port_start": "0"},
            "cgroupsPath": "/docker/x", "rootfsPropagation": "rslave",
            "resources": {"memory": {"limit": 1, "swap": null}}, "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"},
            "devices": [{"path": "/dev/null", "type": "c"}], "maskedPaths": ["/proc/kcore"], "readonlyPaths": []
        },
        "vm": {}, "unknown": [1]
    })
}

fn written(bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("rootfs")).unwrap();
    fs::write(dir.path().join("config.json"), bytes).unwrap();
    dir
}

fn load(dir: &Path) -> anyhow::Result<Bundle> {
    read(dir)?.bundle()
}

pub(super) fn loaded(bytes: &[u8]) -> anyhow::Result<Bundle> {
    load(written(bytes).path())
}

/// Sets one member by JSON pointer; missing objects are made.
fn set(config: &mut Value, pointer: &str, value: Value) {
    let mut at = config;
    for key in pointer.trim_start_matches('/').split('/') {
        at = match at {
            Value::Array(list) => {
                let n: usize = key.parse().unwrap();
                list.resize(list.len().max(n + 1), Value::Null);
                &mut list[n]
            }
            other => {
                if other.is_null() {
                    *other = json!({});
                }
                other.as_object_mut().unwrap().entry(key).or_insert(Value::Null)
            }
        };
    }
    *at = value;
}

fn changed(pointer: &str, value: Value) -> anyhow::Result<Bundle> {
    let mut config = config();
    set(&mut config, pointer, value);
    loaded(&serde_json::to_vec(&config).unwrap())
}

#[test]
fn every_field_arrives() {
    let dir = written(&serde_json::to_vec(&config()).unwrap());
    let bundle = load(dir.path()).unwrap();
    let real = dir.path().canonicalize().unwrap();
    assert_eq!((&bundle.dir, &bundle.rootfs), (&real, &real.join("rootfs")));
    assert_eq!((bundle.oci_version.as_str(), bundle.has_process), ("1.0.2-dev", true));
    assert_eq!(bundle.annotations["k"], "v");
    let hook = Hook {
        path: "/proc/1/exe".into(),
        args: vec!["libnetwork-setkey".into()],
        env: vec!["X=1".into()],
        timeout: Some(5),
    };
    assert_eq!(bundle.hooks, Hooks { prestart: vec![hook], ..Hooks::default() });
    let request = bundle.request;
    assert_eq!(request.args, ["/app", "a b"]);
    assert_eq!(request.env, ["A=1", "B="]);
    assert_eq!(
        (request.cwd.as_str(), request.terminal, request.console_size),
        ("/srv", true, Some((24, 80)))
    );
    assert_eq!(request.user, User { uid: 7, gid: 8, groups: vec![9, 10], umask: Some(0o77) });
    assert_eq!((request.rlimits[0].soft, request.rlimits[0].hard), (1, u64::MAX));
    assert_eq!(request.oom_score_adj, Some(-5));
    assert_eq!((request.apparmor.as_deref(), request.selinux), (Some("docker-default"), None));
    assert!(request.readonly);
    assert_eq!((request.hostname.as_deref(), request.domainname.as_deref()), (Some("h"), Some("d")));
    assert_eq!(
        (request.mounts[0].kind.as_str(), request.mounts[0].options.as_slice()),
        ("proc", &["nosuid".into()][..])
    );
    assert_eq!(request.mounts[1].destination, "/data");
    let network =
        Namespace { kind: NamespaceKind::Network, path: Some("/proc/1/ns/net".into()), host: false };
    assert_eq!((request.namespaces.len(), &request.namespaces[1]), (3, &network));
    assert_eq!(request.time_offsets["boottime"], (-1, 5));
    assert_eq!(request.sysctl.len(), 1);
    assert_eq!((request.cgroups_path.as_str(), request.propagation.as_str()), ("/docker/x", "rslave"));
    assert_eq!(request.resources["memory"], json!({"limit": 1, "swap": null}));
    assert_eq!(request.seccomp, Some(json!({"defaultAction": "SCMP_ACT_ALLOW"})));
}

#[test]
fn little_is_required() {
    let bundle = loaded(br#"{"ociVersion":"1.3.0","root":{"path":"rootfs"}}"#).unwrap();
    assert!(!bundle.has_process);
    assert_eq!(bundle.request, Request::default());
    let nulls = br#"{"ociVersion":"1.0.0","root":{"path":"rootfs"},"hooks":null,"linux":{"resources":null,"seccomp":null},
        "mounts":null,"annotations":null,"process":{"args":null,"cwd":"/","user":{"uid":0,"gid":0,"additionalGids":null}}}"#;
    assert_eq!(loaded(nulls).unwrap().request, Request { cwd: "/".into(), ..Request::default() });
}

#[test]
fn what_delegation_needs_is_known_before_judgement() {
    let mut config = config();
    set(&mut config, "/linux/mountLabel", json!("system_u"));
    let dir = written(&serde_json::to_vec(&config).unwrap());
    let found = read(dir.path()).unwrap();
    assert_eq!(found.annotations()["k"], "v");
    assert_eq!(found.rootfs(), Some(found.dir().join("rootfs")));
    assert!(found.bundle().is_err());
}

#[test]
fn runc_spec_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("runc").arg("spec").current_dir(dir.path()).status().unwrap();
    assert!(made.success());
    fs::create_dir(dir.path().join("rootfs")).unwrap();
    let bundle = load(dir.path()).unwrap();
    assert_eq!(
        (bundle.request.args, bundle.request.namespaces[0].kind),
        (vec!["sh".to_owned()], NamespaceKind::Pid)
    );
}
