//! The guest `http`.

use super::client::{Client, is_pattern, request};
use super::wire::Wire;
use super::{GROUP, launch, stop};
use crate::chaos::Random;
use crate::command::until;
use crate::harness::Case;
use crate::sandbox::Sandbox;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// Connections at once that the guest promises.
const CONNECTIONS: usize = 64;

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [576, 1400, 1500, 9000]
        .into_iter()
        .map(|mtu| Case::new(GROUP, format!("pages-arrive-with-mtu-{mtu}"), move |s| pages(s, mtu)))
        .collect();
    cases.extend([
        Case::new(GROUP, "64-connections-at-once", crowd),
        Case::new(GROUP, "places-of-closed-connections-are-used-again", succession),
        Case::new(GROUP, "silent-connections-keep-nobody-out", silence),
        Case::new(GROUP, "bad-requests-get-their-status", refusals),
        Case::new(GROUP, "requests-in-a-pipeline", pipeline),
        Case::new(GROUP, "garbage-does-no-harm", garbage),
        Case::new(GROUP, "an-idle-guest-sleeps", idle),
        Case::new(GROUP, "ipv6", ipv6),
        Case::new(GROUP, "ipv6-only", ipv6_only),
        Case::new(GROUP, "a-gateway-outside-of-the-network", far_gateway),
    ]);
    cases
}

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse::<IpAddr>().expect("an address"), 80)
}

fn usual() -> SocketAddr {
    at("10.0.0.2")
}

/// Page, command line and long bodies over one connection; frames are as long as the MTU allows.
fn pages(s: &Sandbox, mtu: u16) {
    const LONG: usize = 10_000_000;
    let wire = Wire::usual(s, mtu);
    let c = launch(s, &wire, "http", &["serve", "a b", "<&>"]);
    let before = wire.as_client(|| {
        let mut client = Client::connect(usual());
        let page = client.get("/");
        assert_eq!(page.status, 200);
        assert!(page.text().contains("<h1>http</h1>") && page.text().contains("10.0.0.2"), "{page:?}");
        assert_eq!(page.count(), 1);
        let cmdline = client.get("/env").text();
        assert_eq!(cmdline, "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 serve \"a b\" <&>");
        for length in [0, 1, 100_000] {
            let bytes = client.get(&format!("/bytes/{length}"));
            assert!(bytes.status == 200 && bytes.body.len() == length && is_pattern(&bytes.body), "{length}");
        }
        let before = wire.frames();
        let long = client.get(&format!("/bytes/{LONG}")).body;
        assert!(long.len() == LONG && is_pattern(&long));
        assert_eq!(client.get("/").count(), 7);
        before
    });
    // IPv4 and TCP headers without options; a lost frame is sent twice.
    let full = LONG as u64 / u64::from(mtu - 40);
    let frames = wire.frames() - before;
    assert!((full..full + full / 5).contains(&frames), "{frames} frames instead of {full}");
    stop(&c);
}

/// All connections are open together, twice asked, and get long bodies at the same time.
fn crowd(s: &Sandbox) {
    const LENGTH: usize = 200_000;
    let wire = Wire::usual(s, 1500);
    let c = launch(s, &wire, "http", &["serve"]);
    wire.as_client(|| {
        let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(usual())).collect();
        let mut counts = BTreeSet::new();
        for _ in 0..2 {
            for client in &mut clients {
                assert!(client.send(request("GET", "/").as_bytes()));
            }
            counts.extend(clients.iter_mut().map(|client| client.response(true).count()));
        }
        assert!(counts.iter().copied().eq(1..=2 * CONNECTIONS as u64), "{counts:?}");
        for client in &mut clients {
            assert!(client.send(request("GET", &format!("/bytes/{LENGTH}")).as_bytes()));
        }
        for client in &mut clients {
            let body = client.response(true).body;
            assert!(body.len() == LENGTH && is_pattern(&body));
        }
    });
    stop(&c);
}

/// More connections than the guest has places for, one after the other: closed by the guest, by the client, and reset.
fn succession(s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    let c = launch(s, &wire, "http", &["serve"]);
    wire.as_client(|| {
        for count in 1..=600 {
            let mut client = Client::connect(usual());
            if count % 3 == 0 {
                assert!(client.send(b"GET / HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n\r\n"));
                assert_eq!(client.response(true).count(), count);
                assert!(client.is_closed());
            } else if count % 3 == 1 {
                assert_eq!(client.get("/").count(), count);
            } else {
                // What is not read when a socket is closed makes Linux reset the connection.
                assert!(client.send(request("GET", "/").as_bytes()));
                assert_eq!(client.response(false).status, 200);
            }
        }
    });
    stop(&c);
}

/// Clients that take all places and say nothing, or half of something: others get in all the same.
fn silence(s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    let c = launch(s, &wire, "http", &["serve"]);
    wire.as_client(|| {
        let mut silent: Vec<Client> = (0..CONNECTIONS * 4)
            .map_while(|index| {
                let mut client = Client::try_connect(usual())?;
                client.send(if index % 2 == 0 { b"" } else { b"GET / HTTP/1.1\r\n" });
                Some(client)
            })
            .collect();
        assert!((CONNECTIONS..CONNECTIONS * 4).contains(&silent.len()), "{} at once", silent.len());
        until("a place is free", || {
            Client::try_connect(usual()).is_some_and(|mut client| client.get("/").status == 200)
        });
        assert!(silent.iter_mut().any(Client::is_reset));
    });
    stop(&c);
}

fn refusals(s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    let c = launch(s, &wire, "http", &["serve"]);
    let (long, body) = ("x".repeat(5000), "x".repeat(100_000));
    let ask = |method: &str, path: &str| (method == "HEAD", request(method, path));
    #[rustfmt::skip]
    let cases = [
        (ask("HEAD", "/bytes/1000"), 200),
        (ask("GET", "/nothing"), 404),
        (ask("HEAD", "/nothing"), 404),
        (ask("GET", "/bytes/many"), 400),
        (ask("DELETE", "/"), 405),
        ((false, "POST /env HTTP/1.1\r\nHost: guest\r\nContent-Length: 4\r\n\r\nbody".into()), 405),
        // More than the guest has place for: it reads on, or the client could not end.
        ((false, format!("PUT / HTTP/1.1\r\nHost: guest\r\nContent-Length: 100000\r\n\r\n{body}")), 405),
        (ask("GET", &format!("/{long}")), 414),
        ((false, format!("GET / HTTP/1.1\r\nHost: guest\r\nCookie: {long}\r\n\r\n")), 431),
        ((false, "GET / HTTP/3.0\r\n\r\n".into()), 505),
        ((false, "GET / HTTP/1.1\r\n\r\n".into()), 400),
        ((false, "hello\r\n\r\n".into()), 400),
    ];
    wire.as_client(|| {
        for ((is_head, bytes), status) in &cases {
            let mut client = Client::connect(usual());
            assert!(client.send(bytes.as_bytes()), "{bytes:.60}");
            let response = client.response(!is_head);
            assert_eq!(response.status, *status, "{bytes:.60}");
            // The guest says what becomes of the connection, and does it.
            if response.head.contains("Connection: close") {
                assert!(client.is_closed(), "{bytes:.60}");
            } else {
                assert_eq!(client.get("/env").status, 200, "{bytes:.60}");
            }
        }
    });
    stop(&c);
}

fn pipeline(s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    let c = launch(s, &wire, "http", &["serve"]);
    wire.as_client(|| {
        let mut client = Client::connect(usual());
        let all: String = (0..100).map(|index| request("GET", &format!("/bytes/{}", index * 100))).collect();
        assert!(client.send(all.as_bytes()));
        for index in 0..100 {
            assert_eq!(client.response(true).body.len(), index * 100);
        }
    });
    stop(&c);
}

/// Random bytes, and requests with random bytes in them, some sent after the client's own end.
fn garbage(s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    let c = launch(s, &wire, "http", &["serve"]);
    let mut random = Random::new();
    wire.as_client(|| {
        for _ in 0..200 {
            let mut bytes = request("GET", "/").into_bytes();
            for _ in 0..random.below(20) {
                let at = usize::try_from(random.below(bytes.len() as u64)).expect("an index");
                bytes[at] = random.below(256).to_le_bytes()[0];
            }
            bytes.extend((0..random.below(9000)).map(|_| random.below(256).to_le_bytes()[0]));
            let mut client = Client::connect(usual());
            client.send(&bytes);
            if random.below(2) == 0 {
                // Any status will do, and so does the end of the connection.
                client.finish();
                client.response(true);
            }
        }
        assert_eq!(Client::connect(usual()).get("/").status, 200);
    });
    stop(&c);
}

/// Between requests nothing wakes the guest but the network's own frames.
fn idle(s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    let c = launch(s, &wire, "http", &["serve"]);
    let mut client = wire.as_client(|| Client::connect(usual()));
    client.get("/");
    let wakes = || c.status_field("voluntary_ctxt_switches").parse::<u64>().expect("a number");
    let before = wakes();
    let looks = 100;
    let awake = (0..looks).filter(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !c.status_field("State").starts_with('S')
    });
    let awake = awake.count();
    let woken = wakes() - before;
    assert!(awake < looks / 2 && woken < 20, "awake {awake} of {looks} times, woken {woken} times");
    assert_eq!(client.get("/").count(), 2);
    stop(&c);
}

/// Both families, link-local too. The addresses are the command's, so this says nothing about the runtime.
fn ipv6(s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    wire.on_client("address add fd00::1/64 dev eth0 nodad");
    wire.on_client("address add 2001:db8::1/128 dev eth0 nodad");
    let c = launch(s, &wire, "http", &["--ipv6=fd00::2/64", "--ipv6-gateway=fd00::1", "serve"]);
    wire.as_client(|| {
        let mut client = Client::connect(at("fd00::2"));
        let page = client.get("/");
        assert!(page.text().contains("10.0.0.2 and fd00::2"), "{page:?}");
        let body = client.get("/bytes/100000").body;
        assert!(body.len() == 100_000 && is_pattern(&body));
        assert_eq!(Client::connect(usual()).get("/").count(), 3);
    });
    // From outside of the guest's network: the answer goes through the gateway.
    wire.on_client("route add fd00::2/128 dev eth0 src 2001:db8::1");
    wire.as_client(|| assert_eq!(Client::connect(at("fd00::2")).get("/").count(), 4));
    stop(&c);
}

fn ipv6_only(s: &Sandbox) {
    let wire = Wire::new(s, 1500);
    wire.on_client("address add fd00::1/64 dev eth0 nodad");
    let c = launch(s, &wire, "http", &["--ipv6=fd00::2/64", "serve"]);
    wire.as_client(|| {
        let mut client = Client::connect(at("fd00::2"));
        assert_eq!(client.get("/env").text(), "--ipv6=fd00::2/64 serve");
        let body = client.get("/bytes/100000").body;
        assert!(body.len() == 100_000 && is_pattern(&body));
    });
    stop(&c);
}

/// An address without a network and a gateway that answers for all, as Calico has it; the client is behind it.
fn far_gateway(s: &Sandbox) {
    let wire = Wire::new(s, 1500);
    wire.on_guest("address add 10.66.0.2/32 dev eth0");
    wire.on_guest("route add 169.254.1.1 dev eth0 scope link");
    wire.on_guest("route add default via 169.254.1.1 dev eth0");
    wire.on_client("address add 169.254.1.1/32 dev eth0");
    wire.on_client("address add 10.77.0.1/32 dev eth0");
    wire.on_client("route add 10.66.0.2/32 dev eth0 src 10.77.0.1");
    let c = launch(s, &wire, "http", &["serve"]);
    wire.as_client(|| {
        // Also what ARP says must come from an address that is the guest's.
        std::fs::write("/proc/sys/net/ipv4/conf/eth0/rp_filter", "1").expect("a setting");
        let mut client = Client::connect(at("10.66.0.2"));
        assert!(client.get("/").text().contains("10.66.0.2"));
        assert_eq!(client.get("/env").text(), "--ipv4=10.66.0.2/32 --ipv4-gateway=169.254.1.1 serve");
    });
    wire.on_client("route add 169.254.1.0/32 dev eth0");
    wire.as_client(|| {
        // The address that the guest invents for itself is nobody's.
        let invented = TcpStream::connect_timeout(&at("169.254.1.0"), Duration::from_secs(5));
        assert!(invented.is_err(), "the guest answers for its gateway's neighbour");
    });
    assert_eq!(wire.neighbours(), ["10.66.0.2"]);
    stop(&c);
}
