//! What `network::tap` decides for each kind of namespace.

use expect_test::{Expect, expect};
use urunc_plan::input::{DefaultRoute, Namespace, NamespaceKind, NetDevice, User};
use urunc_plan::network::{Owner, tap};
use urunc_plan::{NetFacts, Request};

fn request() -> Request {
    let network = Namespace { kind: NamespaceKind::Network, path: Some("/run/netns/x".into()), host: false };
    Request {
        id: "web-1".into(),
        user: User { uid: 1000, gid: 1001, ..User::default() },
        namespaces: vec![network],
        ..Request::default()
    }
}

fn device(name: &str, index: u32, kind: &str) -> NetDevice {
    NetDevice {
        name: name.into(),
        index,
        kind: kind.into(),
        mac: format!("02:42:ac:11:00:{index:02x}"),
        mtu: 1500,
        up: true,
        carrier: true,
        ..NetDevice::default()
    }
}

fn eth0() -> NetDevice {
    NetDevice {
        mtu: 1450,
        ipv4: vec![([172, 17, 0, 2].into(), 16), ([10, 0, 0, 9].into(), 8)],
        ..device("eth0", 2, "veth")
    }
}

fn route(index: u32, gateway: [u8; 4], metric: u32) -> DefaultRoute {
    DefaultRoute { index, gateway: Some(gateway.into()), metric }
}

fn facts(devices: Vec<NetDevice>, default_routes: Vec<DefaultRoute>) -> NetFacts {
    NetFacts { devices, default_routes, ..NetFacts::default() }
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
fn check(devices: Vec<NetDevice>, routes: Vec<DefaultRoute>, expected: &Expect) {
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
          "nameservers": [
            "127.0.0.11"
          ]
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
        "network: the container shares the host's network, whose devices are never redirected to a guest; give it a network namespace of its own (for no network: one with only lo)"
    ];
    expected.assert_eq(&decide(&NetFacts { host_namespace: true, ..docker() }));
    expect!["none"].assert_eq(&decide(&NetFacts { host_namespace: true, ..NetFacts::default() }));
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
    check(vec![eth0()], vec![], &expect!["tap0_urunc on eth0 (2), gateway None"]);
    let on_link = DefaultRoute { index: 2, gateway: None, metric: 0 };
    check(vec![eth0()], vec![on_link], &expect!["tap0_urunc on eth0 (2), gateway None"]);
    let routes = vec![route(2, [10, 0, 0, 1], 100), route(2, [10, 0, 0, 2], 20), route(2, [10, 0, 0, 3], 20)];
    check(vec![eth0()], routes, &expect!["tap0_urunc on eth0 (2), gateway Some(10.0.0.2)"]);
    for kind in ["", "macvlan", "netkit", "vlan", "bond"] {
        check(vec![device("net1", 7, kind)], vec![], &expect!["tap0_urunc on net1 (7), gateway None"]);
    }
    let beside = vec![device("br0", 3, "bridge"), eth0(), device("dummy0", 4, "dummy")];
    check(beside, vec![], &expect!["tap0_urunc on eth0 (2), gateway None"]);
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
    check(down, vec![], &expect!["tap0_urunc on eth0 (2), gateway None"]);
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
        vec![NetDevice { ingress: true, ..eth0() }],
        vec![],
        &expect![
            "network: device eth0 already has an ingress or clsact qdisc of another owner, which is left as it is"
        ],
    );
}

#[test]
fn taps_that_are_there_already() {
    let ours = |number: u32, carrier: bool| NetDevice {
        alias: Owner { id: "first".into(), pid: 7, start_time: 8 }.to_string(),
        carrier,
        ..device(&format!("tap{number}_urunc"), 10 + number, "tun")
    };
    check(
        vec![eth0(), ours(0, true)],
        vec![],
        &expect![
            "network: tap0_urunc of unikernel first is already in this network namespace, which carries one unikernel"
        ],
    );
    let leftovers = vec![eth0(), ours(0, false), ours(1, false), ours(3, false)];
    check(leftovers, vec![], &expect!["tap2_urunc on eth0 (2), gateway None"]);
    let foreign = NetDevice { alias: "somebody".into(), ..ours(0, true) };
    check(vec![eth0(), foreign], vec![], &expect!["tap1_urunc on eth0 (2), gateway None"]);
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
