//! The guests `http` and `udp-echo` in virtual machines. Where `/dev/kvm` only emulates, a page takes a second: few and
//! short ones.

use super::client::{Client, is_pattern};
use super::wire::Wire;
use super::{GROUP, launch_hvt, stop};
use crate::harness::Case;
use crate::sandbox::Sandbox;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [1400, 1500]
        .into_iter()
        .map(|mtu| Case::new(GROUP, format!("hvt-pages-arrive-with-mtu-{mtu}"), move |s| pages(s, mtu)))
        .collect();
    cases.push(Case::new(GROUP, "hvt-datagrams-come-back", datagrams));
    cases
}

fn pages(s: &Sandbox, mtu: u16) {
    let wire = Wire::usual(s, mtu);
    let c = launch_hvt(s, &wire, "http", &["serve", "a b"]);
    wire.as_client(|| {
        let mut client = Client::connect(SocketAddr::from(([10, 0, 0, 2], 80)));
        let page = client.get("/");
        assert!(page.status == 200 && page.text().contains("10.0.0.2"), "{page:?}");
        assert_eq!(client.get("/env").text(), "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 serve \"a b\"");
        let body = client.get("/bytes/10000").body;
        assert!(body.len() == 10_000 && is_pattern(&body));
        assert_eq!(client.get("/").count(), 4);
    });
    stop(&c);
}

fn datagrams(s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    let c = launch_hvt(s, &wire, "udp-echo", &["serve"]);
    wire.as_client(|| {
        let socket = UdpSocket::bind("10.0.0.1:0").expect("a socket");
        socket.connect("10.0.0.2:7").expect("an address");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        for length in [0, 1, 1000] {
            let sent: Vec<u8> = (0..length).map(|at: usize| at.to_le_bytes()[0]).collect();
            socket.send(&sent).expect("sent");
            let mut buffer = [0; 2048];
            let count = socket.recv(&mut buffer).expect("an echo");
            assert_eq!(buffer[..count], sent);
        }
    });
    stop(&c);
}
