//! Network namespaces as facts.

use urunc_plan::input::{Namespace, NamespaceKind, NetDevice, Route, User};
use urunc_plan::{NetFacts, Request};

pub(crate) fn request() -> Request {
    let network = Namespace { kind: NamespaceKind::Network, path: Some("/run/netns/x".into()), host: false };
    Request {
        id: "web-1".into(),
        user: User { uid: 1000, gid: 1001, ..User::default() },
        namespaces: vec![network],
        ..Request::default()
    }
}

pub(crate) fn device(name: &str, index: u32, kind: &str) -> NetDevice {
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

pub(crate) fn eth0() -> NetDevice {
    NetDevice {
        mtu: 1450,
        ipv4: vec![([172, 17, 0, 2].into(), 16), ([10, 0, 0, 9].into(), 8)],
        ..device("eth0", 2, "veth")
    }
}

pub(crate) fn facts(devices: Vec<NetDevice>, routes: Vec<Route>) -> NetFacts {
    NetFacts { devices, routes, ..NetFacts::default() }
}
