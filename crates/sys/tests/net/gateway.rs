//! Gateways that the tap answers for, against real namespaces.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::bed::{Bed, alias, whole};
use crate::guest::{self, Responder};
use urunc_plan::launch::{GatewayProxy, GatewayProxy6, Tap};
use urunc_sys::net;

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
    let before = bed.container.inventory();
    let said = refused(&proxy([169, 254, 1, 1], "ee:ee:ee:ee:ee:ee"));
    assert!(said.starts_with("accept net.ipv4.conf.all.rp_filter: 1 keeps the tap from"), "{said}");
    assert_eq!(bed.container.inventory(), before);
}

#[test]
fn the_tap_answers_for_a_silent_gateway_of_ipv6() {
    let bed = Bed::new();
    let address = |text: &str| text.parse::<Ipv6Addr>().unwrap();
    let (guest, gateway) = (address("fd00:11::2"), address("fe80::1"));
    bed.container.run("ip addr add fd00:11::2/64 dev eth0 nodad");
    bed.peer.run("ip addr add fd00:11::1/64 dev peer0 nodad");
    let before = bed.container.inventory();
    let proxy6 = |mac: &str| Some(GatewayProxy6 { gateway, mac: mac.into() });
    let plan = Tap { proxy6: proxy6("ee:ee:ee:ee:ee:ee"), ..bed.plan("proxy6") };
    let fd = net::connect(bed.container.fd(), &plan, &alias("proxy6")).unwrap();
    assert_eq!(guest::who_has6(&fd, guest, gateway), Some([0xee; 6]));
    assert_eq!(guest::who_has6(&fd, guest, address("fd00:11::1")), Some([2, 0, 0, 0, 0, 1]));
    drop(fd);
    net::disconnect(bed.container.fd(), &plan).unwrap();
    assert_eq!(bed.container.inventory(), before);

    let gateway = Ipv4Addr::new(10, 11, 0, 1);
    let proxy = GatewayProxy { shown: gateway, prefix: 20, gateway, mac: "02:00:00:00:00:09".into() };
    let differing = Tap { proxy: Some(proxy), ..plan };
    let said = whole(&net::connect(bed.container.fd(), &differing, &alias("proxy6")).unwrap_err());
    assert!(said.starts_with("answer for the gateways of eth0: those of IPv4 and IPv6 have"), "{said}");
    assert_eq!(bed.container.inventory(), before);
}
