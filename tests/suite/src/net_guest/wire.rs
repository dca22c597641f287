//! A wire between two network namespaces: the container's, and one for the client. The host's own stays as it is.

use crate::reality::network::ip;
use crate::sandbox::Sandbox;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Both namespaces; they go when this goes.
pub(super) struct Wire {
    guest: String,
    client: String,
}

impl Wire {
    /// A veth pair of this MTU, called eth0 at both ends and up.
    pub(super) fn new(s: &Sandbox, mtu: u16) -> Self {
        Self::named(s, "", mtu)
    }

    fn named(s: &Sandbox, name: &str, mtu: u16) -> Self {
        // The ledger looks first: the namespaces are part of what must be gone in the end.
        s.run(["list", "-q"]).ok();
        let wire = Self { guest: s.id(&format!("guest{name}")), client: s.id(&format!("client{name}")) };
        for name in [&wire.guest, &wire.client] {
            ip(&format!("netns add {name}"));
        }
        let (guest, client) = (&wire.guest, &wire.client);
        ip(&format!("-n {guest} link add eth0 mtu {mtu} type veth peer name eth0 mtu {mtu} netns {client}"));
        wire.on_guest("link set eth0 up");
        wire.on_client("link set eth0 up");
        wire
    }

    /// A wire with the usual addresses: 10.0.0.2/24 for the guest, 10.0.0.1 for the client, its gateway.
    pub(super) fn usual(s: &Sandbox, mtu: u16) -> Self {
        Self::new(s, mtu).with_usual_addresses()
    }

    /// One of several usual wires.
    pub(super) fn numbered(s: &Sandbox, number: usize) -> Self {
        let wire = Self::named(s, &number.to_string(), 1500);
        // The kernel's own address takes its time to become valid: two looks at the namespace would differ.
        wire.on_guest("link set eth0 addrgenmode none");
        wire.on_guest("address flush dev eth0");
        wire.with_usual_addresses()
    }

    fn with_usual_addresses(self) -> Self {
        self.on_client("address add 10.0.0.1/24 dev eth0");
        self.on_guest("address add 10.0.0.2/24 dev eth0");
        self.on_guest("route add default via 10.0.0.1");
        self
    }

    /// `ip` in the guest's namespace.
    pub(super) fn on_guest(&self, words: &str) {
        ip(&format!("-n {} {words}", self.guest));
    }

    /// `ip` in the client's namespace.
    pub(super) fn on_client(&self, words: &str) {
        ip(&format!("-n {} {words}", self.client));
    }

    /// Name of the guest's namespace.
    pub(super) fn guest(&self) -> &str {
        &self.guest
    }

    /// The path of the guest's namespace.
    pub(super) fn guest_path(&self) -> PathBuf {
        path(&self.guest)
    }

    /// Runs `work` in a thread of the client's namespace.
    pub(super) fn as_client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.client, work)
    }

    /// Runs `work` in a thread of the guest's namespace, where it is another process of the guest's pod.
    pub(super) fn as_sidecar<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.guest, work)
    }

    /// What the guest's namespace holds.
    pub(super) fn links(&self) -> Vec<String> {
        let netns = vec![self.guest.clone()];
        let ledger =
            ledger::Ledger::take(&ledger::Scope { tags: netns.clone(), netns, ..ledger::Scope::default() });
        ledger.row("link").map(str::to_owned).collect()
    }

    /// Frames that came to the client so far.
    pub(super) fn frames(&self) -> u64 {
        let words = ["-n", &self.client, "-json", "-statistics", "link", "show", "eth0"];
        let output = Command::new("ip").args(words).output().expect("ip");
        let link: Value = serde_json::from_slice(&output.stdout).expect("JSON of ip");
        link[0]["stats64"]["rx"]["packets"].as_u64().expect("a number of frames")
    }

    /// Addresses whose hardware address the client has learned.
    pub(super) fn neighbours(&self) -> Vec<String> {
        let words = ["-n", &self.client, "-json", "neighbour", "show"];
        let output = Command::new("ip").args(words).output().expect("ip");
        let entries: Value = serde_json::from_slice(&output.stdout).expect("JSON of ip");
        let entries = entries.as_array().expect("entries").iter();
        let known = entries.filter(|entry| entry["lladdr"].is_string());
        known.map(|entry| entry["dst"].as_str().expect("an address").to_owned()).collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for name in [&self.guest, &self.client] {
            if path(name).exists() {
                ip(&format!("netns delete {name}"));
            }
        }
    }
}

fn inside<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    let namespace = std::fs::File::open(path(name)).expect("a namespace");
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(rustix::fd::AsFd::as_fd(&namespace), kind)
                .expect("the namespace");
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}
