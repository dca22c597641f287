//! The network mechanisms against real namespaces. Needs root, `ip` and `tc`.

#![allow(clippy::unwrap_used)] // a test that cannot go on panics, in its helpers too

#[path = "net/bed.rs"]
mod bed;
#[path = "net/guest.rs"]
mod guest;

use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use bed::{Bed, Namespace};
use guest::Responder;
use urunc_plan::Request;
use urunc_plan::input::{Ingress, NamespaceKind, Neighbour, Route};
use urunc_plan::launch::{GatewayProxy, Leftover, Tap};
use urunc_plan::network::Owner;
use urunc_sys::net;

/// The record of an owner that runs: this test.
fn alias(id: &str) -> String {
    let pid = std::process::id();
    let start_time = urunc_sys::process::stat(pid.cast_signed()).unwrap().unwrap().start_time;
    Owner { id: id.into(), pid, start_time }.to_string()
}

fn route(index: u32, destination: &str, prefix: u8, gateway: &str, metric: u32) -> Route {
    Route {
        destination: (destination.parse().unwrap(), prefix),
        index,
        gateway: gateway.parse().ok(),
        metric,
    }
}

/// The error as a command shows it: with its cause.
fn whole(error: &urunc_sys::SysError) -> String {
    format!("{error}: {}", error.source)
}

#[test]
fn facts_of_a_namespace() {
    let bed = Bed::new();
    let facts = net::facts(bed.container.fd()).unwrap();
    let [eth0] = &facts.devices[..] else { panic!("one device: {facts:?}") };
    assert_eq!((eth0.name.as_str(), eth0.kind.as_str(), eth0.mtu), ("eth0", "veth", 1450));
    assert_eq!(eth0.mac, "02:00:00:00:00:02");
    assert_eq!(eth0.ipv4, [(Ipv4Addr::new(10, 11, 12, 2), 20)]);
    assert!(eth0.up && eth0.carrier && !eth0.owned && eth0.alias.is_empty());
    assert_eq!((eth0.ingress, eth0.ipv6.len()), (Ingress::Free, 0));
    let kernels = |index| [route(index, "0.0.0.0", 0, "10.11.0.1", 0), route(index, "10.11.0.0", 20, "", 0)];
    assert_eq!(facts.routes, kernels(eth0.index));
    assert_eq!(facts.neighbours, []);

    bed.container.run("ip addr add 192.0.2.7/32 dev eth0");
    bed.container.run("ip route add default dev eth0 metric 50");
    bed.container.run("ip route add default via 10.11.0.9 table 77");
    bed.container.run("ip route add blackhole default metric 60");
    bed.container.run("ip -6 addr add fd00:11::2/64 dev eth0 nodad");
    bed.container.run("ip -6 route add default via fd00:11::1 dev eth0 metric 1024");
    bed.container.run("ip neigh add 169.254.1.1 lladdr ee:ee:ee:ee:ee:ee dev eth0 nud permanent");
    bed.container.run("ip neigh add fd00:11::1 lladdr ee:ee:ee:ee:ee:ef dev eth0 nud stale");
    bed.container.run("tc qdisc add dev eth0 clsact");
    bed.container.run("ip link set eth0 alias somebody");
    let facts = net::facts(bed.container.fd()).unwrap();
    let [eth0] = &facts.devices[..] else { panic!("one device: {facts:?}") };
    assert_eq!(eth0.ipv4, [(Ipv4Addr::new(10, 11, 12, 2), 20), (Ipv4Addr::new(192, 0, 2, 7), 32)]);
    assert_eq!(eth0.ipv6, [("fd00:11::2".parse().unwrap(), 64)]);
    let [default, connected] = kernels(eth0.index);
    let on_link = route(eth0.index, "0.0.0.0", 0, "", 50);
    let default6 = route(eth0.index, "::", 0, "fd00:11::1", 1024);
    let connected6 = route(eth0.index, "fd00:11::", 64, "", 256);
    let mut routes = facts.routes.clone();
    // The kernel's order of IPv6 routes is that of a tree.
    routes.sort_by_key(|route| (route.destination.0.is_ipv6(), route.metric, route.destination));
    assert_eq!(routes, [default, connected, on_link, connected6, default6]);
    let neighbour = |address: &str, mac: &str, permanent| Neighbour {
        index: eth0.index,
        address: address.parse().unwrap(),
        mac: mac.into(),
        permanent,
    };
    let expected = [
        neighbour("169.254.1.1", "ee:ee:ee:ee:ee:ee", true),
        neighbour("fd00:11::1", "ee:ee:ee:ee:ee:ef", false),
    ];
    assert_eq!(facts.neighbours, expected);
    assert_eq!(eth0.ingress, Ingress::Foreign);
    assert_eq!(eth0.alias, "somebody");

    let empty = Namespace::new();
    let facts = net::facts(empty.fd()).unwrap();
    assert!(facts.devices.is_empty() && facts.routes.is_empty());
}

#[test]
fn facts_longer_than_a_datagram_and_overtaken_by_changes() {
    let bed = Bed::new();
    let addresses: Vec<(Ipv4Addr, u8)> = (0..1000u32)
        .map(|number| (Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 77, 0, 0)) + number), 32))
        .collect();
    let mut batch = tempfile::NamedTempFile::new().unwrap();
    for (address, prefix) in &addresses {
        writeln!(batch, "addr add {address}/{prefix} dev eth0").unwrap();
    }
    bed.container.run(&format!("ip -batch {}", batch.path().display()));
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| {
            for _ in 0..20 {
                bed.container.run("ip link add v0 type veth peer name v1");
                bed.container.run("ip addr add 10.78.0.1/32 dev v0");
                bed.container.run("ip link del v0");
            }
        });
        while !changing.is_finished() {
            let facts = net::facts(bed.container.fd()).unwrap();
            let eth0 = facts.devices.iter().find(|device| device.name == "eth0").unwrap();
            assert_eq!(eth0.ipv4[1..], addresses, "whole and in order");
        }
    });
}

#[test]
fn namespaces_are_compared_and_left_again() {
    let _alone = bed::alone();
    let (a, b) = (Namespace::new(), Namespace::new());
    assert!(net::same_namespace(a.fd(), a.reopened().as_fd()).unwrap());
    assert!(!net::same_namespace(a.fd(), b.fd()).unwrap());
    let here = || std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    let before = here();
    let inside = net::in_namespace(a.fd(), || Ok(here())).unwrap();
    assert_ne!(inside, before);
    assert_eq!(here(), before);
    let failed = net::in_namespace(a.fd(), || Err::<(), _>(urunc_sys::SysError::last("x", "y")));
    assert!(failed.is_err());
    assert_eq!(here(), before);
    let file = std::fs::File::open("/dev/null").unwrap();
    let refused = whole(&net::in_namespace(file.as_fd(), || Ok(())).unwrap_err());
    assert_eq!(refused, "enter the container's network namespace: Invalid argument (os error 22)");
}

#[test]
fn frames_pass_both_ways_and_undo_leaves_nothing() {
    let bed = Bed::new();
    let before = bed.container.inventory();
    let plan = bed.plan("frames");
    let fd = net::connect(bed.container.fd(), &plan, &alias("frames")).unwrap();

    let shown = bed.container.run("ip -d -j link show dev tap0_urunc");
    for expected in [
        r#""mtu":1450"#,
        &format!(r#""ifalias":"{}""#, alias("frames")),
        r#""type":"tap""#,
        r#""persist":false"#,
        r#""pi":false"#,
        r#""vnet_hdr":false"#,
        r#""user":4001"#,
        r#""group":4002"#,
        r#""LOWER_UP""#,
    ] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    assert_eq!(bed.container.run("ip -j addr show dev tap0_urunc").matches("\"local\"").count(), 0);
    for device in ["eth0", "tap0_urunc"] {
        let filters = bed.container.run(&format!("tc filter show dev {device} ingress"));
        assert_eq!(filters.matches("mirred (Egress Redirect").count(), 1, "{filters}");
        assert!(filters.contains("protocol all pref 30066 u32"), "{filters}");
    }

    let responder = Responder::start(fd, Ipv4Addr::new(10, 11, 12, 2), 0);
    for size in [0, 1, 500, 1422] {
        bed.echo(&vec![7; size]);
    }
    bed.echo_segmented(5, 1000);
    responder.stop();
    net::disconnect(bed.container.fd(), &plan).unwrap();
    assert_eq!(bed.container.inventory(), before);
    net::disconnect(bed.container.fd(), &plan).unwrap();
    assert_eq!(bed.container.inventory(), before);
}

#[test]
fn a_monitor_that_asks_for_it_gets_the_virtio_header() {
    let bed = Bed::new();
    let mut plan = bed.plan("vnet");
    plan.vnet_hdr = true;
    let fd = net::connect(bed.container.fd(), &plan, &alias("vnet")).unwrap();
    assert!(bed.container.run("ip -d -j link show dev tap0_urunc").contains(r#""vnet_hdr":true"#));
    let responder = Responder::start(fd, Ipv4Addr::new(10, 11, 12, 2), 10);
    bed.echo(b"with header");
    responder.stop();
}

#[test]
fn disconnect_removes_a_tap_that_is_still_held() {
    let bed = Bed::new();
    let before = bed.container.inventory();
    let plan = bed.plan("held");
    let fd = net::connect(bed.container.fd(), &plan, &alias("held")).unwrap();
    net::disconnect(bed.container.fd(), &plan).unwrap();
    assert_eq!(bed.container.inventory(), before);
    drop(fd);
}

#[test]
fn the_redirect_of_a_tap_that_is_gone_is_recognised() {
    let bed = Bed::new();
    let before = bed.container.inventory();
    let plan = bed.plan("gone");
    drop(net::connect(bed.container.fd(), &plan, &alias("gone")).unwrap());
    assert!(!bed.container.run("ip -j link").contains("tap0_urunc"));
    assert!(bed.container.run("tc qdisc show dev eth0").contains("ingress"));
    let facts = net::facts(bed.container.fd()).unwrap();
    assert_eq!(facts.devices[0].ingress, Ingress::Redirect(0));

    // Another container must not remove it, but may take its place.
    net::disconnect(bed.container.fd(), &bed.plan("other")).unwrap();
    assert!(bed.container.run("tc qdisc show dev eth0").contains("ingress"));
    let next = bed.plan("next");
    let fd = net::connect(bed.container.fd(), &next, &alias("next")).unwrap();

    // The late delete of the first one leaves the second one's connection alone.
    let connected = bed.container.inventory();
    net::disconnect(bed.container.fd(), &plan).unwrap();
    assert_eq!(bed.container.inventory(), connected);
    let responder = Responder::start(fd, Ipv4Addr::new(10, 11, 12, 2), 0);
    bed.echo(b"still here");
    responder.stop();
    assert!(!bed.container.run("ip -j link").contains("tap0_urunc"));
    net::disconnect(bed.container.fd(), &next).unwrap();
    assert_eq!(bed.container.inventory(), before);
}

#[test]
fn what_is_planned_from_the_facts_can_be_connected() {
    let bed = Bed::new();
    let network =
        urunc_plan::input::Namespace { kind: NamespaceKind::Network, path: Some("x".into()), host: false };
    let decide = |id: &str| {
        let request = Request { id: id.into(), namespaces: vec![network.clone()], ..Request::default() };
        let facts = net::facts(bed.container.fd()).unwrap();
        urunc_plan::network::tap(&request, &facts, false).map(Option::unwrap)
    };
    let connect = |plan: &Tap| net::connect(bed.container.fd(), plan, &alias(&plan.alias)).unwrap();
    let first = decide("first").unwrap();
    assert_eq!((first.mtu, first.mac.as_str(), first.ipv4), (1450, "02:00:00:00:00:02", bed.plan("x").ipv4));
    let fd = connect(&first);
    let said = decide("second").unwrap_err().to_string();
    assert!(said.starts_with("network: tap0_urunc of unikernel first is already in"), "{said}");

    // The first one ends by itself and leaves its redirect; a tap of another's that nobody holds is passed over.
    drop(fd);
    bed.container.run("ip tuntap add tap0_urunc mode tap");
    let second = decide("second").unwrap();
    assert_eq!((second.name.as_str(), &second.leftovers[..]), ("tap1_urunc", &[][..]));
    let responder = Responder::start(connect(&second), Ipv4Addr::new(10, 11, 12, 2), 0);
    bed.echo(b"second");
    responder.stop();
}

#[test]
fn a_tap_whose_owner_has_ended_is_reclaimed_even_if_somebody_holds_it() {
    let bed = Bed::new();
    let before = bed.container.inventory();
    let held = net::connect(bed.container.fd(), &bed.plan("dead"), "urunc:dead:1:2").unwrap();
    let facts = net::facts(bed.container.fd()).unwrap();
    let device = |name: &str| facts.devices.iter().find(|device| device.name == name).unwrap();
    let (eth0, tap0) = (device("eth0"), device("tap0_urunc"));
    assert!(!tap0.owned && tap0.carrier && eth0.ingress == Ingress::Redirect(tap0.index));

    let leftover = |alias: &str| Leftover { name: "tap0_urunc".into(), alias: alias.into() };
    let plan =
        |alias| Tap { name: "tap1_urunc".into(), leftovers: vec![leftover(alias)], ..bed.plan("next") };
    // Another's tap of this name, by now.
    let said = whole(&net::connect(bed.container.fd(), &plan("urunc:dead:3:4"), &alias("next")).unwrap_err());
    assert!(said.starts_with("connect eth0: it already has an ingress"), "{said}");
    assert!(bed.container.run("ip -j link").contains("tap0_urunc"));

    let next = plan("urunc:dead:1:2");
    let fd = net::connect(bed.container.fd(), &next, &alias("next")).unwrap();
    assert!(!bed.container.run("ip -j link").contains("tap0_urunc"));
    let facts = net::facts(bed.container.fd()).unwrap();
    assert!(facts.devices.iter().any(|tap| tap.name == "tap1_urunc" && tap.owned && tap.carrier));
    let responder = Responder::start(fd, Ipv4Addr::new(10, 11, 12, 2), 0);
    bed.echo(b"reclaimed");
    responder.stop();
    net::disconnect(bed.container.fd(), &next).unwrap();
    assert_eq!(bed.container.inventory(), before);
    drop(held);
}

#[test]
fn the_tap_answers_for_a_gateway_that_the_guest_cannot_ask() {
    let bed = Bed::new();
    let shown = Ipv4Addr::new(10, 11, 12, 3);
    let proxy = |gateway: [u8; 4], mac: &str| {
        let gateway = gateway.into();
        let proxy = GatewayProxy { shown, prefix: 31, gateway, mac: mac.into() };
        Tap { proxy: Some(proxy), ..bed.plan("proxy") }
    };
    bed.peer.run("ip addr add 169.254.1.1/32 dev peer0");
    bed.container.run("ip route add 169.254.1.1 dev eth0");
    let before = bed.container.inventory();
    // Known, as a permanent neighbour is; and asked for, as Calico's gateway has to be.
    for (mac, expected) in [("ee:ee:ee:ee:ee:ee", [0xee; 6]), ("", [2, 0, 0, 0, 0, 1])] {
        let plan = proxy([169, 254, 1, 1], mac);
        let fd = net::connect(bed.container.fd(), &plan, &alias("proxy")).unwrap();
        let guest = Ipv4Addr::new(10, 11, 12, 2);
        assert_eq!(guest::who_has(&fd, guest, shown), Some(expected));
        // Everything else goes on to the wire, also a question for somebody else.
        assert_eq!(guest::who_has(&fd, guest, Ipv4Addr::new(10, 11, 0, 1)), Some([2, 0, 0, 0, 0, 1]));
        let responder = Responder::start(fd, guest, 0);
        bed.echo(b"beside the proxy");
        responder.stop();
        net::disconnect(bed.container.fd(), &plan).unwrap();
        assert_eq!(bed.container.inventory(), before);
    }
    let refused = |plan: &Tap| whole(&net::connect(bed.container.fd(), plan, &alias("proxy")).unwrap_err());
    let said = refused(&proxy([10, 11, 0, 9], ""));
    assert_eq!(said, "ask for the gateway 10.11.0.9: it answers no ARP request");
    assert_eq!(bed.container.inventory(), before);

    let strict = "/proc/sys/net/ipv4/conf/all/rp_filter";
    let written = net::in_namespace(bed.container.fd(), || Ok(std::fs::write(strict, "1"))).unwrap();
    assert!(written.is_ok());
    let said = refused(&proxy([169, 254, 1, 1], "ee:ee:ee:ee:ee:ee"));
    assert!(said.starts_with("accept net.ipv4.conf.all.rp_filter: 1 keeps the tap from"), "{said}");
    assert_eq!(bed.container.inventory(), before);
}

#[test]
fn a_redirect_interrupted_half_way_is_removed() {
    let bed = Bed::new();
    let before = bed.container.inventory();
    bed.container.run("tc qdisc add dev eth0 ingress");
    net::disconnect(bed.container.fd(), &bed.plan("half")).unwrap();
    assert_eq!(bed.container.inventory(), before);
}

#[test]
fn foreign_qdiscs_are_refused_and_untouched() {
    let drop_all = "u32 match u8 0 0 classid 1:1";
    let cases = [
        vec!["tc qdisc add dev eth0 clsact".to_owned()],
        vec![
            "tc qdisc add dev eth0 clsact".to_owned(),
            format!("tc filter add dev eth0 egress protocol ip pref 5 {drop_all}"),
        ],
        vec![
            "tc qdisc add dev eth0 ingress".to_owned(),
            format!("tc filter add dev eth0 ingress protocol all pref 30066 {drop_all}"),
        ],
        vec!["tc qdisc add dev eth0 handle ffff: ingress".to_owned()],
    ];
    for commands in cases {
        let bed = Bed::new();
        for command in &commands {
            bed.container.run(command);
        }
        let before = bed.container.inventory();
        let plan = bed.plan("foreign");
        let said = whole(&net::connect(bed.container.fd(), &plan, &alias("foreign")).unwrap_err());
        let expected = "connect eth0: it already has an ingress or clsact qdisc, which is left as it is";
        assert_eq!(said, expected, "{commands:?}");
        assert_eq!(bed.container.inventory(), before, "{commands:?}");
        let facts = net::facts(bed.container.fd()).unwrap();
        assert_eq!(facts.devices[0].ingress, Ingress::Foreign, "{commands:?}");
        if commands.len() > 1 || commands[0].contains("clsact") {
            net::disconnect(bed.container.fd(), &plan).unwrap();
            assert_eq!(bed.container.inventory(), before, "{commands:?}");
        }
    }
}

#[test]
fn filters_that_others_added_to_our_qdisc_stay() {
    let bed = Bed::new();
    let plan = bed.plan("shared");
    drop(net::connect(bed.container.fd(), &plan, &alias("shared")).unwrap());
    bed.container.run("tc filter add dev eth0 ingress protocol ip pref 9 u32 match u8 0 0 classid 1:1");
    net::disconnect(bed.container.fd(), &plan).unwrap();
    let filters = bed.container.run("tc filter show dev eth0 ingress");
    assert!(filters.contains("pref 9 ") && !filters.contains("mirred"), "{filters}");
}

#[test]
fn a_taken_name_is_an_error_and_its_owner_keeps_it() {
    let bed = Bed::new();
    bed.container.run("ip tuntap add tap0_urunc mode tap");
    bed.container.run("ip link set tap0_urunc alias urunc:someone:1:2");
    let before = bed.container.inventory();
    let plan = bed.plan("taken");
    let said = whole(&net::connect(bed.container.fd(), &plan, &alias("taken")).unwrap_err());
    assert_eq!(said, "create tap tap0_urunc: Device or resource busy (os error 16)");
    net::disconnect(bed.container.fd(), &plan).unwrap();
    assert_eq!(bed.container.inventory(), before);
}

#[test]
fn errors_name_the_object_and_carry_the_kernels_words() {
    let bed = Bed::new();
    let before = bed.container.inventory();
    let refused = |change: &dyn Fn(&mut Tap)| {
        let mut plan = bed.plan("errors");
        change(&mut plan);
        let said = whole(&net::connect(bed.container.fd(), &plan, &alias("errors")).unwrap_err());
        assert_eq!(bed.container.inventory(), before);
        said
    };
    let gone = refused(&|plan| plan.device_index = 4_000_000);
    assert_eq!(gone, "find device eth0: No such device (os error 19)");
    let huge = refused(&|plan| plan.mtu = 70_000);
    assert_eq!(
        huge,
        "set mtu and alias of tap0_urunc: Invalid argument (os error 22): mtu greater than device maximum"
    );
    for name in ["", "sixteen_bytes_xx", "tap%d", "a/b", &"x".repeat(300)] {
        let said = refused(&|plan| name.clone_into(&mut plan.name));
        assert_eq!(said, format!("name tap {name}: Invalid argument (os error 22)"));
    }
    let plan = bed.plan("errors");
    for length in [256, 65_536, 1 << 17] {
        assert!(net::connect(bed.container.fd(), &plan, &"a".repeat(length)).is_err(), "{length}");
        assert_eq!(bed.container.inventory(), before);
    }
    let fd = net::connect(bed.container.fd(), &plan, &"a".repeat(255)).unwrap();
    assert!(bed.container.run("ip -j link show dev tap0_urunc").contains(&"a".repeat(255)));
    drop(fd);
    net::disconnect(bed.container.fd(), &plan).unwrap();
    assert_eq!(bed.container.inventory(), before);
}

#[test]
fn disconnect_does_not_mind_that_the_device_is_gone() {
    let bed = Bed::new();
    let plan = bed.plan("lost");
    let fd = net::connect(bed.container.fd(), &plan, &alias("lost")).unwrap();
    bed.container.run("ip link del eth0");
    net::disconnect(bed.container.fd(), &plan).unwrap();
    assert_eq!(bed.container.inventory(), Namespace::new().inventory());
    drop(fd);
}

#[test]
fn many_rounds_leave_nothing() {
    let bed = Bed::new();
    let before = bed.container.inventory();
    let plan = bed.plan("rounds");
    let [mut connecting, mut closing, mut disconnecting] = [Duration::ZERO; 3];
    for _ in 0..50 {
        let begin = Instant::now();
        let fd = net::connect(bed.container.fd(), &plan, &alias("rounds")).unwrap();
        connecting += begin.elapsed();
        let begin = Instant::now();
        drop(fd);
        closing += begin.elapsed();
        let begin = Instant::now();
        net::disconnect(bed.container.fd(), &plan).unwrap();
        disconnecting += begin.elapsed();
    }
    let [connect, close, disconnect] = [connecting, closing, disconnecting].map(|sum| sum / 50);
    println!("connect {connect:?}, close {close:?}, disconnect {disconnect:?} on average of 50");
    assert_eq!(bed.container.inventory(), before);
}
