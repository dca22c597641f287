//! The network mechanisms against real namespaces. Needs root, `ip`, `tc` and `nft`.

#![allow(clippy::unwrap_used)] // a test that cannot go on panics, in its helpers too

#[path = "net/bed.rs"]
mod bed;
#[path = "net/facts.rs"]
mod facts;
#[path = "net/gateway.rs"]
mod gateway;
#[path = "net/guest.rs"]
mod guest;
#[path = "net/resolver.rs"]
mod resolver;
#[path = "net/routed.rs"]
mod routed;

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use bed::{Bed, Namespace, alias, whole};
use guest::Responder;
use urunc_plan::Request;
use urunc_plan::input::{Ingress, NamespaceKind};
use urunc_plan::launch::{Leftover, Tap};
use urunc_sys::net;

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
    assert!(net::is_namespace(a.fd(), b.fd()).unwrap() && !net::is_namespace(file.as_fd(), b.fd()).unwrap());
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
