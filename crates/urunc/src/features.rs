//! `urunc features`: the structure of runtime-spec 1.3's features.md. It lists what a test proves, nothing else.

use crate::cli::SPEC_VERSION;
use serde_json::{Value, json};
use urunc_plan::{KEY_PREFIX, guest, monitor};

/// Keys that name objects of the host: engines should not let users set them. They are refused from images.
const HOST_KEYS: [&str; 4] = ["RPCAddress", "bootInitrd", "bootKernel", "vAccel"];

const ACTIONS: [&str; 8] = ["ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "TRACE", "TRAP"];
const OPERATORS: [&str; 7] = ["EQ", "GE", "GT", "LE", "LT", "MASKED_EQ", "NE"];
const ARCHS: [&str; 5] = ["AARCH64", "ARM", "X32", "X86", "X86_64"];
const FLAGS: [&str; 4] = ["LOG", "SPEC_ALLOW", "TSYNC", "WAIT_KILLABLE_RECV"];

/// The output of `features`.
pub fn json() -> String {
    format!("{:#}\n", document())
}

fn document() -> Value {
    let guests: Vec<&str> = guest::ALL.iter().map(|guest| guest.name()).collect();
    let monitors: Vec<&str> = monitor::ALL.iter().map(|monitor| monitor.name()).collect();
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "uts"],
            "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": false},
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
        let document = document();
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
        let bundle = crate::bundle::read(dir.path()).and_then(crate::bundle::Config::bundle).unwrap();
        assert_eq!(bundle.request.namespaces.len(), 7);
        let hooks = serde_json::to_value(bundle.hooks).unwrap();
        assert!(
            hooks.as_object().unwrap().values().all(|list| list.as_array().unwrap().len() == 1),
            "{hooks}"
        );
    }

    #[test]
    fn every_listed_name_is_compiled() {
        for action in names("/linux/seccomp/actions") {
            profile(&json!({"defaultAction": action})).unwrap();
        }
        for op in names("/linux/seccomp/operators") {
            let rule = json!({"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": op}]});
            profile(&json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})).unwrap();
        }
        for arch in names("/linux/seccomp/archs") {
            profile(&json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [arch]})).unwrap();
        }
        for flag in names("/linux/seccomp/knownFlags") {
            profile(&json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": [flag]})).unwrap();
        }
        assert!(profile(&json!({"defaultAction": "SCMP_ACT_NOTIFY"})).is_err());
    }

    fn profile(profile: &Value) -> Result<(), urunc_plan::PlanError> {
        let filter = urunc_plan::launch::Filter::Profile(profile.clone());
        urunc_plan::seccomp::compile(&filter, "x86_64").map(|_| ())
    }

    #[test]
    fn guests_and_monitors_are_named() {
        let document = document();
        let listed =
            |key: &str| document["annotations"][key].as_str().unwrap().split(',').collect::<Vec<_>>();
        assert!(
            ["linux", "mirage", "rumprun", "solo5"]
                .iter()
                .all(|name| listed("io.urunc.guests").contains(name))
        );
        assert!(["qemu", "spt"].iter().all(|name| listed("io.urunc.monitors").contains(name)));
    }
}
