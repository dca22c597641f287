//! A user namespace of the container's own: what `create` does for init from outside, for its first process has no
//! privilege on the host.

use std::os::fd::AsFd;

use anyhow::Context;
use urunc_plan::LaunchPlan;
use urunc_sys::identity;

/// Says who is who in the user namespace of the new process, and grants it limits of the host; nothing where the users
/// are the host's.
///
/// # Errors
/// The map, file or limit.
pub fn settle(plan: &LaunchPlan, pid: i32) -> anyhow::Result<()> {
    let (names, who) = (&plan.namespaces, &plan.identity);
    if names.uid_map.is_empty() {
        return Ok(());
    }
    let proc = identity::private_proc()?;
    let write = |file: &str, value: &str| identity::write_proc(proc.as_fd(), &format!("{pid}/{file}"), value);
    let maps =
        [("uid_map", &names.uid_map, "linux.uidMappings"), ("gid_map", &names.gid_map, "linux.gidMappings")];
    for (file, map, field) in maps {
        let lines: Vec<_> =
            map.iter().map(|one| format!("{} {} {}", one.container, one.host, one.size)).collect();
        write(file, &lines.join("\n")).context(field)?;
    }
    identity::allow_rlimits(pid, &who.rlimits).context("process.rlimits")?;
    if let Some(score) = who.oom_score_adj {
        write("oom_score_adj", &score.to_string()).context("process.oomScoreAdj")?;
    }
    Ok(())
}
