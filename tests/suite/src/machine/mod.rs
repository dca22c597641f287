//! What needs a whole machine: cgroup v2, systemd, AppArmor, all capabilities. Listed where `MACHINE=vm` is set
//! (tests/vm), for elsewhere it could only fail.

mod apparmor;
mod cgroup;
mod identity;
mod scope;

use crate::harness::Case;
use crate::sandbox::Sandbox;

type Entry = (&'static str, fn(&Sandbox));

/// All cases of the groups named after the parts.
pub fn cases() -> Vec<Case> {
    if std::env::var("MACHINE").as_deref() != Ok("vm") {
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
