//! E: sockets that strangers may reach, and output that nobody reads.

use super::{Entry, nothing_left};
use crate::bad_input::one_line;
use crate::bundle::Bundle;
use crate::command::{self, HANG, until};
use crate::container::Container;
use crate::harness::Case;
use crate::lifecycle::console;
use crate::probe::linux_on_probe;
use crate::sandbox::{Sandbox, text};
use serde_json::json;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("e-04-stranger-on-the-handshake", strangers),
    ("e-05-console-flood-on-a-pipe", flood_on_a_pipe),
    ("e-05-console-flood-on-a-terminal", flood_on_a_terminal),
    ("e-05-console-flood-through-run", flood_through_run),
    ("e-05-console-flood-from-hvt", flood_from_hvt),
    ("e-05-console-flood-from-qemu", flood_from_qemu),
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

/// A flooding guest, with a reader, with one that has stopped, perhaps with none; then `kill`. `pids` hold no more memory
/// than before.
fn flood(c: &Container<'_>, output: File, reader_dies: bool, pids: &[u32]) {
    flood_of(c, output, (2048, reader_dies), pids);
}

/// [`flood`] of so many KiB.
fn flood_of(c: &Container<'_>, mut output: File, (kibibytes, reader_dies): (usize, bool), pids: &[u32]) {
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
    for _ in 0..kibibytes {
        output.read_exact(&mut kib).expect("output");
    }
    grown("with a reader");
    assert_eq!(c.status(), "running");
    // The writer sleeps: everything on the way is full.
    until("the guest waits for its reader", || c.status_field("State").starts_with('S'));
    grown("with a reader that has stopped");
    if reader_dies {
        drop(output);
        // SIGPIPE or SIGHUP may have ended it already.
        let killed = c.kill("KILL");
        assert!(
            killed.code == 0
                || ["not running", "does not exist"].iter().any(|word| killed.stderr.contains(word)),
            "{}",
            killed.stderr
        );
    } else {
        c.kill("KILL").ok();
        drop(output);
    }
    // `run` removes what has ended.
    until("the container has ended", || {
        let state = c.verb("state");
        state.code != 0 || state.stdout.contains("stopped")
    });
}

/// A command whose output is read by the test.
fn piped(c: &Container<'_>, verb: &str) -> (Child, File) {
    let (bundle, pid_file) = (c.bundle.display().to_string(), c.pid_file().display().to_string());
    let (mut command, output) =
        c.sandbox.command([verb, "--bundle", &bundle, "--pid-file", &pid_file, &c.id]);
    let (reader, writer) = std::io::pipe().expect("pipe");
    let errors = File::create(output.with_extension("err")).expect("a file");
    let child = command.stdin(Stdio::null()).stdout(writer).stderr(errors).spawn().expect("the runtime");
    (child, File::from(OwnedFd::from(reader)))
}

/// A guest, and a program that floods.
fn bundles(s: &Sandbox) -> [Bundle; 2] {
    [s.bundle("spt").spt("flood"), s.bundle("yes").busybox(&["yes", "a line of the flood"])]
}

fn flood_on_a_pipe(s: &Sandbox) {
    for bundle in bundles(s) {
        for reader_dies in [false, true] {
            let c = s.container("a", &bundle);
            let (mut create, output) = piped(&c, "create");
            assert_eq!(command::wait(&mut create, HANG, "create"), 0);
            c.start().ok();
            flood(&c, output, reader_dies, &[c.pid().cast_unsigned()]);
            c.delete_force().ok();
        }
    }
    nothing_left(s);
}

fn flood_on_a_terminal(s: &Sandbox) {
    for bundle in bundles(s) {
        let bundle = bundle.with("/process/terminal", json!(true));
        for reader_dies in [false, true] {
            let c = s.container("a", &bundle);
            let terminal = console::create(&c);
            fs::remove_file(s.dir.join("tty")).expect("the console socket");
            c.start().ok();
            flood(&c, terminal, reader_dies, &[c.pid().cast_unsigned()]);
            c.delete_force().ok();
        }
    }
    nothing_left(s);
}

/// Slow where KVM only emulates: more than a pipe holds, and no more.
fn flood_from_hvt(s: &Sandbox) {
    for reader_dies in [false, true] {
        let c = s.container("a", &s.bundle("hvt").hvt("flood"));
        let (mut create, mut output) = piped(&c, "create");
        assert_eq!(command::wait(&mut create, HANG, "create"), 0);
        c.start().ok();
        let mut chunk = vec![0; 128 << 10];
        output.read_exact(&mut chunk).expect("output");
        let pid = c.pid().cast_unsigned();
        let before = resident(pid);
        until("the guest waits for its reader", || c.status_field("State").starts_with('S'));
        assert!(resident(pid) <= before + 1024, "{} KiB, and had {before}", resident(pid));
        if reader_dies {
            drop(output);
            assert_eq!(c.exit_code(), 128 + libc::SIGPIPE);
        } else {
            c.kill("TERM").ok();
            assert_eq!(c.exit_code(), 128 + libc::SIGTERM);
        }
        c.delete().ok();
        fs::remove_dir_all(&c.bundle).expect("bundle");
    }
    nothing_left(s);
}

/// A serial line is slow where it is emulated. Init, which has a copy of all, keeps as little as the monitor.
fn flood_from_qemu(s: &Sandbox) {
    for reader_dies in [false, true] {
        let c = s.container("a", &crate::virtio_guest::with(s.bundle("qemu"), &["flood"]));
        let (mut create, output) = piped(&c, "create");
        assert_eq!(command::wait(&mut create, HANG, "create"), 0);
        c.start().ok();
        let pids = [c.pid(), c.monitor()].map(i32::cast_unsigned);
        flood_of(&c, output, (256, reader_dies), &pids);
        c.delete_force().ok();
        fs::remove_dir_all(&c.bundle).expect("bundle");
    }
    nothing_left(s);
}

/// `run` stays, and carries a terminal's output to its own.
fn flood_through_run(s: &Sandbox) {
    for bundle in bundles(s) {
        let bundle = bundle.with("/process/terminal", json!(true));
        for reader_dies in [false, true] {
            let c = s.container("a", &bundle);
            let (mut run, output) = piped(&c, "run");
            until("the guest runs", || c.verb("state").stdout.contains("running"));
            let pids = [c.pid().cast_unsigned(), run.id()];
            flood(&c, output, reader_dies, &pids);
            command::wait(&mut run, HANG, "run");
            c.delete_force();
        }
    }
    nothing_left(s);
}
