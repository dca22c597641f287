//! Tests of the whole plan; parts of it below.

mod devices;
mod facts;
mod scope;
mod translations;

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
    assert_eq!(plan.groups[0].enable, ["cpu", "io", "memory", "pids"]);
    assert!(!plan.device_rules.is_empty());
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
}

#[test]
fn refusals_of_one_version() {
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

/// Resources with any value in any known place.
fn any_resources() -> impl Strategy<Value = Value> {
    const NAMES: [&str; 24] = [
        "memory",
        "limit",
        "swap",
        "cpu",
        "shares",
        "quota",
        "cpus",
        "pids",
        "blockIO",
        "weight",
        "weightDevice",
        "major",
        "hugepageLimits",
        "pageSize",
        "rdma",
        "network",
        "priorities",
        "name",
        "unified",
        "devices",
        "type",
        "access",
        "allow",
        "memory.high",
    ];
    let name = || proptest::sample::select(&NAMES[..]).prop_map(String::from);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3..20i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9MB*./é-]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_resources_give_sound_writes_or_one_line(resources in any_resources()) {
        for facts in [hybrid(), unified()] {
            match try_plan(facts, "/g", resources.clone()) {
                Ok(plan) => for write in plan.groups.iter().flat_map(|group| &group.writes) {
                    prop_assert!(!write.file.contains('/') && !write.file.is_empty(), "{}", write.file);
                    prop_assert!(!write.value.contains('\n'));
                },
                Err(error) => prop_assert!(!error.to_string().contains('\n')),
            }
        }
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
