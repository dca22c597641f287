//! The guest `udp-echo`.

use super::wire::Wire;
use super::{GROUP, launch, stop};
use crate::harness::Case;
use crate::sandbox::Sandbox;
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    [1500, 9000]
        .into_iter()
        .map(|mtu| {
            Case::new(GROUP, format!("datagrams-come-back-with-mtu-{mtu}"), move |s| datagrams(s, mtu))
        })
        .collect()
}

/// Each datagram comes back as it was, from the address it was sent to, also one that fills a frame, and one in parts.
fn datagrams(s: &Sandbox, mtu: u16) {
    let wire = Wire::usual(s, mtu);
    let c = launch(s, &wire, "udp-echo", &["serve"]);
    wire.as_client(|| {
        let socket = UdpSocket::bind("10.0.0.1:0").expect("a socket");
        socket.connect("10.0.0.2:7").expect("an address");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time limit");
        let full = usize::from(mtu) - 28;
        let mut buffer = vec![0; 16_384];
        for length in [0, 1, 1000, full, full + 1, 16_356] {
            let sent: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[0]).collect();
            socket.send(&sent).expect("sent");
            let count = socket.recv(&mut buffer).expect("an echo");
            assert_eq!(buffer[..count], sent);
        }
        // Many at once.
        let sent: BTreeSet<Vec<u8>> = (0..50u8).map(|index| vec![index; 100]).collect();
        for datagram in &sent {
            socket.send(datagram).expect("sent");
        }
        let received: BTreeSet<Vec<u8>> = (0..sent.len())
            .map(|_| {
                let count = socket.recv(&mut buffer).expect("an echo");
                buffer[..count].to_vec()
            })
            .collect();
        assert_eq!(received, sent);
    });
    stop(&c);
}
