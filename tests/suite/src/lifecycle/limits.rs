//! Cgroups, rlimits and the like: what the process of the container is bound by.

use super::Entry;
use crate::container::Container;
use crate::sandbox::{Sandbox, text};
use serde_json::json;
use std::path::PathBuf;

pub(super) const CASES: &[Entry] = &[
    ("an-absolute-cgroups-path-is-used-as-it-is", |s| {
        let c = s.container("a", &s.bundle("b"));
        c.create().ok();
        let own = format!("/{}", s.id("b"));
        assert_eq!(membership(&c, "pids"), own);
        assert_eq!(membership(&c, "memory"), own);
    }),
    ("a-relative-cgroups-path-is-below-a-group", |s| {
        let c = s.container("a", &s.bundle("b").with("/linux/cgroupsPath", json!(s.id("relative"))));
        c.create().ok();
        let path = membership(&c, "pids");
        assert!(path.ends_with(&format!("/{}", s.id("relative"))), "{path}");
    }),
    ("without-a-cgroups-path-the-id-names-the-group", |s| {
        let mut bundle = s.bundle("b");
        bundle.config["linux"].as_object_mut().unwrap().remove("cgroupsPath");
        bundle.write();
        let c = s.container("a", &bundle);
        c.create().ok();
        assert!(membership(&c, "pids").contains(&c.id));
    }),
    ("the-memory-limit-is-the-cgroups-limit", |s| {
        let value = limited(
            s,
            json!({"memory": {"limit": 67_108_864}}),
            "memory",
            "memory.limit_in_bytes",
            "memory.max",
        );
        assert_eq!(value, "67108864");
    }),
    ("the-pids-limit-is-the-cgroups-limit", |s| {
        assert_eq!(limited(s, json!({"pids": {"limit": 33}}), "pids", "pids.max", "pids.max"), "33");
    }),
    ("the-cpu-quota-is-the-cgroups-quota", |s| {
        let cpu = json!({"cpu": {"quota": 50_000, "period": 100_000, "shares": 512}});
        assert!(limited(s, cpu, "cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("50000"));
    }),
    ("a-memory-limit-of-minus-one-is-no-limit", |s| {
        let value =
            limited(s, json!({"memory": {"limit": -1}}), "memory", "memory.limit_in_bytes", "memory.max");
        assert!(value == "max" || value.parse::<u64>().unwrap() > 1 << 60, "{value}");
    }),
    ("oom-score-adj-is-set", |s| {
        let c = s.container("a", &s.bundle("b").with("/process/oomScoreAdj", json!(321)));
        c.launch();
        assert_eq!(c.proc("oom_score_adj"), "321\n");
    }),
    ("rlimits-are-set", |s| {
        let limits = json!([
            {"type": "RLIMIT_NOFILE", "soft": 99, "hard": 111},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}
        ]);
        let c = s.container("a", &s.bundle("b").with("/process/rlimits", limits));
        c.launch();
        assert_eq!(limit(&c, "Max open files"), ["99", "111"]);
        assert_eq!(limit(&c, "Max core file size"), ["0", "0"]);
    }),
    ("an-unknown-rlimit-is-refused", |s| {
        let bundle =
            s.bundle("b").with("/process/rlimits", json!([{"type": "RLIMIT_TEST", "soft": 1, "hard": 2}]));
        s.container("a", &bundle).create().fails();
    }),
    ("user-groups-capabilities-and-no-new-privileges-are-set", identity),
];

/// The path of the container's process in the hierarchy of a controller.
fn membership(c: &Container<'_>, controller: &str) -> String {
    let table = c.proc("cgroup");
    let entry = |name: &str| {
        table.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|c| c == name).then(|| path.to_owned())
        })
    };
    // In a pure v2 hierarchy the only line has no controller.
    entry(controller).or_else(|| entry("")).expect("a cgroup")
}

/// Creates a container with `resources`; returns the value of the v1 or v2 file that shows them.
fn limited(s: &Sandbox, resources: serde_json::Value, controller: &str, v1: &str, v2: &str) -> String {
    let c = s.container("a", &s.bundle("b").with("/linux/resources", resources));
    c.create().ok();
    let path = membership(&c, controller);
    control_file(&path, controller, v1, v2)
}

/// Content of a cgroup's file, by its name in v1 or v2.
pub(crate) fn control_file(path: &str, controller: &str, v1: &str, v2: &str) -> String {
    let (mounts, path) = (PathBuf::from("/sys/fs/cgroup"), path.trim_start_matches('/'));
    let value = text(&mounts.join(controller).join(path).join(v1));
    let value = if value.is_empty() { text(&mounts.join(path).join(v2)) } else { value };
    value.trim_end().to_owned()
}

/// Soft and hard value of a line of `/proc/PID/limits`.
fn limit(c: &Container<'_>, name: &str) -> Vec<String> {
    let table = c.proc("limits");
    let line = table.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    line.split_whitespace().take(2).map(str::to_owned).collect()
}

fn identity(s: &Sandbox) {
    let bundle = s
        .bundle("b")
        .with("/process/user", json!({"uid": 1001, "gid": 1002, "additionalGids": [5, 7]}))
        .with("/process/capabilities", json!({"bounding": [], "effective": [], "permitted": []}));
    let c = s.container("a", &bundle);
    c.launch();
    assert_eq!(c.status_field("Uid"), "1001 1001 1001 1001");
    assert_eq!(c.status_field("Gid"), "1002 1002 1002 1002");
    assert_eq!(c.status_field("Groups"), "5 7");
    assert_eq!(c.status_field("NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(c.status_field(set), "0000000000000000", "{set}");
    }
}
