//! `linux.cgroupsPath` to a directory below each hierarchy.

use crate::PlanError;
use crate::error::quoted;

pub(super) const FIELD: &str = "linux.cgroupsPath";

/// A checked path.
pub(super) struct Place {
    /// Below the mount point, else below the runtime's own group.
    absolute: bool,
    /// Components joined by `/`, none of them `.` or `..`.
    path: String,
}

impl Place {
    /// An empty path is the id, below the runtime's own group, as runc has it.
    pub(super) fn new(cgroups_path: &str, id: &str) -> Result<Self, PlanError> {
        let refuse = |why: &str| Err(PlanError::config(FIELD, format!("{why}: {}", quoted(cgroups_path))));
        let given = if cgroups_path.is_empty() { id } else { cgroups_path };
        let components: Vec<&str> = given.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if components.contains(&"..") {
            return refuse("must not contain ..");
        }
        if given.chars().any(char::is_control) {
            return refuse("must not contain control characters");
        }
        if !given.starts_with('/') && given.matches(':').count() == 2 {
            return refuse("slice:prefix:name is for systemd's driver; use a path, or --systemd-cgroup");
        }
        if components.is_empty() {
            return refuse("must name a group below the root");
        }
        Ok(Self { absolute: given.starts_with('/'), path: components.join("/") })
    }

    /// Below the mount point, as systemd has it.
    pub(super) fn of_unit(path: String) -> Self {
        Self { absolute: true, path }
    }

    /// The path below a mount point in which the runtime's own group is `own`.
    pub(super) fn below(&self, own: &str) -> String {
        if self.absolute {
            format!("/{}", self.path)
        } else {
            format!("{}/{}", own.trim_end_matches('/'), self.path)
        }
    }
}

/// `/a` of `/a/b`; `/` of `/a` and of `/`.
pub(super) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((parent, _)) if !parent.is_empty() => parent,
        _ => "/",
    }
}
