//! What config.json asks for an ordinary container and gets: capabilities, hidden paths, devices, users of its own.

use super::Entry;
use crate::bundle::Bundle;
use crate::container::{Container, namespace};
use crate::sandbox::{Sandbox, text};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

pub(super) const CASES: &[Entry] = &[
    ("capabilities-are-those-of-config-json", capabilities),
    ("a-filter-needs-no-no-new-privileges", |s| {
        let filter = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]});
        for uid in [0, 1001] {
            let bundle = s.bundle(&format!("b{uid}")).with("/process/noNewPrivileges", json!(false));
            let bundle = bundle.with("/process/user", json!({"uid": uid, "gid": uid}));
            let c = s.container(&format!("a{uid}"), &bundle.with("/linux/seccomp", filter.clone()));
            c.launch();
            assert_eq!((c.status_field("Seccomp"), c.status_field("NoNewPrivs")), ("2".into(), "0".into()));
            // The one that filters need is gone.
            assert_eq!(sets(&c), [0; 5]);
        }
    }),
    ("masked-paths-are-hidden", |s| {
        let bundle = furnished(s).with("/linux/maskedPaths", json!(["/secret", "/hidden", "/missing"]));
        let c = s.container("a", &bundle.script("busybox cat /secret /hidden/* > /seen; echo $? >> /seen"));
        c.launch();
        c.until_stopped();
        assert_eq!(text(&c.bundle.join("rootfs/seen")), "1\n");
    }),
    ("read-only-paths-are-read-only", |s| {
        let bundle = furnished(s).with("/linux/readonlyPaths", json!(["/secret", "/hidden", "/missing"]));
        let c = s.container("a", &bundle.script("for f in secret hidden/file new; do echo new > /$f; done"));
        c.launch();
        c.until_stopped();
        let content = |file: &str| text(&c.bundle.join("rootfs").join(file));
        assert_eq!(["secret", "hidden/file", "new"].map(content), ["old", "old", "new\n"]);
    }),
    ("a-file-system-is-read-only-if-asked", |s| {
        let bundle = furnished(s);
        let mounts = [("proc", "/proc", "rw"), ("tmpfs", "/dev", "rw"), ("tmpfs", "/hidden", "ro")];
        let mounts = mounts.map(|(kind, place, option)| {
            json!({"destination": place, "type": kind, "source": kind, "options": ["nosuid", option]})
        });
        let script = "for d in dev hidden; do echo new > /$d/new && echo $d >> /seen; done";
        let c = s.container("a", &bundle.with("/mounts", json!(mounts)).script(script));
        c.launch();
        c.until_stopped();
        assert_eq!(text(&c.bundle.join("rootfs/seen")), "dev\n");
    }),
    ("devices-are-made", |s| {
        let device = json!({"path": "/dev/suite", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640,
            "uid": 3, "gid": 4});
        let c = s.container("a", &s.bundle("b").with("/linux/devices", json!([device])));
        c.create().ok();
        let found = fs::symlink_metadata(format!("/proc/{}/root/dev/suite", c.pid())).unwrap();
        assert!(found.file_type().is_char_device());
        assert_eq!((found.rdev(), found.mode() & 0o7777), (1 << 8 | 3, 0o640));
        assert_eq!((found.uid(), found.gid()), (3, 4));
    }),
    ("a-user-namespace-has-users-of-its-own", users),
];

/// A bundle with a file and a directory that somebody might hide.
fn furnished(s: &Sandbox) -> Bundle {
    let bundle = s.bundle("b");
    fs::create_dir(bundle.path.join("rootfs/hidden")).unwrap();
    for file in ["secret", "hidden/file"] {
        fs::write(bundle.path.join("rootfs").join(file), "old").unwrap();
    }
    bundle
}

/// Bounding, effective, inheritable, permitted, ambient.
fn sets(c: &Container<'_>) -> [u64; 5] {
    ["CapBnd", "CapEff", "CapInh", "CapPrm", "CapAmb"]
        .map(|set| u64::from_str_radix(&c.status_field(set), 16).unwrap())
}

fn capabilities(s: &Sandbox) {
    const CHOWN: u64 = 1;
    const KILL: u64 = 1 << 5;
    let (both, kill) = (json!(["CAP_CHOWN", "CAP_KILL"]), json!(["CAP_KILL"]));
    let asked =
        json!({"bounding": both, "effective": kill, "inheritable": kill, "permitted": both, "ambient": kill});
    // What an exec makes of them: root gets its bounding set, others their ambient one (capabilities(7)).
    for (uid, has) in [(0, CHOWN | KILL), (1001, KILL)] {
        let bundle = s.bundle(&format!("b{uid}")).with("/process/capabilities", asked.clone());
        let c =
            s.container(&format!("a{uid}"), &bundle.with("/process/user", json!({"uid": uid, "gid": uid})));
        c.launch();
        assert_eq!(sets(&c), [CHOWN | KILL, has, KILL, has, KILL], "{uid}");
        assert_eq!(c.status_field("NoNewPrivs"), "1");
    }
}

fn users(s: &Sandbox) {
    let map = |host: u32| json!([{"containerID": 0, "hostID": host, "size": 65536}]);
    let bundle = s.bundle("b").namespace("user", None).with("/linux/uidMappings", map(100_000));
    let bundle = bundle.with("/linux/gidMappings", map(200_000)).with("/process/oomScoreAdj", json!(500));
    let bundle = bundle.with("/process/user", json!({"uid": 7, "gid": 8, "additionalGids": [9]}));
    let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]);
    let c = s.container("a", &bundle.with("/process/rlimits", limits));
    c.launch();
    for link in ["user", "pid", "net", "ipc", "uts", "mnt"] {
        assert_ne!(c.namespace(link), namespace("self", link), "{link}");
    }
    let fields = |file: &str| c.proc(file).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((fields("uid_map"), fields("gid_map")), ("0 100000 65536".into(), "0 200000 65536".into()));
    assert_eq!(c.status_field("Uid"), ["100007"; 4].join(" "));
    assert_eq!(c.status_field("Gid"), ["200008"; 4].join(" "));
    assert_eq!(c.status_field("Groups"), "200009");
    assert_eq!(c.proc("oom_score_adj"), "500\n");
    let limits = c.proc("limits");
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().take(2).collect::<Vec<_>>(), ["77", "88"]);
    let null = fs::metadata(format!("/proc/{}/root/dev/null", c.pid())).unwrap();
    assert!(null.file_type().is_char_device() && null.rdev() == (1 << 8 | 3));
    c.kill("KILL").ok();
}
