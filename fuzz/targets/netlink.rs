//! Datagrams of an rtnetlink socket.
#![no_main]

use std::error::Error;

use libfuzzer_sys::fuzz_target;
use urunc_fuzz::refused;
use urunc_sys::net;

/// The request that is answered; the sequence number that a corpus file carries.
const SEQUENCE: u32 = 1;

fuzz_target!(|datagram: &[u8]| {
    match net::parse(datagram, SEQUENCE) {
        Err(error) => {
            refused(error.source().map_or(error.to_string(), |source| format!("{error}: {source}")))
        }
        Ok(None) => {}
        Ok(Some((facts, targets))) => {
            // The smallest message is longer than what is made of it.
            assert!(facts.devices.len() + targets.len() <= datagram.len() / 16);
            assert!(facts.routes.len() + facts.neighbours.len() <= datagram.len() / 8);
            facts.devices.iter().for_each(|device| assert!(matches!(device.mac.len(), 0 | 17)));
        }
    }
});
