//! What the engine has made of the container's network.

use serde::{Deserialize, Serialize};

/// What the network namespace of the container holds, gathered at `start`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NetFacts {
    /// The namespace is the host's own (same nsfs inode as pid 1's or the runtime's).
    pub host_namespace: bool,
    /// Every device but `lo`.
    pub devices: Vec<NetDevice>,
    /// IPv4 default routes: (device index, gateway, metric). A gateway of `None` is an on-link default route.
    pub default_routes: Vec<DefaultRoute>,
    /// Nameservers of the `resolv.conf` that config.json mounts.
    pub nameservers: Vec<String>,
}

/// One IPv4 default route.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DefaultRoute {
    /// Output device.
    pub index: u32,
    /// Next hop.
    pub gateway: Option<std::net::Ipv4Addr>,
    /// Priority; lower wins.
    pub metric: u32,
}

/// One network device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
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
    /// It has a qdisc with the ingress handle `ffff:` already (ingress or clsact). A redirect of ours whose tap is
    /// gone does not count: connecting replaces it.
    pub ingress: bool,
    /// IPv4 addresses with prefix length.
    pub ipv4: Vec<(std::net::Ipv4Addr, u8)>,
}
