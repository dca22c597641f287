//! What the engine has made of the container's network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// What the network namespace of the container holds, gathered at `start`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NetFacts {
    /// The namespace is the host's own (same nsfs inode as pid 1's or the runtime's).
    pub host_namespace: bool,
    /// Every device but `lo`.
    pub devices: Vec<NetDevice>,
    /// Unicast routes of the main table, IPv4 before IPv6, else in the kernel's order. One for each next hop.
    pub routes: Vec<Route>,
    /// Neighbours whose hardware address is known.
    pub neighbours: Vec<Neighbour>,
    /// Nameservers of the `resolv.conf` that config.json mounts.
    pub nameservers: Vec<String>,
    /// Who answers on a loopback address; looked for only when a nameserver has one.
    pub listeners: Vec<Listener>,
    /// What can rewrite addresses; looked at for the static mode only.
    pub nat: NatFacts,
}

/// A socket that takes datagrams or connections on an IPv4 loopback address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// TCP, else UDP.
    pub tcp: bool,
    /// Loopback address, or 0.0.0.0 for all of them.
    pub address: Ipv4Addr,
    /// Port.
    pub port: u16,
}

/// Network address translation in the namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NatFacts {
    /// The kernel has nf_tables.
    pub nf_tables: bool,
    /// The program `iptables`, where the kernel has no nf_tables.
    pub iptables: Option<String>,
    /// A table of our name has rules without a record of ours, or none at all.
    pub foreign: bool,
    /// Rules of ours.
    pub rules: Vec<NatRule>,
}

/// A rule that a routed connection has made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NatRule {
    /// Its comment: [`crate::network::NatRecord`].
    pub record: String,
    /// The process that the record names runs.
    pub owned: bool,
}

/// One way to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Route {
    /// Address and prefix length; length 0 is the default route of its family.
    pub destination: (IpAddr, u8),
    /// Output device.
    pub index: u32,
    /// Next hop; `None`: the destinations are neighbours.
    pub gateway: Option<IpAddr>,
    /// Priority; lower wins.
    pub metric: u32,
}

impl Default for Route {
    fn default() -> Self {
        Self { destination: (Ipv4Addr::UNSPECIFIED.into(), 0), index: 0, gateway: None, metric: 0 }
    }
}

/// One entry of the tables of ARP and neighbour discovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Device.
    pub index: u32,
    /// Protocol address.
    pub address: IpAddr,
    /// Hardware address `aa:bb:cc:dd:ee:ff`.
    pub mac: String,
    /// Set by hand (NUD_PERMANENT): it may not answer when it is asked.
    #[serde(default)]
    pub permanent: bool,
}

/// One network device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags of a device that have nothing to do with each other"
)]
pub struct NetDevice {
    /// Interface name.
    pub name: String,
    /// Interface index.
    pub index: u32,
    /// `IFLA_INFO_KIND`: `veth`, `macvlan`, `tun`, …; empty for physical devices.
    pub kind: String,
    /// Hardware address `aa:bb:cc:dd:ee:ff`; empty for devices without an Ethernet address.
    pub mac: String,
    /// Maximum transmission unit, bytes.
    pub mtu: u32,
    /// IFF_UP is set.
    pub up: bool,
    /// IFF_LOWER_UP is set; for a tap: a process holds it open.
    pub carrier: bool,
    /// `IFLA_IFALIAS`: the owner record of a tap of ours.
    pub alias: String,
    /// The alias is an owner record, and the process that it names runs.
    pub owned: bool,
    /// IPv4 packets that it receives are forwarded (`net.ipv4.conf.NAME.forwarding`).
    pub forwarding: bool,
    /// What happens to frames that it receives.
    pub ingress: Ingress,
    /// IPv4 addresses with prefix length.
    pub ipv4: Vec<(Ipv4Addr, u8)>,
    /// IPv6 addresses with prefix length, of every scope.
    pub ipv6: Vec<(Ipv6Addr, u8)>,
}

/// What sits at a device's ingress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ingress {
    /// Nothing.
    #[default]
    Free,
    /// A qdisc with the handle `ffff:` (ingress or clsact) that is somebody else's, or is shared with somebody.
    Foreign,
    /// A redirect of ours, alone: index of the device that it leads to, 0 when that one is gone.
    Redirect(u32),
}
