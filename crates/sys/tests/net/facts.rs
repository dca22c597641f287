//! What is read of a network namespace.

use std::io::Write;
use std::net::Ipv4Addr;

use crate::bed::{Bed, Namespace};
use urunc_plan::input::{Ingress, Neighbour, Route};
use urunc_sys::net;

fn route(index: u32, destination: &str, prefix: u8, gateway: &str, metric: u32) -> Route {
    Route {
        destination: (destination.parse().unwrap(), prefix),
        index,
        gateway: gateway.parse().ok(),
        metric,
    }
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
