//! `urunc features`: the structure of runtime-spec 1.3's features.md. It lists what a test proves, nothing else.

use crate::cli::SPEC_VERSION;
use serde_json::{Value, json};
use urunc_plan::KEY_PREFIX;

/// Keys that name objects of the host: engines should not let users set them. They are refused from images.
const HOST_KEYS: [&str; 4] = ["RPCAddress", "bootInitrd", "bootKernel", "vAccel"];

const ACTIONS: [&str; 8] = ["ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "TRACE", "TRAP"];
const OPERATORS: [&str; 7] = ["EQ", "GE", "GT", "LE", "LT", "MASKED_EQ", "NE"];
const ARCHS: [&str; 5] = ["AARCH64", "ARM", "X32", "X86", "X86_64"];
const FLAGS: [&str; 4] = ["LOG", "SPEC_ALLOW", "TSYNC", "WAIT_KILLABLE_RECV"];

/// The document for these guest kinds and monitors.
pub fn document(guests: &[&str], monitors: &[&str]) -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "uts"],
            "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false},
            "seccomp": {
                "enabled": true,
                "actions": ACTIONS.map(|name| format!("SCMP_ACT_{name}")),
                "operators": OPERATORS.map(|name| format!("SCMP_CMP_{name}")),
                "archs": ARCHS.map(|name| format!("SCMP_ARCH_{name}")),
                "knownFlags": FLAGS.map(|name| format!("SECCOMP_FILTER_FLAG_{name}")),
                "supportedFlags": FLAGS.map(|name| format!("SECCOMP_FILTER_FLAG_{name}"))
            },
            "apparmor": {"enabled": true},
            "selinux": {"enabled": false},
            "intelRdt": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": false}},
            "netDevices": {"enabled": false}
        },
        "annotations": {
            "io.urunc.version": env!("CARGO_PKG_VERSION"),
            "io.urunc.guests": guests.join(","),
            "io.urunc.monitors": monitors.join(",")
        },
        "potentiallyUnsafeConfigAnnotations": HOST_KEYS.map(|name| format!("{KEY_PREFIX}{name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Names in the document, without their prefix, by JSON pointer.
    fn names(pointer: &str) -> Vec<String> {
        let document = document(&["mirage"], &["spt"]);
        document
            .pointer(pointer)
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap().into())
            .collect()
    }

    #[test]
    fn every_listed_namespace_and_hook_is_accepted_by_the_bundle() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rootfs")).unwrap();
        let namespaces: Vec<Value> =
            names("/linux/namespaces").iter().map(|kind| json!({"type": kind})).collect();
        let hooks: Value = names("/hooks").into_iter().map(|kind| (kind, json!([{"path": "/x"}]))).collect();
        let config = json!({"ociVersion": SPEC_VERSION, "root": {"path": "rootfs"}, "hooks": hooks,
            "linux": {"namespaces": namespaces}});
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let bundle = crate::bundle::load(dir.path()).unwrap();
        assert_eq!(bundle.request.namespaces.len(), 7);
        let hooks = serde_json::to_value(bundle.hooks).unwrap();
        assert!(
            hooks.as_object().unwrap().values().all(|list| list.as_array().unwrap().len() == 1),
            "{hooks}"
        );
    }

    #[test]
    fn guests_and_monitors_are_named() {
        let document = document(&["mirage", "linux"], &["spt", "qemu"]);
        assert_eq!(document["annotations"]["io.urunc.guests"], "mirage,linux");
        assert_eq!(document["annotations"]["io.urunc.monitors"], "spt,qemu");
    }
}
