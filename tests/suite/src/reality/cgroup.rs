//! The container's cgroups, of either version, against the plan.

use super::compare::Differences;
use crate::container::Container;
use crate::sandbox::text;
use serde_json::json;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use urunc_plan::LaunchPlan;
use urunc_plan::launch::{CgroupGroup, CgroupWrite, DeviceRule};

/// Devices to try, of which no rule list allows all; those that a host lacks do not count.
const DEVICES: [&str; 8] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/urandom",
    "/dev/kmsg",
    "/dev/mem",
    "/dev/kvm",
    "/dev/net/tun",
];

/// `sh -c SCRIPT x DIRECTORY DEVICE...`: enters the group and prints each device that it may open. Forks nothing, for
/// the group may be full.
const SCRIPT: &str =
    r#"echo $$ >"$1/cgroup.procs" || exit; shift; for d; do if true <"$d"; then echo "$d"; fi; done"#;

impl Differences {
    /// The process is in every group, each file says what was written to it, and the device rules hold.
    pub(super) fn cgroups(&mut self, plan: &LaunchPlan, c: &Container<'_>) {
        let pid = c.pid().to_string();
        for group in &plan.cgroup.groups {
            let dir = directory(group);
            if !text(&dir.join("cgroup.procs")).lines().any(|line| line == pid) {
                self.add(format!("cgroup: not in {}", dir.display()));
            }
            for write in group.writes.iter().filter(|write| is_read_back(group, write)) {
                let seen = text(&dir.join(&write.file));
                self.same(&write.file, &json!(seen.trim_end()), &json!(write.value));
            }
            if group.v2 {
                self.program_of_devices(&dir, &plan.cgroup.device_rules);
            } else {
                self.list_of_devices(group, &text(&dir.join("devices.list")));
            }
        }
    }

    /// v1: after a denial of everything, the list is what was allowed since.
    fn list_of_devices(&mut self, group: &CgroupGroup, list: &str) {
        if group.writes.iter().any(|w| w.file == "devices.deny" && w.value == "a") {
            let sorted = |mut lines: Vec<String>| {
                lines.sort();
                lines.dedup();
                lines
            };
            let allowed = group.writes.iter().filter(|w| w.file == "devices.allow");
            let planned = sorted(allowed.map(|w| w.value.clone()).collect());
            let seen = sorted(list.lines().map(str::to_owned).collect());
            self.same("devices.list", &json!(seen), &json!(planned));
        }
    }

    /// v2: a program cannot be read, so a process in the group asks it.
    fn program_of_devices(&mut self, dir: &Path, rules: &[DeviceRule]) {
        if rules.is_empty() {
            return;
        }
        let here: Vec<&str> = DEVICES.into_iter().filter(|device| number(device).is_some()).collect();
        let shell = Command::new("sh").args(["-c", SCRIPT, "x"]).arg(dir).args(&here).output().unwrap();
        let seen = String::from_utf8_lossy(&shell.stdout).into_owned();
        let planned: Vec<&str> = here.into_iter().filter(|device| may_read(rules, device)).collect();
        self.same("devices that open", &json!(seen.lines().collect::<Vec<_>>()), &json!(planned));
    }
}

fn directory(group: &CgroupGroup) -> PathBuf {
    Path::new(&group.mount).join(group.path.trim_start_matches('/'))
}

/// v2 shows a value as it was written, but for settings by device (`8:0 rbps=1`). v1 does so with numbers only.
fn is_read_back(group: &CgroupGroup, write: &CgroupWrite) -> bool {
    if group.v2 { !write.value.contains('=') } else { write.value.parse::<u64>().is_ok() }
}

/// Major and minor number of a character device of this host.
fn number(device: &str) -> Option<(u32, u32)> {
    let meta = std::fs::metadata(device).ok()?;
    let number = meta.rdev();
    meta.file_type().is_char_device().then(|| (rustix::fs::major(number), rustix::fs::minor(number)))
}

/// The last rule that meets a request decides; without one the answer is no.
fn may_read(rules: &[DeviceRule], device: &str) -> bool {
    let Some((major, minor)) = number(device) else { return false };
    let meets = |rule: &&DeviceRule| {
        matches!(rule.kind, 'a' | 'c')
            && rule.major.is_none_or(|wanted| wanted == major)
            && rule.minor.is_none_or(|wanted| wanted == minor)
            && rule.access.contains('r')
    };
    rules.iter().rev().find(meets).is_some_and(|rule| rule.allow)
}
