//! The control socket of a real QEMU, from outside of its jail.

use crate::bundle::Bundle;
use crate::image::{KERNEL, echo};
use crate::sandbox::Sandbox;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

/// Init's end of the connection, while init stands still: what it would answer is ours.
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
    init: Pid,
}

impl Qmp {
    /// Takes over the connection of the container's process, which has no other socket.
    pub(super) fn take(pid: i32) -> Self {
        let init = Pid::from_raw(pid).expect("a pid");
        kill_process(init, Signal::STOP).expect("init");
        let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors").flatten();
        let sockets = open.filter(|entry| {
            fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
        });
        let numbers: Vec<i32> =
            sockets.map(|entry| entry.file_name().to_string_lossy().parse().expect("a number")).collect();
        assert_eq!(numbers.len(), 1, "{numbers:?}");
        let pidfd = pidfd_open(init, PidfdFlags::empty()).expect("init");
        let socket = pidfd_getfd(pidfd, numbers[0], PidfdGetfdFlags::empty()).expect("its socket");
        let stream = UnixStream::from(socket);
        // Init never waits on it.
        stream.set_nonblocking(false).expect("a socket");
        Self { stream: BufReader::new(stream), init }
    }

    /// What a command without arguments returns; events in between are not looked at.
    pub(super) fn ask(&mut self, command: &str) -> Value {
        writeln!(self.stream.get_mut(), "{}", json!({"execute": command, "id": "suite"}))
            .expect("a connection");
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("an answer");
            let mut answer: Value = serde_json::from_str(&line).expect("JSON");
            // What init asked may be answered now.
            if answer["id"] != "suite" {
                continue;
            }
            assert!(answer.get("error").is_none(), "{command}: {answer}");
            return answer["return"].take();
        }
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        let _ = kill_process(self.init, Signal::CONT);
    }
}

/// A Linux bundle for the host's own QEMU, whose kernel echoes what comes over the serial line.
pub(super) fn real(s: &Sandbox, name: &str) -> Bundle {
    let bundle = s.bundle(name).linux();
    fs::write(bundle.rootfs().join(KERNEL), echo()).expect("kernel");
    bundle
}
