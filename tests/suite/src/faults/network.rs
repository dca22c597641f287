//! Networks that change or go while a guest is connected.

use super::Entry;
use crate::container::Container;
use crate::reality::network::{Network, inside, inventory, service};
use crate::sandbox::Sandbox;

pub(super) const CASES: &[Entry] = &[
    ("f-51-the-network-namespace-is-deleted-while-the-guest-runs", |s| {
        let _network = Network(s);
        let c = connected(s);
        Network::remove(s);
        ended(&c);
    }),
    ("f-51-the-network-namespace-is-another-s-by-now", |s| {
        let _network = Network(s);
        let c = connected(s);
        Network::remove(s);
        Network::make(s, &Network::usual());
        inside(s, "tc qdisc add dev eth0 clsact");
        let before = inventory(s);
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
        assert_eq!(inventory(s), before);
    }),
    ("f-51-the-network-namespace-outlives-the-guest", |s| {
        let _network = Network(s);
        let network = Network::make(s, &Network::usual());
        let before = inventory(s);
        for _ in 0..5 {
            let c = s.container("a", &service(s.bundle("b"), &network));
            c.launch();
            c.kill("KILL").ok();
            c.until_stopped();
            c.delete().ok();
            assert_eq!(inventory(s), before);
        }
    }),
    ("f-52-the-device-is-removed-while-the-guest-runs", |s| {
        let _network = Network(s);
        let c = connected(s);
        inside(s, "ip link del eth0");
        assert_eq!(c.status(), "running");
        ended(&c);
        assert_eq!(inside(s, "ls /sys/class/net").trim(), "lo");
    }),
    ("f-54-the-tap-is-deleted-by-others", |s| {
        let _network = Network(s);
        let network = Network::make(s, &Network::usual());
        let before = inventory(s);
        let c = s.container("a", &service(s.bundle("b"), &network));
        c.launch();
        inside(s, "ip link del tap0_urunc");
        assert_eq!(c.status(), "running");
        ended(&c);
        assert_eq!(inventory(s), before);
    }),
    ("f-54-the-redirect-is-deleted-by-others", |s| {
        let _network = Network(s);
        let network = Network::make(s, &Network::usual());
        let c = s.container("a", &service(s.bundle("b"), &network));
        c.launch();
        inside(s, "tc qdisc del dev eth0 ingress");
        inside(s, "tc qdisc add dev eth0 clsact");
        inside(s, "tc filter add dev eth0 ingress protocol all pref 30066 u32 match u8 0 0 classid 1:1");
        let filter = || inside(s, "tc -d filter show dev eth0 ingress");
        let theirs = filter();
        ended(&c);
        assert_eq!(filter(), theirs);
    }),
];

/// A guest that runs in the usual network.
fn connected(s: &Sandbox) -> Container<'_> {
    let network = Network::make(s, &Network::usual());
    let c = s.container("a", &service(s.bundle("b"), &network));
    c.launch();
    c
}

/// The guest ends, and `delete` without force takes everything back.
fn ended(c: &Container<'_>) {
    c.kill("KILL").ok();
    c.until_stopped();
    c.delete().ok();
    c.verb("state").fails();
}
