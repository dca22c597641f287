//! Cgroup placement and limits.

use crate::launch::{Cgroup, DeviceRule};
use crate::{HostFacts, PlanError, Request};

/// Directories, limits and device rules.
///
/// # Errors
/// A limit that is not a number.
pub fn plan(req: &Request, _host: &HostFacts, monitor_devices: &[DeviceRule]) -> Result<Cgroup, PlanError> {
    let path = if req.cgroups_path.is_empty() { format!("/{}", req.id) } else { req.cgroups_path.clone() };
    let group = crate::launch::CgroupGroup { path, ..Default::default() };
    Ok(Cgroup { groups: vec![group], device_rules: monitor_devices.to_vec() })
}
