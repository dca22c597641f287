//! What `delete` takes back: exactly what the plan lists, in this order.

use crate::LaunchPlan;
use crate::launch::Tap;

/// One thing to take back; each is idempotent, so that a half-done launch can be undone as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Remove the redirect and the tap, if its alias is ours.
    Tap(Box<Tap>),
    /// Remove a cgroup directory, absolute path, after killing what is left in it. Parents stay: engines share them.
    Cgroup(String),
}

/// The list; the private root, its files and its namespaces end with the monitor itself.
pub fn undo(plan: &LaunchPlan) -> Vec<Undo> {
    let tap = plan.net.iter().map(|tap| Undo::Tap(Box::new(tap.clone())));
    let groups =
        plan.cgroup.groups.iter().rev().map(|group| Undo::Cgroup(format!("{}{}", group.mount, group.path)));
    tap.chain(groups).collect()
}
