//! Terminals: the pseudo terminal comes over the console socket, with its size, and is the controlling terminal.

use super::Entry;
use crate::bundle::Bundle;
use crate::command::until;
use crate::container::Container;
use crate::sandbox::Sandbox;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;
use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

pub(super) const CASES: &[Entry] = &[
    ("a-terminal-comes-over-the-console-socket", terminal),
    ("a-terminal-without-socket-is-refused", |s| {
        let c = s.container("a", &with_terminal(s, "true"));
        c.create().fails();
        c.verb("state").fails();
    }),
    ("a-socket-without-terminal-is-refused", |s| {
        // The listener's path carries the tag: let the ledger look first.
        s.run(["list", "-q"]).ok();
        let path = s.dir.join("tty");
        let _listener = UnixListener::bind(&path).unwrap();
        s.container("a", &s.bundle("b"))
            .create_with(&["--console-socket", &path.display().to_string()])
            .fails();
        std::fs::remove_file(&path).unwrap();
    }),
    ("a-console-socket-that-nobody-listens-on-is-refused", |s| {
        let path = s.dir.join("tty").display().to_string();
        s.container("a", &with_terminal(s, "true")).create_with(&["--console-socket", &path]).fails();
    }),
];

fn with_terminal(s: &Sandbox, script: &str) -> Bundle {
    let bundle = s.bundle("b").script(script);
    bundle
        .with("/process/terminal", json!(true))
        .with("/process/consoleSize", json!({"height": 33, "width": 101}))
}

fn terminal(s: &Sandbox) {
    let bundle = with_terminal(s, "tty; stty size; exec < /dev/tty; read line; echo got $line");
    for applet in ["tty", "stty"] {
        std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin").join(applet)).unwrap();
    }
    let c = s.container("a", &bundle);
    let mut master = create(&c);
    c.start().ok();
    master.write_all(b"hello\n").unwrap();
    let mut seen = String::new();
    until("the terminal answers", || {
        let mut buffer = [0; 256];
        let n = master.read(&mut buffer).unwrap_or_default();
        seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        seen.contains("got hello")
    });
    assert!(seen.contains("/dev/pts/0") || seen.contains("/dev/console"), "{seen}");
    assert!(seen.contains("33 101"), "{seen}");
    c.until_stopped();
}

/// `create` with a console socket; returns the terminal's master.
pub(crate) fn create(c: &Container<'_>) -> File {
    // The listener's path carries the tag: let the ledger look first.
    c.sandbox.run(["list", "-q"]).ok();
    let path = c.sandbox.dir.join("tty");
    let listener = UnixListener::bind(&path).unwrap();
    c.create_with(&["--console-socket", &path.display().to_string()]).ok();
    File::from(receive(&listener))
}

/// The descriptor that the runtime sends.
fn receive(listener: &UnixListener) -> OwnedFd {
    let (stream, _) = listener.accept().unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 4096];
    recvmsg(&stream, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    let mut rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    rights.next().expect("a descriptor")
}
