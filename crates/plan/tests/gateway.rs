//! What `network::reach` adds for guests that cannot reach their gateway by themselves.
#![allow(clippy::unwrap_used)]

#[path = "support/namespace.rs"]
mod namespace;

use std::net::{IpAddr, Ipv6Addr};

use namespace::{eth0, facts, request};
use urunc_plan::NetFacts;
use urunc_plan::input::{Neighbour, NetDevice, Route};
use urunc_plan::launch::{GatewayProxy, GatewayProxy6};
use urunc_plan::machine::Addressing;
use urunc_plan::network::{reach, tap};

/// What a guest is told, and what the tap answers.
fn reached(
    address: ([u8; 4], u8),
    gateway: Option<IpAddr>,
    known: Option<bool>,
    addressing: Addressing,
) -> String {
    let device = NetDevice { ipv4: vec![(address.0.into(), address.1)], ..eth0() };
    let gateway_route = Route { index: 2, gateway, ..Route::default() };
    let mac = "ee:ee:ee:ee:ee:ee".to_owned();
    let neighbour =
        |permanent| Neighbour { index: 2, address: gateway.unwrap(), mac: mac.clone(), permanent };
    let elsewhere = known.map(|_| Neighbour { index: 3, mac: String::new(), ..neighbour(true) });
    let neighbours = elsewhere.into_iter().chain(known.map(neighbour)).collect();
    let net = NetFacts { neighbours, ..facts(vec![device], vec![gateway_route]) };
    let plan = tap(&request(), &net, false).unwrap().unwrap();
    match reach(plan, &net, addressing).map(|tap| tap.proxy) {
        Ok(None) => "by itself".to_owned(),
        Ok(Some(GatewayProxy { shown, prefix, gateway, mac })) => {
            format!("{shown}/{prefix} is {gateway} at <{mac}>")
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn gateways_that_a_guest_cannot_reach_by_itself() {
    use Addressing::{AnyGateway, GatewayInSubnet, Own};
    let (pod, far) = (([10, 244, 1, 5], 32), Some(IpAddr::from([169, 254, 1, 1])));
    let (bridged, near) = (([172, 17, 0, 2], 16), Some(IpAddr::from([172, 17, 0, 1])));
    for addressing in [Own, AnyGateway, GatewayInSubnet] {
        assert_eq!(reached(bridged, near, None, addressing), "by itself");
        assert_eq!(reached(bridged, near, Some(false), addressing), "by itself");
    }
    assert_eq!(reached(pod, far, None, AnyGateway), "by itself");
    assert_eq!(reached(pod, far, Some(false), AnyGateway), "by itself");
    assert_eq!(reached(pod, far, None, GatewayInSubnet), "10.244.1.4/31 is 169.254.1.1 at <>");
    let known = "10.244.1.4/31 is 169.254.1.1 at <ee:ee:ee:ee:ee:ee>";
    assert_eq!(reached(pod, far, Some(false), GatewayInSubnet), known);
    assert_eq!(reached(pod, far, Some(true), GatewayInSubnet), known);
    // What is permanent may not answer.
    let silent = "169.254.1.1/32 is 169.254.1.1 at <ee:ee:ee:ee:ee:ee>";
    assert_eq!(reached(pod, far, Some(true), AnyGateway), silent);
    let silent = "172.17.0.1/16 is 172.17.0.1 at <ee:ee:ee:ee:ee:ee>";
    assert_eq!(reached(bridged, near, Some(true), GatewayInSubnet), silent);
    assert_eq!(reached(bridged, near, Some(true), Own), "by itself");

    let none = "network: the IPv4 default route over eth0 has no gateway, a guest needs an IPv4 one";
    assert_eq!(reached(pod, None, None, GatewayInSubnet), none);
    assert_eq!(reached(pod, None, None, AnyGateway), none);
    assert_eq!(reached(pod, None, None, Own), "by itself");
    let ipv6 = "network: the IPv4 default route over eth0 has the gateway fe80::1, a guest needs an IPv4 one";
    assert_eq!(reached(pod, "fe80::1".parse().ok(), None, AnyGateway), ipv6);
}

#[test]
fn a_silent_gateway_of_ipv6() {
    let gateway: Ipv6Addr = "fe80::1".parse().unwrap();
    let device = NetDevice { ipv4: vec![], ipv6: vec![("fd00::2".parse().unwrap(), 64)], ..eth0() };
    let route = Route {
        destination: (Ipv6Addr::UNSPECIFIED.into(), 0),
        index: 2,
        gateway: Some(gateway.into()),
        metric: 0,
    };
    let mac = "ee:ee:ee:ee:ee:ee".to_owned();
    for (permanent, index) in [(true, 2), (false, 2), (true, 3)] {
        let neighbour = Neighbour { index, address: gateway.into(), mac: mac.clone(), permanent };
        let net =
            NetFacts { neighbours: vec![neighbour], ..facts(vec![device.clone()], vec![route.clone()]) };
        let plan = tap(&request(), &net, false).unwrap().unwrap();
        let proxy = reach(plan.clone(), &net, Addressing::GatewayInSubnet).unwrap().proxy6;
        let expected = GatewayProxy6 { gateway, mac: mac.clone() };
        assert_eq!(proxy, Some(expected).filter(|_| permanent && index == 2));
        assert_eq!(reach(plan, &net, Addressing::Own).unwrap().proxy6, None);
    }
}
