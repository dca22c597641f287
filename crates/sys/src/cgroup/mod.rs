//! Cgroup directories: prepare, adopt, remove.
//!
//! `prepare` applies a plan to directories that are the container's alone; v2 hands out a descriptor for
//! `CLONE_INTO_CGROUP`, v1 groups are entered by the process itself, or adopt it.

mod devices;
mod directory;
mod kill;

use crate::{Result, SysError};
use directory::Made;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use urunc_plan::cgroup::facts;
use urunc_plan::input::CgroupFacts;
use urunc_plan::launch::{Cgroup, CgroupGroup};

/// Which hierarchies are mounted, and where this process is in them.
pub fn facts() -> Result<CgroupFacts> {
    let read = |path: &str| fs::read_to_string(path).map_err(|source| SysError::new("read", path, source));
    let mountinfo = read("/proc/self/mountinfo")?;
    let controllers = match facts::v2_mount_point(&mountinfo) {
        Some(point) => read(&format!("{point}/cgroup.controllers"))?,
        None => String::new(),
    };
    Ok(facts::parse(&mountinfo, &read("/proc/self/cgroup")?, &controllers))
}

/// Makes every group, writes its limits in order and attaches the device program. Returns the v2 directory, when there
/// is one, for clone3(2) with `CLONE_INTO_CGROUP`; the other groups are still to be [`enter`]ed.
///
/// # Errors
/// File and value of a refused write; a group that has processes already. Directories made by this call are gone then,
/// others are as they were: do not [`remove`] them after a failure.
pub fn prepare(plan: &Cgroup) -> Result<Option<OwnedFd>> {
    // A scope is made around a process, so only when there is one.
    if plan.scope.is_some() { Ok(None) } else { apply(plan, None) }
}

/// Does the work of [`prepare`] in the scope that systemd made around this process.
///
/// # Errors
/// As for [`prepare`].
pub fn limit(plan: &Cgroup, pid: i32) -> Result<()> {
    apply(plan, Some(pid)).map(drop)
}

/// Nobody but `inside` may be in the groups.
fn apply(plan: &Cgroup, inside: Option<i32>) -> Result<Option<OwnedFd>> {
    let mut made = Made::default();
    let mut v2 = None;
    for group in &plan.groups {
        directory::make(group, inside, &mut made)?;
        if group.v2 {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = rustix::fs::open(leaf(group), flags, Mode::empty())
                .map_err(|errno| SysError::new("open", leaf(group).display().to_string(), errno))?;
            if !plan.device_rules.is_empty() {
                devices::attach(&dir, &plan.device_rules)?;
            }
            v2 = Some(dir);
        }
    }
    made.keep();
    Ok(v2)
}

/// Takes prepared groups for one `create`, until the descriptor is closed everywhere.
///
/// # Errors
/// EBUSY: another `create` is about to put its process there, or has done so. When that cannot be found out, the groups
/// are gone if nobody is in them, as after a failed [`prepare`].
pub fn claim(plan: &Cgroup) -> Result<Option<OwnedFd>> {
    // A scope needs no claim: systemd makes it for one, and refuses the other.
    let Some(group) = plan.groups.first().filter(|_| plan.scope.is_none()) else { return Ok(None) };
    let first = leaf(group);
    match try_claim(plan, &first) {
        Ok(None) => Err(SysError::new("claim", first.display().to_string(), Errno::BUSY)),
        Ok(claimed) => Ok(claimed),
        Err(error) => {
            for group in &plan.groups {
                let _ = rustix::fs::rmdir(leaf(group));
            }
            Err(error)
        }
    }
}

/// `None`: the groups are another one's.
fn try_claim(plan: &Cgroup, leaf: &Path) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(leaf, flags, Mode::empty())
        .map_err(|errno| SysError::new("open", leaf.display().to_string(), errno))?;
    match crate::atomic::lock(dir.as_fd(), false) {
        Err(error) if error.source.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        locked => locked?,
    }
    Ok(occupied(plan)?.is_none().then_some(dir))
}

/// Lets a frozen container go on (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst): on v1 not even SIGKILL
/// reaches a frozen process. On v2 it does. Nothing to be done is no error: neither is a group that is gone.
pub fn thaw(plan: &Cgroup) {
    for group in plan.groups.iter().filter(|group| !group.v2) {
        let _ = fs::File::options()
            .write(true)
            .open(leaf(group).join("freezer.state"))
            .and_then(|mut file| io::Write::write_all(&mut file, b"THAWED"));
    }
}

/// Moves a process into every v1 group.
///
/// The kernel stops all forks and exits of the machine for it, which costs an RCU grace period (10 to 20 ms) now and
/// then: where the process can do it itself, [`doors`] and [`enter`] are the fast way.
pub fn adopt(plan: &Cgroup, pid: i32) -> Result<()> {
    let pid = pid.to_string();
    let v1 = plan.groups.iter().filter(|group| !group.v2);
    v1.into_iter().try_for_each(|group| directory::write_once(&leaf(group).join("cgroup.procs"), &pid))
}

/// The `tasks` files of the v1 groups, open for a child to [`enter`].
pub fn doors(plan: &Cgroup) -> Result<Vec<OwnedFd>> {
    let v1 = plan.groups.iter().filter(|group| !group.v2);
    v1.map(|group| directory::open_to_write(&leaf(group).join("tasks"), "0").map(OwnedFd::from)).collect()
}

/// Moves the calling thread, which must be the only one of its process, into the groups behind the [`doors`]. A thread
/// that moves just itself needs no lock on forks and exits (Linux 5.5). Namespaces entered before do not matter.
pub fn enter(doors: &[OwnedFd]) -> Result<()> {
    for door in doors {
        rustix::io::write(door, b"0")
            .map_err(|errno| SysError::new("enter", "cgroup of the container", errno))?;
    }
    Ok(())
}

/// The file that counts what the kernel killed for the memory limit of the container, see [`oom_kills`]; `None` without
/// a memory controller.
///
/// # Errors
/// It is there and cannot be opened.
pub fn oom_file(plan: &Cgroup) -> Result<Option<OwnedFd>> {
    let memory =
        |group: &&CgroupGroup| group.v2 || group.mount.rsplit(['/', ',']).any(|word| word == "memory");
    for group in plan.groups.iter().filter(memory) {
        let path = leaf(group).join(if group.v2 { "memory.events" } else { "memory.oom_control" });
        let opened = absent_is(fs::File::open(&path).map(Some), None);
        if let Some(file) = opened.map_err(|e| SysError::new("open", path.display().to_string(), e))? {
            return Ok(Some(file.into()));
        }
    }
    Ok(None)
}

/// The counter of an [`oom_file`]: the line `oom_kill N` (Documentation/admin-guide/cgroup-v2.rst). Allocates nothing.
pub fn oom_kills(file: std::os::fd::BorrowedFd<'_>) -> Option<u64> {
    let mut bytes = [0; 512];
    let count = rustix::io::pread(file, &mut bytes, 0).ok()?;
    let text = std::str::from_utf8(bytes.get(..count)?).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// Processes in the container's groups, as this pid namespace numbers them; none when the groups are gone.
pub fn pids(plan: &Cgroup) -> Result<Vec<i32>> {
    plan.groups.last().map_or(Ok(Vec::new()), directory::processes)
}

/// A group of the plan that already has processes, itself or below, which are not the container's: ask before the
/// intent is stored, for [`remove`] kills what it finds.
pub fn occupied(plan: &Cgroup) -> Result<Option<PathBuf>> {
    for group in &plan.groups {
        if directory::is_populated(&leaf(group))? {
            return Ok(Some(leaf(group)));
        }
    }
    Ok(None)
}

/// Kills what is left in a group of the container's and removes it; parents stay, as with runc. Idempotent.
pub fn remove(group: &CgroupGroup) -> Result<()> {
    kill::remove(group)
}

/// The container's own directory in a hierarchy.
fn leaf(group: &CgroupGroup) -> PathBuf {
    PathBuf::from(format!("{}{}", group.mount, group.path))
}

/// An absent file or directory is no error.
fn absent_is<T>(result: io::Result<T>, default: T) -> io::Result<T> {
    match result {
        Err(error)
            if error.raw_os_error().is_some_and(|code| {
                [Errno::NOENT, Errno::NODEV].contains(&Errno::from_raw_os_error(code))
            }) =>
        {
            Ok(default)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
