//! Values of single members: refused by name, or accepted.

use super::changed;
use serde_json::{Value, json};

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
        ("/linux/namespaces/1/path", json!("ns"), "linux.namespaces[1].path: \"ns\" is not absolute"),
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
    ]);
}

#[test]
fn harmless_values_are_accepted() {
    let cases = [
        ("/linux/personality", json!({"domain": "LINUX"})),
        ("/linux/intelRdt", json!({})),
        ("/process/consoleSize", json!({"height": 0, "width": 0})),
        ("/process/user/uid", json!(4_294_967_294_u64)),
        ("/process/user/username", json!("root")),
        ("/ociVersion", json!("1.99.0-rc.1+dev")),
    ];
    for (pointer, value) in cases {
        assert!(changed(pointer, value).is_ok(), "{pointer}");
    }
}
