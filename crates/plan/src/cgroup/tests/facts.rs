//! mountinfo and /proc/self/cgroup.

use super::*;
use crate::cgroup::facts;

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
}
