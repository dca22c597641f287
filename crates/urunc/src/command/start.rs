//! `start`: steps 8 to 10 of ARCHITECTURE.md.

mod api;

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, bail};
use urunc_plan::launch::{Exec, Mode, Ready};
use urunc_plan::{LaunchPlan, MONITOR_LOG};
use urunc_sys::{cgroup, fdpass, net, process};

use crate::bundle::Hook;
use crate::cli::Global;
use crate::handshake::{self, Message};
use crate::hooks::{self, Place};
use crate::network;
use crate::state::{self, Container, Life, Phase, Record, SOCKET, Status};
use crate::undo;

/// Bytes of the monitor's log that are looked at for its last line.
const LOG_TAIL: i64 = 4096;

/// The command.
///
/// # Errors
/// The failing step, its cause and the monitor's last line.
pub fn run(global: &Global, id: &str) -> anyhow::Result<u8> {
    let (store, container) = super::existing(global, id)?;
    if !container.lock(&store)? {
        bail!("container {id} does not exist");
    }
    start(&container)?;
    Ok(0)
}

/// Starts a created container, whose lock the caller holds.
///
/// # Errors
/// As [`run`].
pub fn start(container: &Container) -> anyhow::Result<()> {
    let (record, mut status) = (container.record()?, container.status()?);
    if record.version > state::VERSION {
        bail!("container {} was created by a newer release, which must start it", container.id);
    }
    let pidfd = match (container.life(&status)?, Container::process(&status)?) {
        (Life::Created, Some(pidfd)) => pidfd,
        (Life::Running, _) => bail!("cannot start an already running container"),
        (Life::Creating, Some(_)) => bail!("cannot start a container that is being created"),
        // We hold the lock: without a process, no `create` is at work.
        _ => bail!("cannot start a container that has stopped"),
    };
    if !record.has_process {
        bail!("config.json: process: missing, there is nothing to start");
    }
    let socket = match fdpass::connect(container.dir.as_fd(), SOCKET) {
        // Init is dying: its listener goes before the process itself.
        Err(error)
            if error.source.kind() == ErrorKind::ConnectionRefused
                && process::stat(status.pid)?.is_none_or(|stat| stat.exiting) =>
        {
            bail!("cannot start a container that has stopped")
        }
        // Init has left its place: an earlier start died before it could say so. The guest must not suffer from this one.
        Err(error) if error.source.kind() == ErrorKind::ConnectionRefused => {
            status.phase = Phase::Running;
            container.save_status(&status)?;
            bail!("cannot start an already running container");
        }
        connected => connected?,
    };
    let netns = open_of_init(status.pid, "ns/net")?;
    let running = Status { phase: Phase::Running, ..status.clone() };
    connect_and_go(container, &record, &status, (&socket, &pidfd), &netns)
        .and_then(|()| container.save_status(&running))
        .and_then(|()| {
            let state = state::oci_state(&container.id, &record, Life::Running, status.pid);
            hooks::run("poststart", &record.hooks.poststart, Place::here(&state))
        })
        .map_err(|error| after_failure(container, &pidfd, &netns, error))
}

/// What /proc shows of init.
fn open_of_init(pid: i32, name: &str) -> anyhow::Result<OwnedFd> {
    let path = format!("/proc/{pid}/{name}");
    match std::fs::File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("init has ended"),
        opened => Ok(opened.context(path)?.into()),
    }
}

/// A failed start leaves a stopped container and no network of ours; `delete` does the rest.
fn after_failure(
    container: &Container,
    pidfd: &OwnedFd,
    netns: &OwnedFd,
    error: anyhow::Error,
) -> anyhow::Error {
    let killed = undo::kill(container, pidfd.as_fd());
    let disconnected = container
        .plan()
        .map(|plan| plan.net)
        .and_then(|tap| tap.map_or(Ok(()), |tap| net::disconnect(netns.as_fd(), &tap).map_err(Into::into)));
    for result in [killed, disconnected] {
        if let Err(left) = result {
            log::warn!("not undone: {left:#}");
        }
    }
    error
}

fn connect_and_go(
    container: &Container,
    record: &Record,
    status: &Status,
    (socket, pidfd): (&OwnedFd, &OwnedFd),
    netns: &OwnedFd,
) -> anyhow::Result<()> {
    let (plan, tap) = network::connect(container, record, status, netns)?;
    // Opened while init still holds the private root: both can be used after the monitor's end.
    let root = open_of_init(status.pid, "root")?;
    let log = monitor_log(&root);
    let state = state::oci_state(&container.id, record, Life::Created, status.pid);
    let more = supervision(container, record, &plan)?;
    let fds: Vec<_> = tap.iter().chain(&more).map(AsFd::as_fd).collect();
    let patience = Duration::from_secs(record.start_timeout.into());
    fdpass::set_timeout(socket.as_fd(), patience)?;
    // Init has a clock of its own for a monitor that has to answer.
    let limit = if more.is_empty() { patience } else { 2 * patience };
    let start = Message::Start { plan: Box::new(plan.clone()), state, patience: patience.as_secs() };
    handshake::send(socket.as_fd(), &start, &fds)?;
    drop((tap, more));
    let outcome = await_monitor(socket, pidfd, &record.hooks.start_container, limit)
        .and_then(|()| await_acceptance(container, &plan, (&root, pidfd), patience));
    outcome.map_err(|error| quote(error, log.as_ref()))
}

/// What an init that stays needs: the place for its record, and the counter of kills for memory.
fn supervision(container: &Container, record: &Record, plan: &LaunchPlan) -> anyhow::Result<Vec<OwnedFd>> {
    match plan.mode {
        Mode::Direct { .. } => Ok(Vec::new()),
        Mode::Supervised { .. } if record.version < state::SUPERVISES => {
            bail!("container {} was created by an older release, which must start it", container.id)
        }
        Mode::Supervised { .. } => {
            Ok([container.make_exit()?].into_iter().chain(cgroup::oom_file(&plan.cgroup)?).collect())
        }
    }
}

/// READY and then EOF is success; EOF alone is not.
fn await_monitor(
    socket: &OwnedFd,
    pidfd: &OwnedFd,
    hooks: &[Hook],
    patience: Duration,
) -> anyhow::Result<()> {
    let hooks_time: Option<u64> = hooks.iter().map(|hook| hook.timeout.map(u64::from)).sum();
    let limit = hooks_time.map(|seconds| patience + Duration::from_secs(seconds));
    let mut ready = false;
    loop {
        let events = process::wait_readable(&[socket.as_fd(), pidfd.as_fd()], limit)?;
        if events == [false, false] {
            bail!("init does not answer within {} s", limit.unwrap_or_default().as_secs());
        }
        // Messages first: a monitor that ended at once may have been ready before.
        if events.first() == Some(&true) {
            match handshake::receive(socket.as_fd())? {
                Some((Message::Ready, _)) => ready = true,
                Some((Message::Failed { step, message }, _)) => bail!("{step}: {message}"),
                Some(_) => bail!("init sent a message out of order"),
                None if ready => return Ok(()),
                None => bail!("init ended before the monitor was ready"),
            }
        } else if !ready {
            bail!("init ended before the monitor was ready");
        }
    }
}

/// Some monitors make an API that tells whether they have accepted their configuration.
fn await_acceptance(
    container: &Container,
    plan: &LaunchPlan,
    (root, pidfd): (&OwnedFd, &OwnedFd),
    patience: Duration,
) -> anyhow::Result<()> {
    let Exec::Program(program) = &plan.exec else { return Ok(()) };
    let Ready::Api { socket, path } = &program.ready else { return Ok(()) };
    match api::runs((root, socket), path, pidfd, patience) {
        // A guest may be faster than we can ask.
        Err(_) if container.exit()?.is_some_and(|exit| exit.status == 0 || is_guests(&exit.cause)) => Ok(()),
        accepted => accepted.with_context(|| plan.monitor.clone()),
    }
}

/// An end that only a guest can have had.
fn is_guests(cause: &str) -> bool {
    matches!(cause, "exit" | "panic" | "reset" | "triple-fault")
}

/// Foreign text for the end of a line: what is no letter or sign of a terminal is escaped, and the rest is cut.
pub(super) fn printable(text: &str) -> String {
    const LONGEST: usize = 240;
    let plain = |c: char| (c == '"' || c == '\'' || c == '\\').then_some(c);
    let escaped = text.chars().flat_map(|c| plain(c).map_or_else(|| c.escape_debug().collect(), |c| vec![c]));
    let mut bytes = 0;
    escaped
        .take_while(|c| {
            bytes += c.len_utf8();
            bytes <= LONGEST
        })
        .collect()
}

/// The monitor's log in the private root.
fn monitor_log(root: &OwnedFd) -> Option<std::fs::File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(root, MONITOR_LOG.trim_start_matches('/'), flags, Mode::empty()).ok().map(Into::into)
}

fn quote(error: anyhow::Error, log: Option<&std::fs::File>) -> anyhow::Error {
    let Some(mut log) = log else { return error };
    let mut tail = Vec::new();
    let _ = log.seek(SeekFrom::End(-LOG_TAIL)).or_else(|_| log.rewind().map(|()| 0));
    let _ = log.take(LOG_TAIL.unsigned_abs()).read_to_end(&mut tail);
    let text = String::from_utf8_lossy(&tail);
    // Behind what it does not understand, a program tells where to read on.
    let tells = |line: &&str| !line.is_empty() && !line.contains("--help");
    match text.lines().rev().map(str::trim).find(tells) {
        Some(line) => anyhow::anyhow!("{error:#}: monitor said: {}", printable(line)),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn foreign_text_stays_on_its_line_and_short() {
        assert_eq!(printable("it's \"é\" \\ a\x1b[2J\u{202e}\0b"), "it's \"é\" \\ a\\u{1b}[2J\\u{202e}\\0b");
        assert_eq!(printable(&"é".repeat(1000)), "é".repeat(120));
    }
}
