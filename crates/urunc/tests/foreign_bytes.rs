//! What another process may have written: frames of the handshake, files of the state directory.
#![allow(clippy::unwrap_used)]

use std::os::fd::AsFd;

use proptest::prelude::*;
use urunc::handshake::{self, Message};
use urunc::state::{Container, Phase, Record, Status};
use urunc_plan::LaunchPlan;
use urunc_sys::fdpass;

/// Pieces of real messages and files, put together at random.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "null",
        "1e999",
        "-1",
        "\"Ready\"",
        "\"Failed\"",
        "\"step\"",
        "\"Start\"",
        "\"plan\"",
        "\"phase\"",
        "\"running\"",
        "\"pid\"",
        "\"version\"",
        "\\u0000",
    ]);
    let piece = prop_oneof![
        known.prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4)
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_frame_is_a_message_or_an_error(kind in any::<u8>(), payload in pieces()) {
        let (ours, theirs) = fdpass::pair().unwrap();
        fdpass::send(theirs.as_fd(), kind, &payload, &[]).unwrap();
        let known = serde_json::from_slice::<Message>(&payload).is_ok();
        prop_assert_eq!(handshake::receive(ours.as_fd()).is_ok(), known);
    }

    #[test]
    fn a_stream_that_ends_anywhere_ends_here(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let (ours, theirs) = fdpass::pair().unwrap();
        fdpass::send_with_fds(theirs.as_fd(), &bytes, &[]).unwrap();
        drop(theirs);
        while let Ok(Some(_)) = fdpass::receive(ours.as_fd()) {}
    }

    #[test]
    fn files_of_the_state_are_values_or_errors(bytes in pieces()) {
        prop_assert!(serde_json::from_slice::<Record>(&bytes).is_err());
        prop_assert!(serde_json::from_slice::<LaunchPlan>(&bytes).is_err());
        prop_assert!(serde_json::from_slice::<Status>(&bytes).is_err());
    }

    /// A process of another boot, or with another start time, is never taken for the container's.
    #[test]
    fn a_status_of_another_process_has_no_process(pid in any::<i32>(), start_time in any::<u64>(), boot in ".{0,40}") {
        for phase in [Phase::Created, Phase::Running] {
            let status = Status { phase, pid, start_time, boot_id: boot.clone() };
            prop_assert!(Container::process(&status).unwrap().is_none());
        }
    }
}
