//! `linux.resources` and `cgroupsPath` to directories and ordered (file, value) lists.
//!
//! Each controller is where this host has it: in a v1 hierarchy of its own, else in the v2 one. So pure v1, pure v2 and
//! hybrid hosts are one code path.

mod devices;
pub mod facts;
mod io;
mod limits;
mod place;
mod scope;

use crate::PlanError;
use crate::field::Field;
use crate::input::{CgroupFacts, HostFacts, Request};
use crate::launch::{Cgroup, CgroupGroup, CgroupWrite, DeviceRule};
use place::Place;

/// Places a container and translates its limits. `monitor_devices` are allowed on top of the engine's list.
///
/// # Errors
/// The JSON path of a value that is out of range, of the wrong type, or that no controller of this host can apply.
pub fn plan(req: &Request, host: &HostFacts, monitor_devices: &[DeviceRule]) -> Result<Cgroup, PlanError> {
    let unit = req.systemd_cgroup.then(|| scope::Unit::new(req, host)).transpose()?;
    let place = match &unit {
        Some(unit) => unit.place(),
        None => Place::new(&req.cgroups_path, &req.id)?,
    };
    let mut tree = Tree::new(&place, &host.cgroup)?;
    let resources = Field::new("linux.resources", &req.resources);
    limits::memory(&resources, &mut tree)?;
    limits::cpu(&resources, &mut tree)?;
    limits::cpuset(&resources, &mut tree)?;
    limits::pids(&resources, &mut tree)?;
    io::block(&resources, &mut tree)?;
    io::hugetlb(&resources, &mut tree)?;
    io::rdma(&resources, &mut tree)?;
    io::network(&resources, &mut tree)?;
    io::unified(&resources, &mut tree)?;
    let device_rules = devices::plan(&resources, &mut tree, monitor_devices)?;
    let groups = tree.finish();
    let scope = unit.map(|unit| unit.scope(&groups));
    Ok(Cgroup { groups, device_rules, scope })
}

/// What engines read of a container, with limits or without.
const ACCOUNTED: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// Which interface a controller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// The container's directories, growing writes.
struct Tree<'a> {
    facts: &'a CgroupFacts,
    /// v1 directories, one per mount, with the controllers that share it.
    v1: Vec<(Vec<&'a str>, CgroupGroup)>,
    /// The v2 directory; left out when nothing is in it and there are others.
    v2: Option<CgroupGroup>,
    /// The v2 directory is needed without any write: for the device program.
    keep_v2: bool,
}

impl<'a> Tree<'a> {
    fn new(place: &Place, facts: &'a CgroupFacts) -> Result<Self, PlanError> {
        if facts.v1.is_empty() && facts.v2.is_none() {
            return Err(PlanError::Host { why: "no cgroup hierarchy is mounted".into() });
        }
        let mut v1: Vec<(Vec<&str>, CgroupGroup)> = Vec::new();
        for (controller, mount) in &facts.v1 {
            match v1.iter_mut().find(|(_, group)| group.mount == mount.mount) {
                Some((controllers, _)) => controllers.push(controller),
                None => v1.push((vec![controller], new_group(&mount.mount, place.below(&mount.own), false))),
            }
        }
        let v2 = facts.v2.as_ref().map(|mount| {
            // Processes and enabled controllers exclude each other in one v2 group, and the runtime's own has
            // processes: a relative path begins beside it, not below it. So does runc.
            let base = if facts.v1.is_empty() { place::parent(&mount.own) } else { &mount.own };
            CgroupGroup { enable: accounted(facts), ..new_group(&mount.mount, place.below(base), true) }
        });
        let keep_v2 = v1.is_empty();
        Ok(Self { facts, v1, v2, keep_v2 })
    }

    fn version(&self, controller: &str) -> Option<Version> {
        if self.facts.v1.contains_key(controller) {
            Some(Version::V1)
        } else {
            self.facts.v2_controllers.iter().any(|name| name == controller).then_some(Version::V2)
        }
    }

    /// The interface to translate for; where the controller is missing any will do, for [`Tree::put`] refuses.
    fn dialect(&self, controller: &str) -> Version {
        let usual = if self.facts.v1.is_empty() { Version::V2 } else { Version::V1 };
        self.version(controller).unwrap_or(usual)
    }

    /// Adds writes to a controller's directory.
    fn put(&mut self, controller: &str, field: &Field<'_>, writes: Writes) -> Result<(), PlanError> {
        if writes.0.is_empty() {
            return Ok(());
        }
        let group = match self.version(controller) {
            Some(Version::V1) => self.v1_group(controller),
            Some(Version::V2) => self.v2.as_mut(),
            None => None,
        };
        let Some(group) = group else {
            return Err(field.error(format!("this host has no cgroup controller {controller}")));
        };
        if group.v2 && !group.enable.iter().any(|name| name == controller) {
            group.enable.push(controller.into());
        }
        group.writes.extend(writes.0);
        Ok(())
    }

    fn v1_group(&mut self, controller: &str) -> Option<&mut CgroupGroup> {
        let found = self.v1.iter_mut().find(|(controllers, _)| controllers.contains(&controller));
        found.map(|(_, group)| group)
    }

    /// The v2 directory first, so that init can be cloned into it.
    fn finish(self) -> Vec<CgroupGroup> {
        let v2 = self.v2.filter(|group| self.keep_v2 || !group.writes.is_empty());
        v2.into_iter().chain(self.v1.into_iter().map(|(_, group)| group)).collect()
    }
}

/// The v2 controllers to switch on, limits or not; a hybrid host accounts in v1.
fn accounted(facts: &CgroupFacts) -> Vec<String> {
    let has = |name: &&str| facts.v1.is_empty() && facts.v2_controllers.iter().any(|other| other == name);
    ACCOUNTED.into_iter().filter(has).map(str::to_owned).collect()
}

fn new_group(mount: &str, path: String, v2: bool) -> CgroupGroup {
    CgroupGroup { mount: mount.into(), path, v2, ..CgroupGroup::default() }
}

/// Writes in order.
#[derive(Default)]
struct Writes(Vec<CgroupWrite>);

impl Writes {
    fn put(&mut self, file: impl Into<String>, value: &impl ToString) {
        self.0.push(CgroupWrite { file: file.into(), value: value.to_string() });
    }
}

#[cfg(test)]
mod tests;
