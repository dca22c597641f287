//! The control socket of a real QEMU, from outside of its jail.

use super::inside;
use crate::bundle::Bundle;
use crate::image::{KERNEL, echo};
use crate::sandbox::Sandbox;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

/// A connection, past its greeting.
pub(super) struct Qmp(BufReader<UnixStream>);

impl Qmp {
    /// Connects to the monitor with this pid.
    pub(super) fn connect(pid: i32) -> Self {
        let socket = inside(pid, "/run/qmp.sock");
        let stream = UnixStream::connect(&socket).unwrap_or_else(|e| panic!("{}: {e}", socket.display()));
        let mut qmp = Self(BufReader::new(stream));
        qmp.line();
        qmp.ask("qmp_capabilities");
        qmp
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        serde_json::from_str(&line).expect("JSON")
    }

    /// What a command without arguments returns; events in between are not looked at.
    pub(super) fn ask(&mut self, command: &str) -> Value {
        writeln!(self.0.get_mut(), "{}", json!({"execute": command})).expect("a connection");
        loop {
            let mut answer = self.line();
            assert!(answer.get("error").is_none(), "{command}: {answer}");
            if answer.get("return").is_some() {
                return answer["return"].take();
            }
        }
    }
}

/// A Linux bundle for the host's own QEMU, whose kernel echoes what comes over the serial line.
pub(super) fn real(s: &Sandbox, name: &str) -> Bundle {
    let bundle = s.bundle(name).linux();
    std::fs::write(bundle.rootfs().join(KERNEL), echo()).expect("kernel");
    bundle
}
