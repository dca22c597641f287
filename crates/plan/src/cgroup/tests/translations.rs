//! Values of `linux.resources`.

use super::*;

/// Resources, v1 writes, v2 writes.
type Case<'a> = (Value, &'a [&'a str], &'a [&'a str]);

fn check(cases: Vec<Case<'_>>) {
    for (resources, v1, v2) in cases {
        assert_eq!(writes(hybrid(), resources.clone()), v1, "{resources}");
        assert_eq!(writes(unified(), resources.clone()), v2, "{resources}");
    }
}

#[test]
fn memory() {
    check(vec![
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
    ]);
}

#[test]
fn processors_processes_and_disks() {
    check(vec![
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
        (json!({"cpu": {"shares": 262_144}}), &["cpu.shares=262144"], &["cpu.weight=10000"]),
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
    ]);
}

#[test]
fn settings_of_one_version() {
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
