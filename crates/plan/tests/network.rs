//! What `network::tap` decides for each kind of namespace.

#[path = "support/namespace.rs"]
mod namespace;

use expect_test::{Expect, expect};
use std::net::{Ipv4Addr, Ipv6Addr};

use namespace::{device, eth0, facts, request};
use urunc_plan::input::{Ingress, NetDevice, Route};
use urunc_plan::launch::Leftover;
use urunc_plan::network::{Owner, left_out, tap};
use urunc_plan::{NetFacts, Request};

fn route(index: u32, gateway: [u8; 4], metric: u32) -> Route {
    Route { index, gateway: Some(gateway.into()), metric, ..Route::default() }
}

/// Of an address's own subnet, as Linux makes it.
fn connected(index: u32) -> Route {
    Route { index, destination: (Ipv4Addr::new(172, 17, 0, 0).into(), 16), ..Route::default() }
}

fn docker() -> NetFacts {
    facts(vec![eth0()], vec![route(2, [172, 17, 0, 1], 0)])
}

fn decide(net: &NetFacts) -> String {
    match tap(&request(), net, false) {
        Ok(None) => "none".into(),
        Ok(Some(tap)) => {
            format!("{} on {} ({}), gateway {:?}", tap.name, tap.device, tap.device_index, tap.gateway)
        }
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn check(devices: Vec<NetDevice>, routes: Vec<Route>, expected: &Expect) {
    expected.assert_eq(&decide(&facts(devices, routes)));
}

#[test]
fn docker_bridge() {
    let net = NetFacts { nameservers: vec!["127.0.0.11".into()], ..docker() };
    let plan = tap(&request(), &net, true).unwrap();
    expect![[r#"
        {
          "name": "tap0_urunc",
          "device": "eth0",
          "device_index": 2,
          "port": "redirect",
          "mtu": 1450,
          "uid": 1000,
          "gid": 1001,
          "vnet_hdr": true,
          "alias": "web-1",
          "mac": "02:42:ac:11:00:02",
          "ipv4": [
            "172.17.0.2",
            16
          ],
          "gateway": "172.17.0.1",
          "ipv6": null,
          "gateway6": null,
          "nameservers": [
            "127.0.0.11"
          ],
          "resolver": null,
          "proxy": null,
          "proxy6": null,
          "leftovers": []
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&plan).unwrap());
}

#[test]
fn nothing_to_connect() {
    let fallback =
        |name: &str, kind: &str| NetDevice { mac: String::new(), up: false, ..device(name, 2, kind) };
    let none = expect!["none"];
    check(vec![], vec![], &none);
    check(vec![fallback("tunl0", "ipip"), fallback("sit0", "sit")], vec![], &none);
    check(
        vec![device("docker0", 2, "bridge"), device("ifb0", 3, "ifb"), device("tap9", 4, "tun")],
        vec![],
        &none,
    );
}

#[test]
fn the_hosts_network_is_never_touched() {
    let expected = expect![
        "network: the container shares the host's network, whose devices are never redirected to a guest; give it a network namespace of its own, or the annotation com.urunc.network.host=allow for no connection"
    ];
    expected.assert_eq(&decide(&NetFacts { host_namespace: true, ..docker() }));
    expect!["none"].assert_eq(&decide(&NetFacts { host_namespace: true, ..NetFacts::default() }));
    let allowed = Request { host_network: true, ..request() };
    assert_eq!(tap(&allowed, &NetFacts { host_namespace: true, ..docker() }, false), Ok(None));
    assert!(tap(&allowed, &docker(), false).unwrap().is_some());
    let mut inherited = request();
    inherited.namespaces.clear();
    let mut by_path = request();
    by_path.namespaces[0].host = true;
    for request in [inherited, by_path] {
        expected.assert_eq(&tap(&request, &docker(), false).unwrap_err().to_string());
        assert_eq!(tap(&request, &NetFacts::default(), false), Ok(None));
    }
}

#[test]
fn one_device() {
    check(vec![eth0()], vec![connected(2)], &expect!["tap0_urunc on eth0 (2), gateway None"]);
    let on_link = Route { index: 2, ..Route::default() };
    check(vec![eth0()], vec![on_link], &expect!["tap0_urunc on eth0 (2), gateway None"]);
    let routes = vec![route(2, [10, 0, 0, 1], 100), route(2, [10, 0, 0, 2], 20), route(2, [10, 0, 0, 3], 20)];
    check(vec![eth0()], routes, &expect!["tap0_urunc on eth0 (2), gateway Some(10.0.0.2)"]);
    for kind in ["", "macvlan", "netkit", "vlan", "bond"] {
        check(vec![device("net1", 7, kind)], vec![], &expect!["tap0_urunc on net1 (7), gateway None"]);
    }
    let beside = vec![device("br0", 3, "bridge"), eth0(), device("dummy0", 4, "dummy")];
    check(beside, vec![connected(2)], &expect!["tap0_urunc on eth0 (2), gateway None"]);
}

#[test]
fn several_devices() {
    let two = || vec![eth0(), device("net1", 3, "macvlan")];
    check(
        two(),
        vec![route(3, [10, 1, 0, 1], 0)],
        &expect!["tap0_urunc on net1 (3), gateway Some(10.1.0.1)"],
    );
    let lower = vec![route(2, [172, 17, 0, 1], 100), route(3, [10, 1, 0, 1], 50)];
    check(two(), lower, &expect!["tap0_urunc on net1 (3), gateway Some(10.1.0.1)"]);
    check(two(), vec![], &expect!["network: which of eth0, net1 is the guest's? none has the default route"]);
    let down = vec![NetDevice { up: false, ..device("bond0", 4, "bond") }, eth0()];
    check(down, vec![connected(2)], &expect!["tap0_urunc on eth0 (2), gateway None"]);
    let equal = vec![route(2, [172, 17, 0, 1], 0), route(3, [10, 1, 0, 1], 0)];
    check(
        two(),
        equal,
        &expect![
            "network: which of eth0, net1 is the guest's? default routes over several devices have the same metric"
        ],
    );
}

#[test]
fn devices_without_frames_of_their_own() {
    check(
        vec![device("eth0", 2, "ipvlan")],
        vec![],
        &expect![
            "network: device eth0 is an ipvlan, which shares its parent's hardware address; use macvlan or veth"
        ],
    );
    let layer3 = |name: &str, kind: &str| NetDevice { mac: String::new(), ..device(name, 3, kind) };
    check(
        vec![layer3("tun0", "tun")],
        vec![],
        &expect![
            "network: device tun0 (tun) carries no Ethernet frames; a guest needs veth, macvlan or netkit in L2 mode"
        ],
    );
    check(
        vec![layer3("eth0", "netkit")],
        vec![],
        &expect![
            "network: device eth0 (netkit) carries no Ethernet frames; a guest needs veth, macvlan or netkit in L2 mode"
        ],
    );
    let wireguard = expect![
        "network: device wg0 (wireguard) carries no Ethernet frames; a guest needs veth, macvlan or netkit in L2 mode"
    ];
    check(vec![eth0(), layer3("wg0", "wireguard")], vec![route(3, [10, 2, 0, 1], 0)], &wireguard);
    check(
        vec![device("br0", 3, "bridge"), eth0()],
        vec![route(3, [10, 2, 0, 1], 0)],
        &expect!["network: device br0 is a bridge; a guest can be connected to veth, macvlan or netkit"],
    );
}

#[test]
fn devices_that_cannot_be_connected_now() {
    check(vec![NetDevice { up: false, ..eth0() }], vec![], &expect!["network: device eth0 is down"]);
    check(
        vec![NetDevice { ingress: Ingress::Foreign, ..eth0() }],
        vec![],
        &expect![
            "network: device eth0 already has an ingress or clsact qdisc of another owner, which is left as it is"
        ],
    );
}

#[test]
fn a_device_that_leads_nowhere() {
    check(
        vec![NetDevice { mtu: 575, ..eth0() }],
        vec![connected(2)],
        &expect!["network: device eth0 has an MTU of 575, a guest needs at least 576"],
    );
    let least = NetDevice { mtu: 576, ..eth0() };
    check(vec![least], vec![connected(2)], &expect!["tap0_urunc on eth0 (2), gateway None"]);
    let expected = expect![
        "network: device eth0 has the address 172.17.0.2, but no route leads over it; nothing could be reached"
    ];
    check(vec![eth0()], vec![], &expected);
    check(vec![eth0()], vec![connected(3)], &expected);
    let ipv6 = Route { index: 2, destination: ("fe80::".parse().unwrap(), 64), ..Route::default() };
    check(vec![eth0()], vec![ipv6], &expected);
    let unaddressed = NetDevice { ipv4: vec![], ..eth0() };
    check(vec![unaddressed], vec![], &expect!["tap0_urunc on eth0 (2), gateway None"]);
}

#[test]
fn names_of_devices_stay_on_the_line() {
    let odd = NetDevice { up: false, ..device("-d\u{1b}[2J\u{202e}'", 2, "veth") };
    check(vec![odd.clone()], vec![], &expect![[r"network: device -d\u{1b}[2J\u{202e}\' is down"]]);
    let odd = NetDevice { up: true, ..odd };
    let tap = tap(&request(), &facts(vec![odd.clone()], vec![]), false).unwrap().unwrap();
    assert_eq!(tap.device, odd.name);
}

#[test]
fn ipv6_beside_ipv4_and_alone() {
    let address = |text: &str, prefix: u8| (text.parse::<Ipv6Addr>().unwrap(), prefix);
    let ipv6 = vec![address("fe80::42:acff:fe11:2", 64), address("fd00::2", 64), address("fd00::3", 128)];
    let default6 = |index, gateway: &str, metric| Route {
        index,
        destination: (Ipv6Addr::UNSPECIFIED.into(), 0),
        gateway: Some(gateway.parse().unwrap()),
        metric,
    };
    let dual = NetDevice { ipv6: ipv6.clone(), ..eth0() };
    let routes =
        vec![route(2, [172, 17, 0, 1], 0), default6(2, "fe80::9", 1024), default6(2, "fe80::1", 512)];
    let plan = tap(&request(), &facts(vec![dual], routes), false).unwrap().unwrap();
    assert_eq!((plan.ipv4, plan.gateway), (Some(([172, 17, 0, 2].into(), 16)), Some([172, 17, 0, 1].into())));
    assert_eq!((plan.ipv6, plan.gateway6), (Some(address("fd00::2", 64)), "fe80::1".parse().ok()));

    let alone =
        |name: &str, index| NetDevice { ipv4: vec![], ipv6: ipv6.clone(), ..device(name, index, "veth") };
    let two = || vec![alone("eth0", 2), alone("net1", 3)];
    check(two(), vec![default6(3, "fe80::1", 1024)], &expect!["tap0_urunc on net1 (3), gateway None"]);
    let equal = vec![default6(3, "fe80::1", 1024), default6(2, "fe80::1", 1024)];
    check(
        two(),
        equal,
        &expect![
            "network: which of eth0, net1 is the guest's? default routes over several devices have the same metric"
        ],
    );
    // IPv4's default route counts before that of IPv6, whatever their metrics.
    let both = vec![route(2, [172, 17, 0, 1], 2000), default6(3, "fe80::1", 1024)];
    check(two(), both, &expect!["tap0_urunc on eth0 (2), gateway Some(172.17.0.1)"]);

    let link_local = NetDevice { ipv6: ipv6[..1].to_vec(), ..alone("eth0", 2) };
    let plan = tap(&request(), &facts(vec![link_local], vec![]), false).unwrap().unwrap();
    assert_eq!(plan.ipv6, None);
}

#[test]
fn what_the_guest_does_not_get_is_said() {
    let said = |device: NetDevice, beside: Vec<NetDevice>, routes: Vec<Route>| {
        let net =
            facts([vec![device], beside].concat(), [vec![route(2, [172, 17, 0, 1], 0)], routes].concat());
        let plan = tap(&request(), &net, false).unwrap().unwrap();
        left_out(&net, &plan).map(|notice| notice.text)
    };
    let one = NetDevice { ipv4: vec![([172, 17, 0, 2].into(), 16)], ..eth0() };
    let inside = vec![device("br0", 4, "bridge"), NetDevice { up: false, ..device("bond0", 5, "bond") }];
    let on_link =
        Route { destination: (Ipv4Addr::new(10, 9, 0, 0).into(), 16), index: 2, ..Route::default() };
    assert_eq!(said(one.clone(), inside, vec![connected(2), on_link.clone()]), None);

    let six = |text: &str| (text.parse().unwrap(), 64);
    let ipv6 = vec![six("fe80::1"), six("fd00::2"), six("fd00::3")];
    let by = Route { gateway: Some([172, 17, 0, 9].into()), ..on_link };
    let rich = NetDevice { ipv6, ..eth0() };
    let elsewhere = Route { index: 3, ..by.clone() };
    let text = said(rich, vec![device("net1", 3, "macvlan")], vec![by.clone(), elsewhere]).unwrap();
    expect!["the guest does not get address 10.0.0.9/8, address fd00::3/64, device net1, route 10.9.0.0/16 by 172.17.0.9"]
        .assert_eq(&text);
    let text = said(one, vec![], vec![by; 7]).unwrap();
    assert!(text.ends_with(", route 10.9.0.0/16 by 172.17.0.9, 3 more"), "{text}");
}

#[test]
fn taps_that_are_there_already() {
    let ours = |number: u32, owned: bool| NetDevice {
        alias: Owner { id: "first".into(), pid: 7, start_time: 8 }.to_string(),
        owned,
        ..device(&format!("tap{number}_urunc"), 10 + number, "tun")
    };
    let with = |taps: &[NetDevice]| {
        let routes = vec![connected(2)];
        tap(&request(), &facts([&[eth0()], taps].concat(), routes), false).map(Option::unwrap)
    };
    let said = with(&[ours(0, true)]).unwrap_err();
    expect!["network: tap0_urunc of unikernel first is already in this network namespace, which carries one unikernel"]
        .assert_eq(&said.to_string());

    // Its owner has ended: whether somebody else holds it or not, it is removed.
    let left = [ours(0, false), NetDevice { carrier: false, ..ours(1, false) }, ours(3, false)];
    let plan = with(&left).unwrap();
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| Leftover { name: (*name).into(), alias: "urunc:first:7:8".into() })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (plan.name.as_str(), plan.leftovers),
        ("tap2_urunc", names(&["tap0_urunc", "tap1_urunc", "tap3_urunc"]))
    );

    // Taps of others, and what only looks like ours.
    let foreign = NetDevice { alias: "somebody".into(), ..ours(0, false) };
    let veth = NetDevice { kind: "bridge".into(), ..ours(1, false) };
    let plan = with(&[foreign, veth]).unwrap();
    assert_eq!((plan.name.as_str(), plan.leftovers), ("tap2_urunc", vec![]));
}

#[test]
fn redirects_that_are_there_already() {
    let redirected = |target| NetDevice { ingress: Ingress::Redirect(target), ..eth0() };
    let another = |owned| NetDevice {
        alias: "urunc:first:7:8".into(),
        owned,
        carrier: false,
        ..device("tap0_urunc", 10, "tun")
    };
    let routes = || vec![connected(2)];
    check(vec![redirected(0)], routes(), &expect!["tap0_urunc on eth0 (2), gateway None"]);
    check(vec![redirected(10), another(false)], routes(), &expect!["tap1_urunc on eth0 (2), gateway None"]);
    check(
        vec![redirected(10), another(true)],
        routes(),
        &expect!["network: device eth0 is already redirected to tap0_urunc, by another start"],
    );
    check(vec![redirected(11)], routes(), &expect!["tap0_urunc on eth0 (2), gateway None"]);
}

#[test]
fn an_id_that_does_not_fit_the_alias_is_refused() {
    let with_id = |length: usize| Request { id: "x".repeat(length), ..request() };
    let longest = 255 - "urunc::4294967295:18446744073709551615".len();
    assert!(tap(&with_id(longest), &docker(), false).unwrap().is_some());
    let said = tap(&with_id(longest + 1), &docker(), false).unwrap_err().to_string();
    assert!(said.ends_with("too long to be recorded as a tap's owner"), "{said}");
}

#[test]
fn owner_records() {
    let owner = Owner { id: "a.b_c-1".into(), pid: 4711, start_time: 12345 };
    assert_eq!(owner.to_string(), "urunc:a.b_c-1:4711:12345");
    assert_eq!(Owner::parse(&owner.to_string()), Some(owner));
    for alias in ["", "urunc:", "urunc:a", "urunc:a:1", "urunc:a:x:1", "urunc:a:1:-1", "uranc:a:1:1"] {
        assert_eq!(Owner::parse(alias), None, "{alias}");
    }
}
