use super::*;
use serde_json::{Value, json};
use std::{fs, os::unix::fs::symlink};
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

/// Each change of one member must be refused with one line that contains the words.
fn refused(cases: &[(&str, Value, &str)]) {
    for (pointer, value, wanted) in cases {
        let message =
            format!("{:#}", changed(pointer, value.clone()).expect_err(&format!("{pointer} {value}")));
        assert!(
            message.starts_with("config.json: ") && message.contains(wanted),
            "{pointer} {value}: {message}"
        );
        assert!(!message.contains('\n') && !message.ends_with('.'), "{message:?}");
    }
}

#[test]
fn wrong_values_of_top_level_are_named() {
    refused(&[
        ("/ociVersion", json!("9.9.9"), "ociVersion: \"9.9.9\" is not supported"),
        ("/ociVersion", json!(null), "ociVersion: missing"),
        ("/ociVersion", json!(1), "ociVersion: invalid type"),
        ("/root", json!(null), "root.path: missing"),
        ("/root/path", json!("nowhere"), "nowhere: No such file"),
        ("/root/path", json!("config.json"), "config.json: not a directory"),
        ("/root/path", json!("/"), "is the root of this host"),
        ("/root/path", json!("/proc/self/root"), "is the root of this host"),
        ("/hostname", json!("h".repeat(65)), "hostname: must be at most 64"),
        ("/mounts/1/destination", json!("/a/../b"), "mounts[1].destination: \"/a/../b\" has .. in it"),
        ("/mounts/1/destination", json!("/./"), "mounts[1].destination: \"/./\" would hide"),
        ("/mounts/1/destination", json!(""), "mounts[1].destination: \"\" is not a path"),
        ("/mounts/1/uidMappings", json!([{}]), "mounts[1]: id-mapped"),
        ("/hooks/poststop", json!([{"path": "bin/x"}]), "hooks.poststop[0].path: \"bin/x\" is not absolute"),
        (
            "/hooks/createRuntime",
            json!([{"path": "/x", "timeout": 0}]),
            "hooks.createRuntime[0].timeout: must",
        ),
        ("/hooks/poststart", json!([{"path": "/x", "timeout": -1}]), "hooks.poststart[0].timeout: must"),
        (
            "/hooks/startContainer",
            json!([{"path": "/x", "env": ["A=\u{0}"]}]),
            "hooks.startContainer[0].args: contains",
        ),
        ("/hooks/createContainer", json!({}), "hooks.createContainer: invalid type"),
    ]);
}

#[test]
fn wrong_values_of_process_are_named() {
    refused(&[
        ("/process/user/uid", json!(-1), "process.user.uid: invalid value"),
        ("/process/user/uid", json!(4_294_967_295_u64), "process.user.uid: 4294967295 is not an id"),
        ("/process/user/gid", json!(4_294_967_296_u64), "process.user.gid: invalid value"),
        ("/process/user/uid", json!("root"), "process.user.uid: invalid type"),
        ("/process/user/uid", json!(1.5), "process.user.uid: invalid type"),
        ("/process/user/uid", json!("0x10"), "process.user.uid: invalid type"),
        ("/process/user/additionalGids", json!([1, 4_294_967_295_u64]), "process.user.additionalGids[1]: "),
        ("/process/user/umask", json!(512), "process.user.umask: "),
        ("/process/args", json!(["a\u{0}"]), "process.args[0]: contains a NUL"),
        ("/process/env", json!(["A=1", "B"]), "process.env[1]: is not of the form"),
        ("/process/env", json!(["=1"]), "process.env[0]: is not of the form"),
        ("/process/cwd", json!("srv"), "process.cwd: \"srv\" is not absolute"),
        ("/process/cwd", json!("//./proc/self/fd/7"), "is in /proc"),
        ("/process/consoleSize/width", json!(70_000), "process.consoleSize: "),
        ("/process/consoleSize/width", json!(-1), "process.consoleSize.width: invalid value"),
        ("/process/terminal", json!("yes"), "process.terminal: invalid type"),
        ("/process/oomScoreAdj", json!(1001), "process.oomScoreAdj: 1001 is not within"),
        ("/process/rlimits/0/type", json!("RLIMIT_X"), "process.rlimits[0]: type \"RLIMIT_X\" is unknown"),
        (
            "/process/rlimits/1",
            json!({"type": "RLIMIT_NOFILE"}),
            "process.rlimits[1]: RLIMIT_NOFILE is listed twice",
        ),
        ("/process/rlimits/0/hard", json!(0), "process.rlimits[0]: soft limit 1 is above hard limit 0"),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_RT"}), "process.ioPriority: not supported"),
        ("/process/scheduler", json!({"policy": "SCHED_FIFO"}), "process.scheduler: not supported"),
        ("/process/execCPUAffinity", json!({"initial": "0"}), "process.execCPUAffinity: not supported"),
    ]);
}

#[test]
fn wrong_values_of_linux_are_named() {
    refused(&[
        ("/linux/namespaces/3", json!({"type": "pid"}), "linux.namespaces[3].type: \"pid\" is listed twice"),
        ("/linux/namespaces/3", json!({"type": "frob"}), "linux.namespaces[3].type: \"frob\" is unknown"),
        ("/linux/namespaces/3", json!({"type": "user"}), "linux.namespaces[3].type: user namespaces"),
        ("/linux/namespaces/1/path", json!("ns"), "linux.namespaces[1].path: \"ns\" is not absolute"),
        ("/linux/uidMappings", json!([{"size": 1}]), "linux.uidMappings: user namespaces"),
        ("/linux/gidMappings", json!([{"size": 1}]), "linux.gidMappings: user namespaces"),
        ("/linux/timeOffsets/realtime", json!({"secs": 1}), "linux.timeOffsets.realtime: unknown clock"),
        (
            "/linux/timeOffsets/boottime/nanosecs",
            json!(1_000_000_000),
            "linux.timeOffsets.boottime: nanosecs",
        ),
        ("/linux/namespaces", json!([]), "linux.timeOffsets: needs a new time namespace"),
        ("/linux/rootfsPropagation", json!("odd"), "linux.rootfsPropagation: \"odd\" is unknown"),
        ("/linux/cgroupsPath", json!("/a/../../b"), "linux.cgroupsPath: \"/a/../../b\" must not"),
        ("/linux/mountLabel", json!("system_u"), "linux.mountLabel: SELinux"),
        ("/linux/personality", json!({"domain": "LINUX32"}), "linux.personality: only LINUX"),
        ("/linux/intelRdt", json!({"closID": "x"}), "linux.intelRdt: not supported"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND"}), "linux.memoryPolicy: not supported"),
        ("/linux/netDevices", json!({"eth0": {}}), "linux.netDevices: not supported"),
        (
            "/linux/devices",
            json!([{"path": "/dev/null"}, {"path": "/dev/sda"}]),
            "linux.devices[1]: device \"/dev/sda\"",
        ),
    ]);
}

#[test]
fn harmless_values_are_accepted() {
    let cases = [
        ("/linux/personality", json!({"domain": "LINUX"})),
        ("/linux/intelRdt", json!({})),
        ("/linux/devices", json!([{"path": "/dev/kvm"}, {"path": "/dev/net/tun"}])),
        ("/process/consoleSize", json!({"height": 0, "width": 0})),
        ("/process/user/uid", json!(4_294_967_294_u64)),
        ("/process/user/username", json!("root")),
        ("/ociVersion", json!("1.99.0-rc.1+dev")),
    ];
    for (pointer, value) in cases {
        assert!(changed(pointer, value).is_ok(), "{pointer}");
    }
}

/// The device lists of Docker 26, Podman 4.3 and containerd 1.6 with `--privileged`, and such as only look like it.
#[test]
fn host_devices_are_ignored_when_privileged_only() {
    let everything = json!({"allow": true, "access": "rwm"});
    let nothing = json!({"allow": false, "access": "rwm"});
    let autofs = json!({"allow": true, "type": "c", "major": 10, "minor": 235, "access": "rwm"});
    let cases = [
        (json!([everything]), true),
        (json!([nothing, everything]), true),
        (json!([{"allow": true, "type": "a", "major": -1, "minor": -1, "access": "mrw"}]), true),
        (json!(null), false),
        (json!([]), false),
        (json!([nothing]), false),
        (json!([everything, autofs]), false),
        (json!([nothing, autofs]), false),
        (json!([{"allow": true, "access": "r"}]), false),
        (json!([{"allow": true, "type": "c", "access": "rwm"}]), false),
        (json!([{"allow": true, "major": 10, "access": "rwm"}]), false),
    ];
    for (rules, accepted) in cases {
        let mut config = config();
        set(&mut config, "/linux/devices", json!([{"path": "/dev/autofs"}, {"path": "/dev/sda"}]));
        set(&mut config, "/linux/resources/devices", rules.clone());
        let result = loaded(config.to_string().as_bytes());
        assert_eq!(result.is_ok(), accepted, "{rules}");
    }
}

#[test]
fn broken_files_are_refused_in_one_line() {
    let good = String::from_utf8(serde_json::to_vec(&config()).unwrap()).unwrap();
    let cases: [(Vec<u8>, &str); 10] = [
        (vec![], "config.json: EOF while parsing"),
        (good.as_bytes()[..good.len() - 1].to_vec(), "config.json: EOF"),
        (br#"{"hostname":"a"#.iter().chain(&[0xc3]).copied().collect(), "config.json: hostname: "),
        (
            br#"{"ociVersion":"1.0.0","ociVersion":"1.0.1"}"#.to_vec(),
            "config.json: duplicate field `ociVersion`",
        ),
        ([b"{\"x\":".to_vec(), vec![b'['; 1 << 20]].concat(), "config.json: x: EOF"),
        ([br#"{"linux":{"seccomp":"#.to_vec(), vec![b'['; 1 << 20]].concat(), ": recursion limit exceeded"),
        (vec![b'['; (16 << 20) + 1], "larger than 16777216 bytes"),
        (b"[]".to_vec(), "config.json: "),
        (br#"{"linux":{"timeOffsets":{"a\nb":"x"}}}"#.to_vec(), r"linux.timeOffsets.a\nb: "),
        ([good.as_bytes(), b"x"].concat(), "config.json: trailing characters"),
    ];
    for (bytes, wanted) in cases {
        let message = format!("{:#}", loaded(&bytes).unwrap_err());
        assert!(
            message.contains(wanted) && !message.contains('\n') && message.len() < 250,
            "{wanted}: {message}"
        );
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_in_one_line() {
    let good = serde_json::to_vec_pretty(&config()).unwrap();
    for length in 0..good.len() {
        let message = document::parse(&good[..length]).unwrap_err().to_string();
        assert!(message.starts_with("config.json: ") && !message.contains('\n'), "{length}: {message}");
    }
}

#[test]
fn other_things_by_that_name() {
    let message = |dir: &Path| format!("{:#}", load(dir).unwrap_err());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    assert!(message(dir.path()).contains("config.json: No such file"));
    assert!(message(&dir.path().join("x")).starts_with("bundle "));
    symlink("config.json", &path).unwrap();
    assert!(message(dir.path()).contains("symbolic link"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(message(dir.path()).contains("not a regular file"));
    fs::remove_dir(&path).unwrap();
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(message(dir.path()).contains("not a regular file"));
}

#[test]
fn what_delegation_needs_is_known_before_judgement() {
    let mut config = config();
    set(&mut config, "/linux/uidMappings", json!([{"size": 1}]));
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
