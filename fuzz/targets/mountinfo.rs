//! `/proc/self/mountinfo`, `/proc/self/cgroup` and `cgroup.controllers`, with NUL bytes between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc_fuzz::texts;
use urunc_plan::cgroup::facts::{parse, v2_mount_point};

fuzz_target!(|input: &str| {
    let [mounts, groups, controllers] =
        texts(input.as_bytes()).map(|text| std::str::from_utf8(text).expect("cut at an ASCII character"));
    let facts = parse(mounts, groups, controllers);
    for mount in facts.v1.values().chain(&facts.v2) {
        assert!(mount.own.starts_with('/'), "{mount:?}");
    }
    if let Some(mount) = &facts.v2 {
        assert_eq!(v2_mount_point(mounts).as_ref(), Some(&mount.mount));
    }
});
