//! A named network namespace with one end of a veth pair, as an engine makes it.

use crate::bundle::Bundle;
use crate::image::{SPT, idle_with, replaced};
use crate::sandbox::Sandbox;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeSet;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use urunc_plan::NetFacts;
use urunc_plan::input::{NetDevice, Route};
use urunc_plan::solo5::Declared;

/// Each has a name of its own.
static PEERS: AtomicU32 = AtomicU32::new(0);

/// Removes the namespace of a case, also after a failure.
pub(crate) struct Network<'a>(pub(crate) &'a Sandbox);

impl Drop for Network<'_> {
    fn drop(&mut self) {
        Self::remove(self.0);
    }
}

/// Runs `ip` with these words.
pub(crate) fn ip(words: &str) {
    assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success(), "ip {words}");
}

impl Network<'_> {
    /// Where the namespace of the case is, or would be.
    pub(crate) fn path(s: &Sandbox) -> PathBuf {
        Path::new("/run/netns").join(&s.tag)
    }

    /// One veth device with an address and a gateway.
    pub(crate) fn usual() -> NetFacts {
        let device = NetDevice {
            name: "eth0".into(),
            index: 2,
            kind: "veth".into(),
            mac: "02:42:ac:11:00:02".into(),
            mtu: 1500,
            up: true,
            ipv4: vec![(Ipv4Addr::new(172, 17, 0, 2), 16)],
            ..NetDevice::default()
        };
        let gateway = Some(Ipv4Addr::new(172, 17, 0, 1).into());
        let route = Route { index: 2, gateway, ..Route::default() };
        NetFacts { devices: vec![device], routes: vec![route], ..NetFacts::default() }
    }

    /// Makes the namespace with these devices and routes; returns its path.
    pub(crate) fn make(s: &Sandbox, facts: &NetFacts) -> String {
        // The ledger looks first: the namespace is part of what must be gone in the end.
        s.run(["list", "-q"]).ok();
        let (tag, own) = (&s.tag, std::process::id());
        ip(&format!("netns add {tag}"));
        for device in &facts.devices {
            let (name, index) = (&device.name, device.index);
            let (mac, mtu) = (&device.mac, device.mtu);
            let peer = peer(PEERS.fetch_add(1, Ordering::Relaxed));
            // From within: Debian 12's kernel refuses a name that the caller's namespace has, too, and that has an eth0.
            ip(&format!(
                "-n {tag} link add {name} index {index} address {mac} mtu {mtu} type {} peer name {peer} netns {own}",
                device.kind
            ));
            // What the kernel adds by itself is no part of the facts. It has IPv6 from this MTU on.
            if device.mtu >= 1280 {
                ip(&format!("-n {tag} link set {name} addrgenmode none"));
            }
            for (address, prefix) in &device.ipv4 {
                ip(&format!("-n {tag} addr add {address}/{prefix} dev {name}"));
            }
            for (address, prefix) in &device.ipv6 {
                ip(&format!("-n {tag} addr add {address}/{prefix} dev {name} nodad"));
            }
            if device.up {
                ip(&format!("-n {tag} link set {name} up"));
            }
            Self::lead(tag, device, facts);
        }
        Self::path(s).display().to_string()
    }

    /// Name of the other end of the last device made.
    pub(crate) fn last_peer() -> String {
        peer(PEERS.load(Ordering::Relaxed).saturating_sub(1))
    }

    /// Adds the routes and neighbours of a device.
    fn lead(tag: &str, device: &NetDevice, facts: &NetFacts) {
        let (name, index) = (&device.name, device.index);
        // First those that gateways are reached by.
        let mut routes: Vec<&Route> = facts.routes.iter().filter(|route| route.index == index).collect();
        routes.sort_by_key(|route| route.gateway.is_some());
        for Route { destination: (address, prefix), gateway, metric, .. } in routes {
            let via = gateway.map(|gateway| format!(" via {gateway} onlink")).unwrap_or_default();
            ip(&format!("-n {tag} route append {address}/{prefix}{via} dev {name} metric {metric}"));
        }
        for neighbour in facts.neighbours.iter().filter(|neighbour| neighbour.index == index) {
            let state = if neighbour.permanent { "permanent" } else { "stale" };
            let (address, mac) = (neighbour.address, &neighbour.mac);
            ip(&format!("-n {tag} neigh add {address} lladdr {mac} dev {name} nud {state}"));
        }
    }

    /// What the namespace holds.
    pub(crate) fn links(s: &Sandbox) -> BTreeSet<String> {
        let tags = vec![s.tag.clone()];
        let scope = ledger::Scope { netns: tags.clone(), tags, ..ledger::Scope::default() };
        let all = ledger::Ledger::take(&scope);
        all.row("link").map(str::to_owned).collect()
    }

    /// Removes the namespace, if there is one.
    pub(crate) fn remove(s: &Sandbox) {
        if Self::path(s).exists() {
            ip(&format!("netns delete {}", s.tag));
        }
    }
}

fn peer(number: u32) -> String {
    format!("suite{}x{number}", std::process::id())
}

/// Runs a command in the namespace of the case; its output.
pub(crate) fn inside(s: &Sandbox, command: &str) -> String {
    within(&s.tag, command)
}

/// Runs `work` in a thread of a named namespace.
pub(crate) fn in_namespace<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(Path::new("/run/netns").join(name)).expect("a namespace");
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("a network namespace");
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs a command in a named namespace; its output.
fn within(name: &str, command: &str) -> String {
    let output = Command::new("ip").args(["netns", "exec", name]).args(command.split(' ')).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// All that connecting could change in the namespace of the case.
pub(crate) fn inventory(s: &Sandbox) -> String {
    inventory_of(&s.tag)
}

/// All that connecting could change in a named namespace.
pub(crate) fn inventory_of(name: &str) -> String {
    let devices = within(name, "ls /sys/class/net");
    let filters = devices.lines().flat_map(|device| {
        let command = |hook: &str| {
            let words = ["netns", "exec", name, "tc", "-d", "filter", "show", "dev", device, hook];
            String::from_utf8(Command::new("ip").args(words).output().unwrap().stdout).unwrap()
        };
        [command("ingress"), command("egress")]
    });
    let rest = [
        "ip -d -j addr",
        "ip route show table all",
        "ip -6 route show table all",
        "ip -4 netconf show",
        "tc -d qdisc show",
        "nft list ruleset",
    ];
    filters.chain(rest.map(|command| within(name, command))).collect()
}

/// A guest that idles and declares one network device.
pub fn service(bundle: Bundle, network: &str) -> Bundle {
    let device = Declared { name: "service".into(), net: true };
    bundle
        .unikernel(&idle_with(&[device]), &replaced(&SPT, "unikernelType", "mirage"))
        .namespace("network", Some(network))
}
