use super::*;
use crate::input::CgroupMount;
use proptest::prelude::*;
use serde_json::{Value, json};

const V1: [&str; 9] =
    ["blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "name=systemd", "pids"];

fn at(mount: &str, own: &str) -> CgroupMount {
    CgroupMount { mount: format!("/sys/fs/cgroup{mount}"), own: own.into() }
}

/// v1 with cpu and cpuacct together, as systemd mounts them; v2 beside it has only hugetlb.
fn hybrid() -> CgroupFacts {
    let point = |name: &str| match name {
        "cpu" | "cpuacct" => "/cpu,cpuacct".into(),
        other => format!("/{}", other.trim_start_matches("name=")),
    };
    CgroupFacts {
        v1: V1.iter().map(|name| ((*name).into(), at(&point(name), "/own"))).collect(),
        v2: Some(at("/unified", "/own")),
        v2_controllers: vec!["hugetlb".into()],
    }
}

fn unified() -> CgroupFacts {
    let controllers = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"];
    CgroupFacts {
        v2: Some(at("", "/own/scope")),
        v2_controllers: controllers.map(String::from).into(),
        ..Default::default()
    }
}

fn try_plan(facts: CgroupFacts, path: &str, resources: Value) -> Result<Cgroup, PlanError> {
    let req = Request { id: "c1".into(), cgroups_path: path.into(), resources, ..Request::default() };
    plan(&req, &HostFacts { cgroup: facts, ..HostFacts::default() }, &[])
}

fn writes(facts: CgroupFacts, resources: Value) -> Vec<String> {
    let plan = try_plan(facts, "/g", resources).unwrap();
    let line = |write: CgroupWrite| format!("{}={}", write.file, write.value);
    let all = plan.groups.into_iter().flat_map(|group| group.writes).map(line);
    all.filter(|line| !line.starts_with("devices.") && !line.ends_with('=')).collect()
}

fn refusal(facts: CgroupFacts, resources: Value) -> String {
    try_plan(facts, "/g", resources).unwrap_err().to_string()
}

#[test]
fn paths() {
    let first = |facts, path: &str| try_plan(facts, path, Value::Null).unwrap().groups[0].path.clone();
    for (path, v1, v2) in [
        ("", "/own/c1", "/own/c1"),
        ("/docker/x", "/docker/x", "/docker/x"),
        ("//docker/./x/", "/docker/x", "/docker/x"),
        ("pods/x", "/own/pods/x", "/own/pods/x"),
        ("/kube:pods/a:b:c", "/kube:pods/a:b:c", "/kube:pods/a:b:c"),
    ] {
        assert_eq!(first(hybrid(), path), v1);
        assert_eq!(first(unified(), path), v2);
    }
    let root = CgroupFacts { v2: Some(at("", "/")), ..unified() };
    assert_eq!(first(root, ""), "/c1");
    for (path, why) in [
        ("../x", "must not contain .."),
        ("/a/../x", "must not contain .."),
        ("/", "below the root"),
        ("system.slice:docker:abc", "systemd"),
        ("/a\nb", "control"),
    ] {
        let error = try_plan(hybrid(), path, Value::Null).unwrap_err().to_string();
        assert!(error.starts_with("config.json: linux.cgroupsPath: ") && error.contains(why), "{error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn every_v1_hierarchy_gets_one_directory() {
    let plan = try_plan(hybrid(), "/g", Value::Null).unwrap();
    let mounts: Vec<&str> = plan.groups.iter().map(|group| &group.mount["/sys/fs/cgroup/".len()..]).collect();
    assert_eq!(mounts, ["blkio", "cpu,cpuacct", "cpuset", "devices", "freezer", "memory", "systemd", "pids"]);
    assert!(plan.groups.iter().all(|group| !group.v2 && group.path == "/g" && group.enable.is_empty()));
    let inherited = |file: &str| CgroupWrite { file: file.into(), value: String::new() };
    assert_eq!(plan.groups[2].writes, [inherited("cpuset.cpus"), inherited("cpuset.mems")]);
    assert!(plan.device_rules.is_empty());
}

#[test]
fn a_controller_that_only_v2_has_is_used_there() {
    let plan = try_plan(hybrid(), "/g", json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}]}))
        .unwrap();
    assert!(plan.groups[0].v2 && plan.groups.len() == 9);
    assert_eq!(plan.groups[0].enable, ["hugetlb"]);
    assert_eq!(plan.groups[0].writes[0].file, "hugetlb.2MB.max");
}

#[test]
fn v2_has_one_directory_and_enables_what_it_needs() {
    let plan = try_plan(unified(), "/g", json!({"pids": {"limit": 5}, "memory": {"limit": 4096}})).unwrap();
    assert_eq!(plan.groups.len(), 1);
    assert!(plan.groups[0].v2);
    assert_eq!(plan.groups[0].enable, ["memory", "pids"]);
    assert!(!plan.device_rules.is_empty());
}

/// (resources, v1 writes, v2 writes).
#[test]
fn translations() {
    let max = 262_144;
    let cases: Vec<(Value, &[&str], &[&str])> = vec![
        (json!({}), &[], &[]),
        (
            json!({"memory": {"limit": 0, "swap": 0}, "cpu": {"shares": 0, "quota": 0}, "pids": {"limit": 0}}),
            &[],
            &[],
        ),
        (
            json!({"memory": {"limit": 100, "swap": 250, "reservation": 50}}),
            &[
                "memory.limit_in_bytes=100",
                "memory.memsw.limit_in_bytes=250",
                "memory.soft_limit_in_bytes=50",
            ],
            &["memory.max=100", "memory.swap.max=150", "memory.low=50"],
        ),
        (
            json!({"memory": {"limit": 100, "swap": 100}}),
            &["memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=100"],
            &["memory.max=100", "memory.swap.max=0"],
        ),
        (
            json!({"memory": {"limit": -1, "swap": -1}}),
            &["memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1"],
            &["memory.max=max", "memory.swap.max=max"],
        ),
        (
            json!({"cpu": {"shares": 1024, "quota": 50000, "period": 100_000, "burst": 9}}),
            &["cpu.shares=1024", "cpu.cfs_period_us=100000", "cpu.cfs_quota_us=50000", "cpu.cfs_burst_us=9"],
            &["cpu.weight=39", "cpu.max=50000 100000", "cpu.max.burst=9"],
        ),
        (json!({"cpu": {"quota": -1}}), &["cpu.cfs_quota_us=-1"], &["cpu.max=max 100000"]),
        (json!({"cpu": {"period": 5000}}), &["cpu.cfs_period_us=5000"], &["cpu.max=max 5000"]),
        (
            json!({"cpu": {"shares": 1, "idle": 1}}),
            &["cpu.shares=1", "cpu.idle=1"],
            &["cpu.weight=1", "cpu.idle=1"],
        ),
        (json!({"cpu": {"shares": max}}), &["cpu.shares=262144"], &["cpu.weight=10000"]),
        (
            json!({"cpu": {"cpus": "0-1", "mems": "0"}}),
            &["cpuset.cpus=0-1", "cpuset.mems=0"],
            &["cpuset.cpus=0-1", "cpuset.mems=0"],
        ),
        (json!({"pids": {"limit": -1}}), &["pids.max=max"], &["pids.max=max"]),
        (json!({"pids": {"limit": 7}}), &["pids.max=7"], &["pids.max=7"]),
        (json!({"blockIO": {"weight": 0}}), &[], &[]),
        (
            json!({"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}]}}),
            &["blkio.bfq.weight=500", "blkio.bfq.weight_device=8:0 10"],
            &["io.weight=4950", "io.weight=8:0 1"],
        ),
        (
            json!({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 16, "rate": 1000}],
                "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}]}}),
            &["blkio.throttle.read_bps_device=8:16 1000", "blkio.throttle.write_iops_device=8:16 0"],
            &["io.max=8:16 rbps=1000", "io.max=8:16 wiops=max"],
        ),
    ];
    for (resources, v1, v2) in cases {
        assert_eq!(writes(hybrid(), resources.clone()), v1, "{resources}");
        assert_eq!(writes(unified(), resources.clone()), v2, "{resources}");
    }
    let v1_only = json!({"memory": {"swappiness": 0, "disableOOMKiller": true}, "cpu": {"realtimeRuntime": 5, "realtimePeriod": 10}});
    let expected =
        ["cpu.rt_period_us=10", "cpu.rt_runtime_us=5", "memory.swappiness=0", "memory.oom_control=1"];
    assert_eq!(writes(hybrid(), v1_only), expected);
    let v2_only = json!({"unified": {"memory.high": "5", "pids.max": "9"}, "rdma": {"mlx5": {"hcaHandles": 3}}, "pids": {"limit": 2}});
    assert_eq!(
        writes(unified(), v2_only),
        ["pids.max=2", "rdma.max=mlx5 hca_handle=3", "memory.high=5", "pids.max=9"]
    );
}

#[test]
fn refusals_name_the_path() {
    let both: Vec<(Value, &str)> = vec![
        (json!({"memory": {"limit": "1g"}}), "memory.limit: want a whole number"),
        (json!({"memory": {"limit": 1.5}}), "memory.limit: want a whole number"),
        (json!({"memory": {"limit": -2}}), "memory.limit: -2 is out of range"),
        (json!({"memory": {"limit": u64::MAX}}), "memory.limit: 18446744073709551615 is out of range"),
        (json!({"memory": []}), "memory: want an object"),
        (json!({"memory": {"limit": 10, "swap": 9}}), "memory.swap: 9 is memory plus swap"),
        (json!({"memory": {"swap": 9}}), "memory.swap: needs a memory limit"),
        (json!({"memory": {"swappiness": 101}}), "memory.swappiness: is out of range"),
        (json!({"memory": {"useHierarchy": 1}}), "memory.useHierarchy: want true or false"),
        (json!({"cpu": {"shares": -1}}), "cpu.shares: -1 is out of range"),
        (json!({"cpu": {"cpus": "0;1"}}), "cpu.cpus: want a list"),
        (json!({"blockIO": {"weight": 5}}), "blockIO.weight: 5 is out of range"),
        (json!({"blockIO": {"leafWeight": 50}}), "blockIO.leafWeight: no kernel"),
        (
            json!({"blockIO": {"throttleReadBpsDevice": [{"minor": 0, "rate": 1}]}}),
            "blockIO.throttleReadBpsDevice[0].major: is missing",
        ),
        (
            json!({"hugepageLimits": [{"pageSize": "../MB", "limit": 1}]}),
            "hugepageLimits[0].pageSize: want a size",
        ),
        (
            json!({"hugepageLimits": [{"pageSize": "MB", "limit": 1}]}),
            "hugepageLimits[0].pageSize: want a size",
        ),
        (json!({"network": {"classID": 5}}), "network: this host has no cgroup controller net_cls"),
        (json!({"unified": {"../x.y": "1"}}), "unified.../x.y: want a file name"),
        (json!({"devices": [{"allow": true, "type": "x"}]}), "devices[0].type: want a, b or c"),
        (
            json!({"devices": [{"allow": true, "type": "c", "access": "rx"}]}),
            "devices[0].access: want letters",
        ),
        (
            json!({"devices": [{"allow": true, "type": "c", "major": -2}]}),
            "devices[0].major: -2 is out of range",
        ),
    ];
    for (resources, wanted) in both {
        for facts in [hybrid(), unified()] {
            let error = refusal(facts, resources.clone());
            assert!(
                error.starts_with(&format!("config.json: linux.resources.{wanted}")),
                "{error}: {wanted}"
            );
        }
    }
    let v1 = |resources| refusal(hybrid(), resources);
    assert!(
        v1(json!({"unified": {"memory.high": "1"}}))
            .contains("unified.memory.high: the controller memory is mounted as cgroup v1")
    );
    assert!(v1(json!({"rdma": {"x": {}}})).contains("rdma.x: this host has no cgroup controller rdma"));
    let v2 = |resources| refusal(unified(), resources);
    assert!(v2(json!({"memory": {"swappiness": 1}})).contains("memory.swappiness: cgroup v2"));
    assert!(v2(json!({"cpu": {"realtimePeriod": 1}})).contains("cpu.realtimePeriod: cgroup v2"));
    let bare = CgroupFacts { v2_controllers: vec![], ..unified() };
    assert!(
        refusal(bare, json!({"pids": {"limit": 1}}))
            .contains("pids: this host has no cgroup controller pids")
    );
    let none = try_plan(CgroupFacts::default(), "/g", Value::Null).unwrap_err();
    assert_eq!(none.to_string(), "host: no cgroup hierarchy is mounted");
}

fn device_lines(devices: Value) -> Vec<String> {
    let plan = try_plan(hybrid(), "/g", json!({"devices": devices})).unwrap();
    let writes = plan.groups.into_iter().flat_map(|group| group.writes);
    let devices = writes.filter(|write| write.file.starts_with("devices."));
    devices.map(|write| format!("{} {}", &write.file["devices.".len()..], write.value)).collect()
}

const PRIVATE: [&str; 8] = [
    "allow c 1:3 rw",
    "allow c 1:5 rw",
    "allow c 1:7 rw",
    "allow c 1:8 rw",
    "allow c 1:9 rw",
    "allow c 5:0 rw",
    "allow c 5:2 rw",
    "allow c 136:* rw",
];

#[test]
fn v1_devices() {
    let with_private = |first: &[&'static str]| [first, &PRIVATE].concat();
    assert_eq!(device_lines(json!([])), with_private(&["deny a"]));
    assert_eq!(device_lines(json!([{"allow": false, "access": "rwm"}])), with_private(&["deny a"]));
    assert_eq!(device_lines(json!([{"allow": true, "access": "rwm"}])), ["allow a"]);
    let sequence = json!([
        {"allow": true, "type": "c", "major": 7, "minor": 1, "access": "rwm"},
        {"allow": false, "type": "a", "major": -1, "minor": -1, "access": "rwm"},
        {"allow": true, "type": "a", "major": 10, "access": "mr"},
        {"allow": false, "type": "b", "major": 10, "access": "m"},
    ]);
    assert_eq!(
        device_lines(sequence),
        with_private(&["deny a", "allow b 10:* rm", "allow c 10:* rm", "deny b 10:* m"])
    );
    let all_of_1 = json!([{"allow": true, "type": "c", "major": 1, "access": "rwm"}]);
    assert_eq!(device_lines(all_of_1), [&["deny a", "allow c 1:* rwm"], &PRIVATE[5..]].concat());
    let hole = json!({"devices": [{"allow": true, "type": "c", "major": 1, "access": "rwm"},
        {"allow": false, "type": "c", "major": 1, "minor": 1, "access": "r"}]});
    assert!(
        refusal(hybrid(), hole.clone()).starts_with("config.json: linux.resources.devices[1]: cgroup v1")
    );
    assert!(try_plan(unified(), "/g", hole).is_ok());
}

#[test]
fn v2_devices() {
    let rules = |devices: Value| try_plan(unified(), "/g", json!({"devices": devices})).unwrap().device_rules;
    assert_eq!(rules(json!([])).len(), PRIVATE.len());
    assert!(rules(json!([{"allow": true, "access": "rwm"}])).is_empty());
    let open_but_one =
        rules(json!([{"allow": true, "access": "rwm"}, {"allow": false, "type": "b", "access": "w"}]));
    assert_eq!(open_but_one.len(), 2);
    let no_controller =
        CgroupFacts { v1: [("pids".into(), at("/pids", "/"))].into(), ..CgroupFacts::default() };
    let error = try_plan(no_controller, "/g", json!({})).unwrap_err().to_string();
    assert!(error.starts_with("host: no cgroup controller devices"));
}

#[test]
fn devices_of_the_monitor_come_last_and_once() {
    let req = |devices| Request {
        id: "c1".into(),
        resources: json!({"devices": [{"allow": devices, "access": "rwm"}]}),
        ..Request::default()
    };
    let host = HostFacts { cgroup: unified(), ..HostFacts::default() };
    let kvm = DeviceRule { allow: true, kind: 'c', major: Some(10), minor: Some(232), access: "rw".into() };
    let closed = plan(&req(false), &host, &[kvm.clone(), kvm.clone()]).unwrap().device_rules;
    assert_eq!(closed.len(), PRIVATE.len() + 1);
    assert_eq!(closed.last(), Some(&kvm));
    assert!(plan(&req(true), &host, &[kvm]).unwrap().device_rules.is_empty());
}

const MOUNTINFO: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /process_api /sys/fs/cgroup/mem\\040ory rw - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw master:1 - cgroup2 cgroup2 rw
99 31 0:29 /x /run/elsewhere/cpu rw - cgroup cgroup rw,cpu,cpuacct
98 31 0:99 / /mnt/other rw - cgroup2 cgroup2 rw
";
const OWN: &str = "9:name=systemd:/\n4:memory:/process_api/abc\n2:cpu,cpuacct:/a:b\n1:pids:/\n0::/user\n";

#[test]
fn facts_of_a_hybrid_host() {
    let facts = facts::parse(MOUNTINFO, OWN, "hugetlb misc\n");
    let mount = |point: &str, own: &str| CgroupMount { mount: point.into(), own: own.into() };
    let cpu = mount("/sys/fs/cgroup/cpu,cpuacct", "/a:b");
    let v1 = [
        ("cpu".into(), cpu.clone()),
        ("cpuacct".into(), cpu),
        ("memory".into(), mount("/sys/fs/cgroup/mem ory", "/abc")),
        ("name=systemd".into(), mount("/sys/fs/cgroup/systemd", "/")),
    ];
    assert_eq!(facts.v1, v1.into());
    assert_eq!(facts.v2, Some(mount("/sys/fs/cgroup/unified", "/user")));
    assert_eq!(facts.v2_controllers, ["hugetlb", "misc"]);
    assert_eq!(facts::v2_mount_point(MOUNTINFO).as_deref(), Some("/sys/fs/cgroup/unified"));
}

#[test]
fn facts_of_a_unified_host_and_of_none() {
    let info = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    let facts = facts::parse(info, "0::/init.scope\n", "cpu io");
    assert!(facts.v1.is_empty());
    assert_eq!(facts.v2, Some(at("", "/init.scope")));
    assert_eq!(facts::parse("", "0::/\n", "cpu"), CgroupFacts::default());
}

proptest! {
    #[test]
    fn facts_never_panic(info in "([ -~\\\\\n]|cgroup|- ){0,200}", own in "([0-9a-z:,/]|\n){0,80}") {
        let _ = facts::parse(&info, &own, "");
        let _ = facts::v2_mount_point(&info);
    }

    #[test]
    fn any_text_as_path_stays_below_the_mount(path in "[a-z./:\\PC]{0,30}") {
        if let Ok(plan) = try_plan(hybrid(), &path, Value::Null) {
            for group in plan.groups {
                prop_assert!(group.path.starts_with('/') && !group.path.split('/').any(|part| part == ".."));
            }
        }
    }
}
