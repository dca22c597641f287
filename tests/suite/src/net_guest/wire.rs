//! A wire between two network namespaces: the container's, and one for the client. The host's own stays as it is.

use crate::reality::network::{in_namespace, ip};
use crate::sandbox::Sandbox;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Both namespaces; they go when this goes.
#[derive(Debug)]
pub struct Wire {
    guest: String,
    client: String,
    mtu: u16,
}

impl Wire {
    /// A veth pair of this MTU, called eth0 at both ends and up.
    pub fn new(s: &Sandbox, mtu: u16) -> Self {
        Self::named(s, "", mtu)
    }

    fn named(s: &Sandbox, name: &str, mtu: u16) -> Self {
        // The ledger looks first: the namespaces are part of what must be gone in the end.
        s.run(["list", "-q"]).ok();
        let [guest, client] = ["guest", "client"].map(|end| s.id(&format!("{end}{name}")));
        let wire = Self { guest, client, mtu };
        wire.make();
        wire
    }

    fn make(&self) {
        let Self { guest, client, mtu } = self;
        for name in [guest, client] {
            ip(&format!("netns add {name}"));
        }
        ip(&format!("-n {guest} link add eth0 mtu {mtu} type veth peer name eth0 mtu {mtu} netns {client}"));
        self.on_guest("link set eth0 up");
        self.on_client("link set eth0 up");
    }

    /// A wire with the usual addresses: 10.0.0.2/24 for the guest, 10.0.0.1 for the client, its gateway.
    pub fn usual(s: &Sandbox, mtu: u16) -> Self {
        let wire = Self::new(s, mtu);
        wire.address();
        wire
    }

    /// One of several usual wires.
    pub fn numbered(s: &Sandbox, number: usize) -> Self {
        let wire = Self::named(s, &number.to_string(), 1500);
        wire.settle();
        wire
    }

    /// Other namespaces of the same names, with a usual wire between them; who lives in the old ones stays there.
    pub fn renew(&self) {
        self.remove();
        self.make();
        self.settle();
    }

    /// The kernel's own address takes its time to become valid: two looks at the namespace would differ.
    fn settle(&self) {
        self.on_guest("link set eth0 addrgenmode none");
        self.on_guest("address flush dev eth0");
        self.address();
    }

    fn address(&self) {
        self.on_client("address add 10.0.0.1/24 dev eth0");
        self.on_guest("address add 10.0.0.2/24 dev eth0");
        self.on_guest("route add default via 10.0.0.1");
    }

    /// `ip` in the guest's namespace.
    pub fn on_guest(&self, words: &str) {
        ip(&format!("-n {} {words}", self.guest));
    }

    /// `ip` in the client's namespace.
    pub fn on_client(&self, words: &str) {
        ip(&format!("-n {} {words}", self.client));
    }

    /// Name of the guest's namespace.
    pub fn guest(&self) -> &str {
        &self.guest
    }

    /// The path of the guest's namespace.
    pub fn guest_path(&self) -> PathBuf {
        path(&self.guest)
    }

    /// Runs `work` in a thread of the client's namespace.
    pub fn as_client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        in_namespace(&self.client, work)
    }

    /// Runs `work` in a thread of the guest's namespace, where it is another process of the guest's pod.
    pub fn as_guest<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        in_namespace(&self.guest, work)
    }

    /// What the guest's namespace holds.
    pub(super) fn links(&self) -> Vec<String> {
        let netns = vec![self.guest.clone()];
        let ledger =
            ledger::Ledger::take(&ledger::Scope { tags: netns.clone(), netns, ..ledger::Scope::default() });
        ledger.row("link").map(str::to_owned).collect()
    }

    /// Frames that came to the client so far.
    pub fn frames(&self) -> u64 {
        let words = ["-n", &self.client, "-json", "-statistics", "link", "show", "eth0"];
        let output = Command::new("ip").args(words).output().expect("ip");
        let link: Value = serde_json::from_slice(&output.stdout).expect("JSON of ip");
        link[0]["stats64"]["rx"]["packets"].as_u64().expect("a number of frames")
    }

    /// Addresses whose hardware address the client has learned.
    pub fn neighbours(&self) -> Vec<String> {
        let words = ["-n", &self.client, "-json", "neighbour", "show"];
        let output = Command::new("ip").args(words).output().expect("ip");
        let entries: Value = serde_json::from_slice(&output.stdout).expect("JSON of ip");
        let entries = entries.as_array().expect("entries").iter();
        let known = entries.filter(|entry| entry["lladdr"].is_string());
        known.map(|entry| entry["dst"].as_str().expect("an address").to_owned()).collect()
    }

    /// Removes the namespaces that still have their names.
    fn remove(&self) {
        for name in [&self.guest, &self.client] {
            if path(name).exists() {
                ip(&format!("netns delete {name}"));
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.remove();
    }
}

fn path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}
