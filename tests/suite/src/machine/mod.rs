//! What needs a whole machine: cgroup v2, systemd, AppArmor, all capabilities. Listed where `MACHINE=vm` is set
//! (tests/vm), for elsewhere it could only fail.

mod apparmor;
mod cgroup;
mod identity;
mod scope;

use crate::container::Container;
use crate::harness::Case;
use crate::sandbox::Sandbox;
use std::path::Path;

type Entry = (&'static str, fn(&Sandbox));

/// Is this the test VM?
pub(crate) fn is_this() -> bool {
    std::env::var("MACHINE").as_deref() == Ok("vm")
}

/// In the test VM the guest of this QEMU runs on KVM: elsewhere there may be none.
pub(crate) fn accelerated(c: &Container<'_>) {
    let open = std::fs::read_dir(format!("/proc/{}/fd", c.monitor())).expect("descriptors").flatten();
    let mut links = open.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    assert!(!is_this() || links.any(|link| link == Path::new("anon_inode:kvm-vcpu:0")), "no KVM");
}

/// All cases of the groups named after the parts.
pub fn cases() -> Vec<Case> {
    if !is_this() {
        return Vec::new();
    }
    let groups = [
        ("vm-cgroup", cgroup::CASES),
        ("vm-identity", identity::CASES),
        ("vm-apparmor", apparmor::CASES),
        ("vm-scope", scope::CASES),
    ];
    let case = |group, (name, run): &Entry| Case::new(group, *name, *run);
    groups.iter().flat_map(|(group, cases)| cases.iter().map(|entry| case(group, entry))).collect()
}
