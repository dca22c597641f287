//! The stream that init and the commands read from each other.
#![no_main]

use std::os::fd::AsFd;

use libfuzzer_sys::fuzz_target;
use urunc::handshake::{self, Message};
use urunc_sys::fdpass;

/// What one send takes without waiting for a reader.
const MOST: usize = 64 << 10;

fuzz_target!(|bytes: &[u8]| {
    let (ours, theirs) = fdpass::pair().expect("a pair of sockets");
    fdpass::send_with_fds(theirs.as_fd(), &bytes[..bytes.len().min(MOST)], &[]).expect("room for it");
    drop(theirs);
    while let Ok(Some((message, fds))) = handshake::receive(ours.as_fd()) {
        assert!(fds.is_empty());
        echo(&message);
    }
});

/// What was received is received again when it is sent.
fn echo(message: &Message) {
    let text = serde_json::to_vec(message).expect("plain data");
    if text.len() > MOST {
        return;
    }
    let (ours, theirs) = fdpass::pair().expect("a pair of sockets");
    handshake::send(theirs.as_fd(), message, &[]).expect("room for it");
    let (again, _) = handshake::receive(ours.as_fd()).expect("our own frame").expect("not closed");
    assert_eq!(serde_json::to_vec(&again).expect("plain data"), text);
}
