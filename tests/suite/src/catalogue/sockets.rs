//! E: sockets that strangers may reach, and output that nobody reads.

use super::{Entry, nothing_left};
use crate::bad_input::host::linux_on_probe;
use crate::bad_input::one_line;
use crate::command::{self, HANG, until};
use crate::container::Container;
use crate::harness::Case;
use crate::lifecycle::console;
use crate::sandbox::{Sandbox, text};
use serde_json::json;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("e-04-stranger-on-the-handshake", strangers),
    ("e-05-console-flood-on-a-pipe", flood_on_a_pipe),
    ("e-05-console-flood-on-a-terminal", flood_on_a_terminal),
    ("e-05-console-flood-through-run", flood_through_run),
];

/// What a stranger says: kind, length (little endian) and a part of what it announced.
const GARBAGE: [&[u8]; 8] = [
    b"",
    b"\0",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\0\x00\x00\x00\x40",
    b"\0\xff\xff\xff\xff{\"Start\":",
    b"\0\x08\x00\x00\x00{\"Star",
    b"\0\x02\x00\x00\x00{}",
    b"\0\x0b\x00\x00\x00{\"Begin\":1}",
];

fn strangers(s: &Sandbox) {
    let bundles = [s.bundle("spt").spt("idle"), linux_on_probe(s, &["probe=quiet", "probe=qmp"])];
    fs::write(&s.settings, text(&s.settings) + "[runtime]\nstart_timeout = 2\n").expect("settings");
    for bundle in bundles {
        let c = s.container("a", &bundle);
        c.create().ok();
        let (dir, socket) = (s.root().join(&c.id), s.root().join(&c.id).join("init.sock"));
        let mode = |path: &std::path::Path| {
            let meta = fs::metadata(path).expect("a file");
            (meta.mode() & 0o777, meta.uid())
        };
        assert_eq!((mode(&dir), mode(&socket)), ((0o700, 0), (0o600, 0)));
        for said in GARBAGE {
            let mut stranger = UnixStream::connect(&socket).expect("init listens");
            // Init may close before it has read all.
            let _ = stranger.write_all(said);
            drop(stranger);
            assert_eq!(c.status(), "created", "{said:?}");
        }
        c.start().ok();
        assert_eq!(c.status(), "running");
        one_line(s, &c.start(), "already running");
        assert!(UnixStream::connect(&socket).is_err(), "a monitor listens for orders");
        assert_eq!(c.status(), "running");
        c.delete_force().ok();
        // One that says nothing, and stays: words, and not a hang.
        c.create().ok();
        let mut silent = UnixStream::connect(&socket).expect("init listens");
        silent.write_all(b"\0\x08").expect("init reads");
        one_line(s, &c.start(), "does not answer");
        c.delete_force().ok();
        drop(silent);
    }
    nothing_left(s);
}

/// Resident memory of a process, KiB.
fn resident(pid: u32) -> u64 {
    let status = text(std::path::Path::new(&format!("/proc/{pid}/status")));
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a live process")
}

/// A flooding guest: what of a slow reader, of none, and then an end. `pids` hold no more memory than before.
fn flood(c: &Container<'_>, mut output: File, pids: &[u32]) {
    const MIB: u64 = 1024;
    let mut kib = [0; 1024];
    output.read_exact(&mut kib).expect("output");
    let before: Vec<u64> = pids.iter().map(|pid| resident(*pid)).collect();
    let grown = |when: &str| {
        for (pid, before) in pids.iter().zip(&before) {
            let now = resident(*pid);
            assert!(now <= before + MIB, "{when}: {pid} has {now} KiB, and had {before}");
        }
    };
    // More than all buffers on the way hold.
    for _ in 0..2048 {
        output.read_exact(&mut kib).expect("output");
    }
    grown("with a reader");
    assert_eq!(c.status(), "running");
    // The writer sleeps: everything on the way is full.
    until("the guest waits for its reader", || {
        ["pipe_write", "n_tty_write", "wait_woken"].iter().any(|place| c.proc("wchan").contains(place))
            || c.status_field("State").starts_with('S')
    });
    grown("with a reader that has stopped");
    drop(output);
}

/// Ends a flooding guest.
fn end(c: &Container<'_>) {
    if c.status() == "running" {
        c.kill("KILL").ok();
    }
    c.until_stopped();
    c.delete_force().ok();
}

fn flood_on_a_pipe(s: &Sandbox) {
    let ordinary = s.bundle("yes").busybox(&["yes", "a line of the flood"]);
    for (name, bundle) in [("spt", s.bundle("spt").spt("flood")), ("yes", ordinary)] {
        let c = s.container(name, &bundle);
        let bundle = c.bundle.display().to_string();
        let pid_file = c.pid_file().display().to_string();
        let (mut command, output) =
            s.command(["create", "--bundle", &bundle, "--pid-file", &pid_file, &c.id]);
        let (reader, writer) = std::io::pipe().expect("pipe");
        let errors = File::create(output.with_extension("err")).expect("a file");
        let mut child = command.stdin(Stdio::null()).stdout(writer).stderr(errors).spawn().expect("create");
        drop(command);
        assert_eq!(command::wait(&mut child, HANG, "create"), 0);
        c.start().ok();
        flood(&c, File::from(std::os::fd::OwnedFd::from(reader)), &[c.pid().cast_unsigned()]);
        end(&c);
    }
    nothing_left(s);
}

fn flood_on_a_terminal(s: &Sandbox) {
    let bundle = s.bundle("spt").spt("flood").with("/process/terminal", json!(true));
    let c = s.container("spt", &bundle);
    let terminal = console::create(&c);
    c.start().ok();
    flood(&c, terminal, &[c.pid().cast_unsigned()]);
    end(&c);
    nothing_left(s);
}

/// `run` stays, and carries a terminal's output to its own.
fn flood_through_run(s: &Sandbox) {
    let bundle = s.bundle("spt").spt("flood").with("/process/terminal", json!(true));
    let c = s.container("spt", &bundle);
    let bundle = c.bundle.display().to_string();
    let pid_file = c.pid_file().display().to_string();
    let (mut command, output) = s.command(["run", "--bundle", &bundle, "--pid-file", &pid_file, &c.id]);
    let (reader, writer) = std::io::pipe().expect("pipe");
    let errors = File::create(output.with_extension("err")).expect("a file");
    let mut child = command.stdin(Stdio::null()).stdout(writer).stderr(errors).spawn().expect("run");
    drop(command);
    let reader = File::from(std::os::fd::OwnedFd::from(reader));
    until("the guest runs", || !text(&c.pid_file()).is_empty() && c.verb("state").code == 0);
    flood(&c, reader, &[c.pid().cast_unsigned(), child.id()]);
    c.kill("KILL");
    command::wait(&mut child, HANG, "run");
    c.delete_force().ok();
    nothing_left(s);
}
