//! systemd's driver: names, places and properties.

use super::*;
use crate::launch::{Property, Scope};

fn systemd(host: &HostFacts, path: &str, resources: Value) -> Result<(Scope, Vec<CgroupGroup>), PlanError> {
    let req = Request {
        id: "c1".into(),
        cgroups_path: path.into(),
        systemd_cgroup: true,
        resources,
        ..Request::default()
    };
    plan(&req, host, &[]).map(|cgroup| (cgroup.scope.unwrap(), cgroup.groups))
}

fn host() -> HostFacts {
    HostFacts { cgroup: unified(), systemd: true, ..HostFacts::default() }
}

/// Rules of systemd.slice(5), and of runc for what is left out.
#[test]
fn a_path_names_slice_and_unit() {
    for (path, slice, unit, place) in [
        ("system.slice:docker:abc", "system.slice", "docker-abc.scope", "/system.slice/docker-abc.scope"),
        (
            ":cri-containerd:9",
            "system.slice",
            "cri-containerd-9.scope",
            "/system.slice/cri-containerd-9.scope",
        ),
        ("", "system.slice", "urunc-c1.scope", "/system.slice/urunc-c1.scope"),
        ("a-b-c.slice:p:n", "a-b-c.slice", "p-n.scope", "/a.slice/a-b.slice/a-b-c.slice/p-n.scope"),
        ("-.slice:p:n", "-.slice", "p-n.scope", "/p-n.scope"),
        ("user.slice::n", "user.slice", "n.scope", "/user.slice/n.scope"),
    ] {
        let (scope, groups) = systemd(&host(), path, Value::Null).unwrap();
        assert_eq!((scope.slice.as_str(), scope.unit.as_str()), (slice, unit), "{path}");
        let places: Vec<&str> = groups.iter().map(|group| group.path.as_str()).collect();
        assert_eq!(places, [place], "{path}");
    }
}

#[test]
fn what_is_no_name_is_refused() {
    let long = format!("a.slice:p:{}", "n".repeat(250));
    for (path, why) in [
        ("/docker/abc", "want slice:prefix:name"),
        ("a:b", "want slice:prefix:name"),
        ("a:b:c:d", "want slice:prefix:name"),
        ("system:p:n", "no name of a slice"),
        ("a--b.slice:p:n", "no name of a slice"),
        ("-a.slice:p:n", "no name of a slice"),
        ("a-.slice:p:n", "no name of a slice"),
        (".slice:p:n", "no name of a slice"),
        ("a/../b.slice:p:n", "no name of a slice"),
        ("a.slice:p/..:n", "no name of a scope"),
        ("a.slice:p:", "no name of a scope"),
        ("a.slice:p:n\nm", "no name of a scope"),
        (&long, "no name of a scope"),
    ] {
        let error = systemd(&host(), path, Value::Null).unwrap_err().to_string();
        assert!(error.starts_with("config.json: linux.cgroupsPath: ") && error.contains(why), "{error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn a_host_without_it_is_told_so() {
    let hybrid = HostFacts { cgroup: hybrid(), ..host() };
    let other = HostFacts { systemd: false, ..host() };
    for (host, why) in [(hybrid, "cgroup v2 alone"), (other, "systemd as its init")] {
        let error = systemd(&host, "a.slice:p:n", Value::Null).unwrap_err().to_string();
        assert!(error.contains("--systemd-cgroup") && error.contains(why), "{error}");
    }
}

/// systemd writes a unit's files again when it likes: it must know every value that is one of its own.
#[test]
fn limits_are_properties_too() {
    use Property::{Bytes, Number};
    const MAX: u64 = u64::MAX;
    let table: Vec<(Value, Vec<(&str, Property)>)> = vec![
        (json!({"memory": {"limit": 4096}}), vec![("MemoryMax", Number(4096))]),
        (json!({"memory": {"limit": -1}}), vec![("MemoryMax", Number(MAX))]),
        (
            json!({"memory": {"limit": 4096, "swap": 8192, "reservation": 1024}}),
            vec![("MemoryMax", Number(4096)), ("MemorySwapMax", Number(4096)), ("MemoryLow", Number(1024))],
        ),
        (json!({"pids": {"limit": 50}}), vec![("TasksMax", Number(50))]),
        (json!({"pids": {"limit": -1}}), vec![("TasksMax", Number(MAX))]),
        (json!({"cpu": {"shares": 1024}}), vec![("CPUWeight", Number(39))]),
        (json!({"cpu": {"idle": 1}}), vec![("CPUWeight", Number(0))]),
        (
            json!({"cpu": {"quota": 50_000, "period": 100_000}}),
            vec![("CPUQuotaPerSecUSec", Number(500_000)), ("CPUQuotaPeriodUSec", Number(100_000))],
        ),
        (
            json!({"cpu": {"quota": 33_333, "period": 100_000}}),
            vec![("CPUQuotaPerSecUSec", Number(340_000)), ("CPUQuotaPeriodUSec", Number(100_000))],
        ),
        (
            json!({"cpu": {"quota": -1}}),
            vec![("CPUQuotaPerSecUSec", Number(MAX)), ("CPUQuotaPeriodUSec", Number(100_000))],
        ),
        (
            json!({"cpu": {"cpus": "0-2,8", "mems": "1"}}),
            vec![("AllowedCPUs", Bytes(vec![7, 1])), ("AllowedMemoryNodes", Bytes(vec![2]))],
        ),
        (json!({"blockIO": {"weight": 10}}), vec![("IOWeight", Number(1))]),
        (json!({"unified": {"memory.high": "4096"}}), vec![("MemoryHigh", Number(4096))]),
        (json!({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 9}]}}), vec![]),
    ];
    for (resources, wanted) in table {
        let (scope, _) = systemd(&host(), "a.slice:p:n", resources.clone()).unwrap();
        let wanted: Vec<(String, Property)> =
            wanted.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(scope.properties, wanted, "{resources}");
    }
}

proptest! {
    /// No path leaves the slice that it names.
    #[test]
    fn names_stay_names(path in ".{0,12}(:.{0,12}){2}") {
        if let Ok((scope, groups)) = systemd(&host(), &path, Value::Null) {
            prop_assert!(!scope.unit.contains('/'));
            let end = format!("/{}", scope.unit);
            prop_assert!(groups[0].path.ends_with(&end));
            prop_assert!(groups[0].path.split('/').all(|part| part != ".."));
        }
    }
}
