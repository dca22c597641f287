//! Networks that a guest cannot be connected to: `start` says so in one line and changes nothing. And odd ones that do.

use super::{Entry, one_line};
use crate::bundle::Bundle;
use crate::command::{self, HANG, until};
use crate::container::Container;
use crate::image::{LINUX, replaced};
use crate::probe::linux_on_probe;
use crate::reality::network::{Network, inside, inventory, service};
use crate::reality::{parse, values};
use crate::sandbox::Sandbox;
use serde_json::json;
use std::fs;
use urunc_plan::NetFacts;
use urunc_plan::input::{NetDevice, Route};
use urunc_plan::launch::Tap;

/// Needs a named network namespace and nothing else.
pub(super) const CASES: &[Entry] = &[
    ("n-no-device-but-one-is-declared", |s| refused(s, &NetFacts::default(), &[], "service")),
    ("n-two-default-routes", |s| {
        refused(s, &two_devices([0, 0]), &[], "default routes over several devices have the same metric");
    }),
    ("n-two-default-routes-of-which-one-is-better", |s| {
        let tap = connected(s, &two_devices([100, 50]), &[]);
        assert_eq!((tap.device.as_str(), tap.mac.as_str()), ("net1", "02:42:ac:11:00:03"));
    }),
    ("n-two-devices-without-default-route", |s| {
        let facts = NetFacts { routes: vec![], ..two_devices([0, 0]) };
        refused(s, &facts, &[], "which of eth0, net1 is the guest's");
    }),
    ("n-an-address-without-a-route", |s| {
        refused(s, &Network::usual(), &["ip route flush dev eth0"], "no route leads over it");
    }),
    ("n-a-default-route-without-a-gateway", |s| {
        let facts = NetFacts { routes: vec![Route { index: 2, ..Route::default() }], ..Network::usual() };
        refused(s, &facts, &[], "has no gateway");
    }),
    ("n-an-mtu-of-68", |s| refused(s, &with_device(|eth0| eth0.mtu = 68), &[], "mtu of 68")),
    ("n-a-device-that-is-down", |s| refused(s, &down("eth0"), &[], "device eth0 is down")),
    ("n-a-device-that-is-down-with-keys-of-a-terminal", |s| {
        refused(s, &down("-\u{1b}[2J\u{7f}é"), &[], "is down");
    }),
    ("n-a-device-with-a-name-of-signs", |s| {
        let name = "-$(x);s'\"`\\|&";
        assert_eq!(connected(s, &with_device(|eth0| eth0.name = name.into()), &[]).device, name);
    }),
    ("n-an-ingress-qdisc-of-another", |s| {
        refused(s, &Network::usual(), &["tc qdisc add dev eth0 ingress"], "left as it is");
    }),
    ("n-a-clsact-of-another-with-filters", |s| {
        let filter = |hook: &str| {
            format!("tc filter add dev eth0 {hook} protocol all pref 7 u32 match u8 0 0 classid 1:1")
        };
        let before = ["tc qdisc add dev eth0 clsact", &filter("ingress"), &filter("egress")];
        refused(s, &Network::usual(), &before, "left as it is");
    }),
    ("n-the-handle-of-ingress-qdiscs-is-taken", |s| {
        let before = ["tc qdisc add dev eth0 root handle ffff: pfifo"];
        refused(
            s,
            &Network::usual(),
            &before,
            "add ingress qdisc to eth0: invalid argument (os error 22): cannot move an existing qdisc",
        );
    }),
    ("n-a-gateway-that-answers-nobody", |s| {
        let network = made(s, &far_gateway(), &[]);
        let bundle = linux_on_probe(s, &["probe=quiet", "probe=qmp"]).namespace("network", Some(&network));
        stays_as_it_was(s, &bundle, "gateway 169.254.1.1: it answers no arp request");
    }),
    ("n-a-taken-tap-name", |s| {
        let before = ["ip tuntap add tap0_urunc mode tap", "ip tuntap add tap2_urunc mode tap"];
        assert_eq!(connected(s, &Network::usual(), &before).name, "tap1_urunc");
    }),
    ("n-a-second-unikernel", |s| {
        let network = made(s, &Network::usual(), &[]);
        let [first, second] = two(s, &network);
        first.launch();
        let running = inventory(s);
        second.create().ok();
        one_line(s, &second.start(), &format!("tap0_urunc of unikernel {} is already in", first.id));
        assert_eq!(first.status(), "running");
        assert_eq!(inventory(s), running);
        second.delete_force().ok();
        ended(&first);
    }),
    ("n-two-unikernels-at-once", |s| {
        let network = made(s, &Network::usual(), &[]);
        let (before, containers) = (inventory(s), two(s, &network));
        for _ in 0..10 {
            for c in &containers {
                c.create().ok();
            }
            let mut starts = containers.each_ref().map(|c| {
                let (mut command, output) = s.command(["start", &c.id]);
                (command::spawn(&mut command, &output), output)
            });
            let codes = starts.each_mut().map(|(child, _)| command::wait(child, HANG, "start"));
            let said = starts.map(|(_, output)| fs::read_to_string(output.with_extension("err")).unwrap());
            assert_eq!(codes.iter().sum::<i32>(), 1, "{said:?}");
            let carries = "is already in this network namespace, which carries one unikernel";
            assert!(said.concat().contains(carries), "{said:?}");
            for c in &containers {
                c.delete_force().ok();
            }
            s.reap();
        }
        assert_eq!(inventory(s), before);
    }),
    ("n-what-a-guest-left-is-taken-over", |s| {
        let network = made(s, &Network::usual(), &[]);
        let before = inventory(s);
        let [first, second] = two(s, &network);
        first.launch();
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(first.pid()).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        first.until_stopped();
        // Its tap has gone with it; the redirect to it has not.
        assert_ne!(inventory(s), before);
        second.launch();
        let running = inventory(s);
        first.delete().ok();
        assert_eq!(inventory(s), running, "a late delete leaves the next one's connection alone");
        ended(&second);
        assert_eq!(inventory(s), before);
    }),
    ("n-dev-net-tun-is-missing", |s| {
        let network = made(s, &Network::usual(), &[]);
        let before = inventory(s);
        let c = s.container("a", &service(s.bundle("b"), &network));
        c.create().ok();
        let outcome = super::host::in_mount_namespace(s, "mount -t tmpfs none /dev/net", &["start", &c.id]);
        one_line(s, &outcome, "/dev/net/tun");
        until("the container is stopped", || c.status() == "stopped");
        c.delete().ok();
        assert_eq!(inventory(s), before);
    }),
    ("n-a-namespace-that-loses-its-name-before-start", |s| {
        let network = made(s, &Network::usual(), &[]);
        let c = s.container("a", &service(s.bundle("b"), &network));
        c.create().ok();
        Network::remove(s);
        // Init holds it: the guest has its network, and the last one to go takes it along.
        c.start().ok();
        assert!(tap(&c).is_some());
        ended(&c);
    }),
    ("n-a-namespace-whose-name-becomes-a-file", |s| {
        let network = made(s, &Network::usual(), &[]);
        let c = s.container("a", &service(s.bundle("b"), &network));
        c.launch();
        Network::remove(s);
        fs::write(&network, "").unwrap();
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
        fs::remove_file(&network).unwrap();
    }),
    ("n-a-device-that-goes-before-start", |s| {
        let network = made(s, &Network::usual(), &[]);
        let c = s.container("a", &service(s.bundle("b"), &network));
        c.create().ok();
        inside(s, "ip link del eth0");
        one_line(s, &c.start(), "service");
        until("the container is stopped", || c.status() == "stopped");
        c.delete().ok();
    }),
    ("n-the-host-s-network", |s| {
        stays_as_it_was(s, &on_host(s), "shares the host's network");
    }),
    ("n-the-host-s-network-allowed-by-the-image", |s| {
        let bundle = on_host(s);
        let keys = replaced(&LINUX, "com.urunc.network.host", "allow");
        stays_as_it_was(s, &bundle.keys(&keys), "shares the host's network");
    }),
    ("n-the-host-s-network-by-an-annotation", |s| {
        let bundle = on_host(s).with("/annotations", json!({"com.urunc.network.host": "allow"}));
        let c = s.container("a", &bundle);
        let before = Network::links(s);
        c.launch();
        assert_eq!(tap(&c), None);
        assert_eq!(Network::links(s), before);
        ended(&c);
    }),
    ("n-static-mode-and-a-table-of-another", |s| {
        let table = ["nft add table ip urunc-nat", "nft add chain ip urunc-nat x"];
        refused_static(s, &Network::usual(), &table, "a table ip urunc-nat of another owner is in the way");
    }),
    ("n-static-mode-in-a-network-that-has-its-addresses", |s| {
        let facts = with_device(|eth0| eth0.ipv4 = vec![([172, 16, 1, 3].into(), 16)]);
        refused_static(s, &facts, &[], "address 172.16.1.3 of eth0 is within");
    }),
    ("n-static-mode-of-a-monitor-that-ends-at-once", |s| {
        let network = made(s, &Network::usual(), &["sysctl -qw net.ipv4.ip_forward=0"]);
        let before = inventory(s);
        let bundle = linux_on_probe(s, &["probe=brief", "probe=exit:1"]).namespace("network", Some(&network));
        stays_as_it_was(s, &bundle.with("/annotations", static_mode()), "greeting");
        assert_eq!(inventory(s), before);
    }),
    ("n-static-mode-beside-ingress-filters-of-another", |s| {
        let network = made(s, &Network::usual(), &["tc qdisc add dev eth0 clsact"]);
        let before = inventory(s);
        let c = s.container("a", &service(s.bundle("b"), &network).with("/annotations", static_mode()));
        c.launch();
        assert!(inside(s, "nft list ruleset").contains("ip saddr 172.16.1.2 masquerade comment \"urunc:"));
        ended(&c);
        assert_eq!(inventory(s), before);
    }),
    ("n-an-annotation-with-another-word", |s| {
        let bundle = on_host(s).with("/annotations", json!({"com.urunc.network.host": "yes"}));
        super::create_is_refused(s, &bundle, "com.urunc.network.host");
    }),
];

fn with_device(change: impl FnOnce(&mut NetDevice)) -> NetFacts {
    let mut facts = Network::usual();
    change(&mut facts.devices[0]);
    facts
}

fn down(name: &str) -> NetFacts {
    let facts = with_device(|eth0| (eth0.up, eth0.name) = (false, name.into()));
    NetFacts { routes: vec![], ..facts }
}

/// eth0 and net1, each with a default route of its metric.
pub(crate) fn two_devices(metrics: [u32; 2]) -> NetFacts {
    let mut facts = Network::usual();
    facts.devices.push(NetDevice {
        name: "net1".into(),
        index: 3,
        mac: "02:42:ac:11:00:03".into(),
        ipv4: vec![([10, 9, 0, 2].into(), 24)],
        ..facts.devices[0].clone()
    });
    let route = |(index, metric), gateway: [u8; 4]| Route {
        index,
        metric,
        gateway: Some(gateway.into()),
        ..Route::default()
    };
    facts.routes = vec![route((2, metrics[0]), [172, 17, 0, 1]), route((3, metrics[1]), [10, 9, 0, 1])];
    facts
}

/// A point-to-point address as Kubernetes networks have it; nobody is at the other end.
fn far_gateway() -> NetFacts {
    let facts = with_device(|eth0| eth0.ipv4 = vec![([10, 244, 1, 5].into(), 32)]);
    let gateway = Some([169, 254, 1, 1].into());
    NetFacts { routes: vec![Route { index: 2, gateway, ..Route::default() }], ..facts }
}

/// The namespace of the case with these facts, after these commands inside; its path.
fn made(s: &Sandbox, facts: &NetFacts, commands: &[&str]) -> String {
    let path = Network::make(s, facts);
    for command in commands {
        inside(s, command);
    }
    path
}

/// Two containers in one network namespace.
fn two<'a>(s: &'a Sandbox, network: &str) -> [Container<'a>; 2] {
    ["a", "b"].map(|name| s.container(name, &service(s.bundle(name), network)))
}

fn static_mode() -> serde_json::Value {
    json!({"com.urunc.network.mode": "static"})
}

/// As [`refused`], in the static mode.
fn refused_static(s: &Sandbox, facts: &NetFacts, commands: &[&str], word: &str) {
    let network = made(s, facts, commands);
    let before = inventory(s);
    stays_as_it_was(s, &service(s.bundle("b"), &network).with("/annotations", static_mode()), word);
    assert_eq!(inventory(s), before);
}

/// `start` must say one line with `word`, and leave the namespace as it is.
pub(crate) fn refused(s: &Sandbox, facts: &NetFacts, commands: &[&str], word: &str) {
    let network = made(s, facts, commands);
    let before = inventory(s);
    stays_as_it_was(s, &service(s.bundle("b"), &network), word);
    assert_eq!(inventory(s), before);
}

fn stays_as_it_was(s: &Sandbox, bundle: &Bundle, word: &str) {
    let c = s.container("a", bundle);
    let links = Network::links(s);
    c.create().ok();
    one_line(s, &c.start(), word);
    until("the container is stopped", || c.status() == "stopped");
    assert_eq!(Network::links(s), links);
    c.delete().ok();
    assert_eq!(Network::links(s), links);
}

/// `start` must do, and `delete` leave the namespace as it was; the connection.
pub(crate) fn connected(s: &Sandbox, facts: &NetFacts, commands: &[&str]) -> Tap {
    let network = made(s, facts, commands);
    let before = inventory(s);
    let c = s.container("a", &service(s.bundle("b"), &network));
    c.launch();
    let tap = tap(&c).expect("a connection");
    ended(&c);
    assert_eq!(inventory(s), before);
    tap
}

fn tap(c: &Container<'_>) -> Option<Tap> {
    parse(&values(c.sandbox.run(["plan", "--json", &c.id]).ok().json())).net
}

fn ended(c: &Container<'_>) {
    c.kill("KILL").ok();
    c.until_stopped();
    c.delete().ok();
}

/// A Linux guest in the network namespace of this process, given by path as engines do.
fn on_host(s: &Sandbox) -> Bundle {
    let path = format!("/proc/{}/ns/net", std::process::id());
    linux_on_probe(s, &["probe=quiet", "probe=qmp"]).namespace("network", Some(&path))
}

/// The case, and the namespace gone after it.
pub(crate) fn run(s: &Sandbox, case: fn(&Sandbox)) {
    let _network = Network(s);
    case(s);
}
