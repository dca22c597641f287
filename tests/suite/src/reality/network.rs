//! A named network namespace with one end of a veth pair, as an engine makes it.

use crate::sandbox::Sandbox;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use urunc_plan::NetFacts;
use urunc_plan::input::{DefaultRoute, NetDevice};

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
        let route = DefaultRoute { index: 2, gateway: Some(Ipv4Addr::new(172, 17, 0, 1)), metric: 0 };
        NetFacts { devices: vec![device], default_routes: vec![route], ..NetFacts::default() }
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
            // From within: Debian 12's kernel refuses a name that the caller's namespace has, too, and that has an eth0.
            ip(&format!(
                "-n {tag} link add {name} index {index} address {mac} mtu {mtu} type {} peer name suite{own} netns {own}",
                device.kind
            ));
            for (address, prefix) in &device.ipv4 {
                ip(&format!("-n {tag} addr add {address}/{prefix} dev {name}"));
            }
            if device.up {
                ip(&format!("-n {tag} link set {name} up"));
            }
            for route in facts.default_routes.iter().filter(|route| route.index == index) {
                let gateway = route.gateway.map(|g| format!(" via {g}")).unwrap_or_default();
                ip(&format!("-n {tag} route add default{gateway} dev {name} metric {} onlink", route.metric));
            }
        }
        Self::path(s).display().to_string()
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
