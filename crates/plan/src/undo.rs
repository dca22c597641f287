//! What `delete` takes back: exactly what the stored plan lists, in reverse order of its making.

use crate::LaunchPlan;
use crate::launch::{Cgroup, CgroupGroup, Scope, Tap};

/// One thing to take back; each is idempotent, so that a half-done launch can be undone as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo<'a> {
    /// Remove the redirect and the tap, if they bear the container's mark.
    Network(&'a Tap),
    /// Kill what is left in a cgroup directory and remove it. Parents stay: engines share them.
    Cgroup(&'a CgroupGroup),
    /// Have systemd forget the scope, whose directory is gone by then.
    Scope(&'a Scope),
}

/// The list. A new field of the plan does not compile until it is decided here whether it outlives the monitor.
pub fn undo(plan: &LaunchPlan) -> Vec<Undo<'_>> {
    let LaunchPlan {
        net,
        cgroup: Cgroup { groups, device_rules: _, scope },
        // These end with the monitor's process and its namespaces.
        namespaces: _,
        root: _,
        identity: _,
        seccomp: _,
        exec: _,
        console: _,
        // These do nothing.
        version: _,
        guest: _,
        monitor: _,
        mode: _,
        memory: _,
        notices: _,
        annotations: _,
        sources: _,
    } = plan;
    let network = net.iter().map(Undo::Network);
    network.chain(groups.iter().rev().map(Undo::Cgroup)).chain(scope.iter().map(Undo::Scope)).collect()
}
