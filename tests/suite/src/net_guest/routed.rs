//! The static mode: the guest `http` behind the container's address, as Knative's queue-proxy and its clients see it.

use super::client::{Client, is_pattern};
use super::wire::Wire;
use super::{GROUP, at, serving, stop};
use crate::bundle::Bundle;
use crate::harness::Case;
use crate::sandbox::Sandbox;
use serde_json::json;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Where the guest is, for the processes of its pod.
const GUEST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(172, 16, 1, 2)), 80);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(GROUP, "static-mode-a-client-asks-by-the-sidecar", by_the_sidecar),
        Case::new(GROUP, "static-mode-what-an-ended-guest-left-is-taken-over", takeover),
        Case::new(GROUP, "static-mode-chosen-and-refused-by-the-annotation", annotation),
    ]
}

/// A wire whose end forwards nothing by itself; a new namespace takes the host's settings over.
fn behind(s: &Sandbox, mtu: u16) -> Wire {
    let wire = Wire::usual(s, mtu);
    wire.as_guest(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("a setting"));
    wire
}

/// The guest at its end of the wire.
fn http(s: &Sandbox, wire: &Wire, directory: &str, args: &[&str]) -> Bundle {
    at(wire, serving(s.bundle(directory), "http", args))
}

/// Knative names the container; the pod's network is the sidecar's, which reaches the guest.
fn by_the_sidecar(s: &Sandbox) {
    const LONG: usize = 1_000_000;
    let wire = behind(s, 1400);
    let before = wire.links();
    let name = json!({"io.kubernetes.cri.container-name": "user-container"});
    let c = s.container("a", &http(s, &wire, "a", &["serve"]).with("/annotations", name));
    c.launch();
    let listener = wire.as_guest(|| TcpListener::bind("0.0.0.0:8012").expect("a free port"));
    let upstream = wire.as_guest(|| TcpStream::connect(GUEST).expect("the guest"));
    thread::scope(|scope| {
        scope.spawn(|| forward(&listener, &upstream));
        wire.as_client(|| {
            let mut client = Client::connect(SocketAddr::from(([10, 0, 0, 2], 8012)));
            assert_eq!(client.get("/env").text(), "--ipv4=172.16.1.2/30 --ipv4-gateway=172.16.1.1 serve");
            assert!(is_pattern(&client.get(&format!("/bytes/{LONG}")).body));
        });
    });
    stop(&c);
    assert_eq!(wire.links(), before);
}

/// What queue-proxy does, for one connection.
fn forward(listener: &TcpListener, upstream: &TcpStream) {
    let (client, _) = listener.accept().expect("a client");
    thread::scope(|scope| {
        scope.spawn(|| {
            io::copy(&mut &client, &mut &*upstream).expect("requests");
            upstream.shutdown(Shutdown::Write).expect("the end of the requests");
        });
        io::copy(&mut &*upstream, &mut &client).expect("responses");
    });
}

fn takeover(s: &Sandbox) {
    let wire = behind(s, 1500);
    let before = wire.links();
    let [first, second] = ["a", "b"].map(|name| {
        let mode = json!({"com.urunc.network.mode": "static"});
        s.container(name, &http(s, &wire, name, &["serve", name]).with("/annotations", mode))
    });
    let answers = |name: &str| {
        wire.as_guest(|| {
            assert!(Client::connect(GUEST).get("/env").text().ends_with(&format!("serve {name}")));
        });
    };
    first.launch();
    answers("a");
    let pid = rustix::process::Pid::from_raw(first.pid()).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a process");
    first.until_stopped();
    assert_ne!(wire.links(), before, "its rule is there, and so is its forwarding");
    second.launch();
    answers("b");
    first.delete().ok();
    answers("b");
    stop(&second);
    assert_eq!(wire.links(), before);
}

/// `dynamic` holds also for Knative's name; another word is refused.
fn annotation(s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    let with = |mode: &str| {
        let both =
            json!({"io.kubernetes.cri.container-name": "user-container", "com.urunc.network.mode": mode});
        http(s, &wire, mode, &["serve"]).with("/annotations", both)
    };
    let refused = s.container("b", &with("nat"));
    let said = refused.create().fails();
    assert!(
        said.contains("annotations.com.urunc.network.mode: \"nat\" is neither static nor dynamic"),
        "{said}"
    );
    let c = s.container("a", &with("dynamic"));
    c.launch();
    wire.as_client(|| {
        let mut client = Client::connect(SocketAddr::from(([10, 0, 0, 2], 80)));
        assert!(client.get("/env").text().starts_with("--ipv4=10.0.0.2/24"));
    });
    stop(&c);
}
