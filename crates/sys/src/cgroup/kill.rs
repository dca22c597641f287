//! Emptying and removing one group with all below it.

use super::{absent_is, directory, leaf};
use crate::{Result, SysError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};
use urunc_plan::launch::CgroupGroup;

/// A killed process may have to release a lot of memory first.
const PATIENCE: Duration = Duration::from_secs(10);
/// A process that has exited leaves its group a moment later, without an event on v1.
const RETRIES: u32 = 10;

/// Removes a group and those that were made below it; kills what is in them, if anything. A group that is gone is fine.
pub(super) fn remove(group: &CgroupGroup) -> Result<()> {
    remove_tree(&leaf(group), group.v2)
}

fn remove_tree(dir: &Path, v2: bool) -> Result<()> {
    let error = |source: io::Error| SysError::new("remove cgroup", dir.display().to_string(), source);
    if try_remove(dir).map_err(error)? {
        return Ok(());
    }
    // systemd removes the directory of a scope as soon as it is empty.
    let all = v2 && absent_is(kill_all(dir), true).map_err(error)?;
    if !all {
        kill_each(dir)?;
    }
    for below in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if below.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&below.path(), v2)?;
        }
    }
    for retry in 0..RETRIES {
        if try_remove(dir).map_err(error)? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1 << retry));
    }
    Err(error(Errno::BUSY.into()))
}

/// False: busy.
fn try_remove(dir: &Path) -> io::Result<bool> {
    match rustix::fs::rmdir(dir) {
        Err(Errno::BUSY) => Ok(false),
        outcome => absent_is(outcome.map_err(io::Error::from), ()).map(|()| true),
    }
}

/// `cgroup.kill` (Linux 5.14, else false) reaches every process at once; `cgroup.events` tells when the last one left.
fn kill_all(dir: &Path) -> io::Result<bool> {
    let mut events = File::open(dir.join("cgroup.events"))?;
    match File::options().write(true).open(dir.join("cgroup.kill")) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(false),
        kill => kill?.write_all(b"1")?,
    }
    let deadline = Instant::now() + PATIENCE;
    let mut text = String::new();
    loop {
        text.clear();
        events.rewind()?;
        events.read_to_string(&mut text)?;
        if text.contains("populated 0") {
            return Ok(true);
        }
        wait(&events, PollFlags::PRI, deadline)?;
    }
}

/// SIGKILL by pidfd, checked to be still of this group after the pidfd was opened; until no process is left.
fn kill_each(dir: &Path) -> Result<()> {
    let error = |source: io::Error| SysError::new("empty cgroup", dir.display().to_string(), source);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let pids = directory::processes_in(dir)?;
        if pids.is_empty() {
            return Ok(());
        }
        let mut opened = Vec::new();
        for pid in pids {
            opened.extend(open_pid(pid).map_err(error)?.map(|process| (pid, process)));
        }
        let still = directory::processes_in(dir)?;
        if still.iter().any(|pid| *pid <= 1 || *pid == std::process::id().cast_signed()) {
            let foreign = io::Error::other("it has a process that is not the container's");
            return Err(error(foreign));
        }
        for (_, process) in opened.iter().filter(|(pid, _)| still.contains(pid)) {
            match pidfd_send_signal(process, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => wait(process, PollFlags::IN, deadline).map_err(error)?,
                Err(errno) => return Err(error(errno.into())),
            }
        }
        if Instant::now() > deadline {
            return Err(error(Errno::TIMEDOUT.into()));
        }
    }
}

/// `None`: there is no such process, or none that this pid namespace sees.
fn open_pid(pid: i32) -> io::Result<Option<OwnedFd>> {
    match Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
        None | Some(Err(Errno::SRCH)) => Ok(None),
        Some(opened) => Ok(Some(opened?)),
    }
}

/// Waits for an event of a descriptor.
fn wait(fd: &impl AsFd, events: PollFlags, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(fd, events)], Some(&timeout)) {
            Ok(0) => return Err(Errno::TIMEDOUT.into()),
            Err(Errno::INTR) => {}
            outcome => return outcome.map(drop).map_err(io::Error::from),
        }
    }
}
