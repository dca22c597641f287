//! OCI hooks: in listed order, state on stdin, exact environment, a timeout, and their output in the error.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use urunc_sys::process;

use crate::bundle::Hook;

/// Output kept for the error message, bytes; the rest is read and dropped so that a chatty hook does not block.
const KEPT_OUTPUT: usize = 1024;

/// What hooks find.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// OCI state as JSON, on their standard input.
    pub state: &'a str,
    /// Their working directory.
    pub dir: &'a Path,
}

impl<'a> Place<'a> {
    /// In the working directory of the command: all that is sure to be there once `create` has ended.
    pub fn here(state: &'a str) -> Self {
        Self { state, dir: Path::new(".") }
    }
}

/// The state as hooks in the container's namespaces get it: the pid is the one of their pid namespace (OCI spec, state).
pub(crate) fn seen_inside(state: &str) -> anyhow::Result<String> {
    let mut state: serde_json::Value = serde_json::from_str(state)?;
    if let Some(pid) = state.get_mut("pid") {
        *pid = std::process::id().into();
    }
    Ok(state.to_string())
}

/// Runs the hooks of one kind; the first failure ends the list.
///
/// # Errors
/// Names the kind, the path and what the hook said.
pub fn run(kind: &str, hooks: &[Hook], at: Place<'_>) -> anyhow::Result<()> {
    for hook in hooks {
        run_one(hook, at).with_context(|| format!("{kind} hook {}", hook.path.display()))?;
    }
    Ok(())
}

/// Runs every hook of one kind and gives the failures: poststop hooks cannot stop a delete.
pub fn run_all(kind: &str, hooks: &[Hook], at: Place<'_>) -> Vec<anyhow::Error> {
    hooks.iter().filter_map(|hook| run(kind, std::slice::from_ref(hook), at).err()).collect()
}

fn run_one(hook: &Hook, at: Place<'_>) -> anyhow::Result<()> {
    let deadline = hook.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
    let mut child = spawn(hook, at.dir)?;
    let pidfd = process::pidfd(child.id().cast_signed())?;
    let output = match exchange(&mut child, &pidfd, at.state.as_bytes(), deadline) {
        Ok(Some(output)) => output,
        failed => {
            stop(&mut child);
            failed?;
            bail!("did not end within {} s", hook.timeout.unwrap_or_default());
        }
    };
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output).trim().replace(char::is_control, " ");
    bail!("{status}{}{said}", if said.is_empty() { "" } else { ": " });
}

/// `args[0]` of the hook is its argv[0]; the environment is exactly the given one.
fn spawn(hook: &Hook, dir: &Path) -> anyhow::Result<Child> {
    let mut command = Command::new(&hook.path);
    command.current_dir(dir);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    command.env_clear().envs(hook.env.iter().filter_map(|entry| entry.split_once('=')));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    Ok(command.spawn()?)
}

/// Feeds the state and drains the output until the hook ends; `None` when the deadline passes first. A hook need not
/// read its input.
fn exchange(
    child: &mut Child,
    pidfd: &OwnedFd,
    mut state: &[u8],
    deadline: Option<Instant>,
) -> anyhow::Result<Option<Vec<u8>>> {
    let mut stdin = child.stdin.take();
    let (Some(mut out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("its output is no pipe");
    };
    for pipe in stdin.iter().map(AsFd::as_fd).chain([out.as_fd(), err.as_fd()]) {
        rustix::io::ioctl_fionbio(pipe, true).context("its pipes")?;
    }
    let mut kept = Vec::new();
    let (mut out_open, mut err_open) = (true, true);
    loop {
        stdin = match stdin {
            Some(pipe) => feed(&pipe, &mut state)?.then_some(pipe),
            None => None,
        };
        let mut fds = vec![pidfd.as_fd()];
        if out_open {
            fds.push(out.as_fd());
        }
        if err_open {
            fds.push(err.as_fd());
        }
        let input: Vec<_> = stdin.iter().map(AsFd::as_fd).collect();
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let ready = process::wait_ready(&fds, &input, left)?;
        if !ready.contains(&true) {
            return Ok(None);
        }
        out_open = drain(&mut out, &mut kept);
        err_open = drain(&mut err, &mut kept);
        // Its own end counts; a grandchild may hold the pipes for ever.
        if ready.first() == Some(&true) {
            return Ok(Some(kept));
        }
    }
}

/// Writes what fits; false when all is written, or nobody reads.
///
/// # Errors
/// The state did not get through whole, which must not pass for a hook's success.
fn feed(mut pipe: &ChildStdin, rest: &mut &[u8]) -> anyhow::Result<bool> {
    while !rest.is_empty() {
        match pipe.write(rest) {
            Ok(written) => *rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(false),
            Err(error) => return Err(error).context("the state for it"),
        }
    }
    Ok(false)
}

/// Reads what is there, keeps the first bytes; false at end of file.
fn drain(pipe: &mut impl Read, kept: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    for _ in 0..64 {
        match pipe.read(&mut buffer) {
            Ok(0) => return false,
            Ok(count) => {
                let room = KEPT_OUTPUT.saturating_sub(kept.len()).min(count);
                kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
            }
            Err(_) => return true,
        }
    }
    true
}

/// Kills the hook's process group. The leader is not reaped yet, so the group's number is still its own.
fn stop(child: &mut Child) {
    if let Some(group) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Option<u32>) -> Hook {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        Hook { path: "/bin/sh".into(), args, env: vec!["MARK=1".into()], timeout }
    }

    #[test]
    fn state_and_environment_arrive_and_order_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out");
        let write = |word: &str| shell(&format!("echo {word}$MARK$(cat) >> {}", file.display()), None);
        run("prestart", &[write("a"), write("b")], Place::here("S")).unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "a1S\nb1S\n");
    }

    #[test]
    fn failures_say_what_the_hook_said() {
        let error = run("poststart", &[shell("echo why >&2; exit 3", None)], Place::here("{}")).unwrap_err();
        assert_eq!(format!("{error:#}"), "poststart hook /bin/sh: exit status: 3: why");
        let error = run("poststart", &[shell("exec sleep 60", Some(1))], Place::here("{}")).unwrap_err();
        assert!(format!("{error:#}").ends_with("did not end within 1 s"), "{error:#}");
    }

    #[test]
    fn output_without_end_neither_blocks_nor_fills_memory() {
        run("prestart", &[shell("head -c 4000000 /dev/zero", None)], Place::here("{}")).unwrap();
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipe_does_not_hold_us() {
        run("prestart", &[shell("sleep 30 & exit 0", Some(10))], Place::here("{}")).unwrap();
    }

    #[test]
    fn a_state_longer_than_a_pipe_arrives_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let state = "x".repeat(300_000);
        let at = Place { state: &state, dir: dir.path() };
        // The first one is slow to read, the second one does not.
        run(
            "prestart",
            &[shell("sleep 0.1; cat > state", Some(10)), shell("exec 0<&-; exit 0", Some(10))],
            at,
        )
        .unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("state")).unwrap(), state);
    }
}
