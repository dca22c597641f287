//! Kinds of containers: between them they take every path from `create` to `delete`.

use serde_json::json;
use std::path::Path;
use suite::bundle::Bundle;
use suite::reality::network::service;

/// One kind.
pub(crate) struct Lane {
    /// Name.
    pub(crate) name: &'static str,
    /// Init's last own call.
    pub(crate) last: &'static str,
    /// Puts the bundle into a directory, with this group.
    pub(crate) bundle: fn(&Place<'_>) -> Bundle,
}

/// What a bundle is made of.
pub(crate) struct Place<'a> {
    /// Where.
    pub(crate) dir: &'a Path,
    /// Its control group.
    pub(crate) cgroup: &'a str,
    /// Network namespace with a device.
    pub(crate) network: &'a str,
}

/// All kinds.
pub(crate) const LANES: [Lane; 3] = [
    Lane { name: "spt", last: "seccomp", bundle: spt },
    Lane { name: "qemu", last: "execve", bundle: qemu },
    Lane { name: "process", last: "execve", bundle: process },
];

fn new(place: &Place<'_>) -> Bundle {
    Bundle::new(place.dir, place.cgroup)
}

/// The built-in monitor and a guest with a network device, with everything in the request that costs a call of its own.
fn spt(place: &Place<'_>) -> Bundle {
    let limits = json!({
        "devices": [{"allow": false, "access": "rwm"}],
        "memory": {"limit": 64 << 20},
        "cpu": {"shares": 512},
        "pids": {"limit": 64}
    });
    let rlimits = json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]);
    let bundle = service(new(place), place.network).with("/linux/resources", limits);
    bundle.with("/process/rlimits", rlimits).with("/process/oomScoreAdj", 100.into())
}

/// A program of the host as monitor, with a tap beside an engine's device. The probe plays QEMU.
fn qemu(place: &Place<'_>) -> Bundle {
    let args = json!(["/app", "probe=quiet", "probe=qmp"]);
    new(place).linux().with("/process/args", args).namespace("network", Some(place.network))
}

/// A program of the image, as another user with capabilities, under a filter, with paths hidden from it and a hook of each
/// kind.
fn process(place: &Place<'_>) -> Bundle {
    let filter = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}]
    });
    let user = json!({"uid": 1000, "gid": 1000, "additionalGids": [7]});
    let bundle = new(place).busybox(&["sleep", "1000"]).with("/linux/seccomp", filter);
    let kill = json!(["CAP_KILL"]);
    let sets = json!({"bounding": kill, "permitted": kill, "inheritable": kill, "ambient": kill});
    let bundle = bundle.with("/process/user", user).with("/process/capabilities", sets);
    let bundle = bundle.with("/process/noNewPrivileges", false.into());
    let bundle = bundle
        .with("/linux/maskedPaths", json!(["/proc/kcore"]))
        .with("/linux/readonlyPaths", json!(["/bin"]));
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
        .into_iter()
        .fold(bundle, |bundle, kind| bundle.hook(kind, "/bin/busybox", "true"))
}
