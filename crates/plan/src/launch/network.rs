//! The guest's connection.

use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A tap device and its connection to the container's device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tap {
    /// First free `tapN_urunc`.
    pub name: String,
    /// Device of the container.
    pub device: String,
    /// Its interface index.
    pub device_index: u32,
    /// How the two are connected.
    #[serde(default)]
    pub port: Port,
    /// MTU, bytes.
    pub mtu: u32,
    /// Owner of the tap.
    pub uid: u32,
    /// Group of the tap.
    pub gid: u32,
    /// TUNSETIFF with IFF_VNET_HDR.
    pub vnet_hdr: bool,
    /// TUNSETPERSIST: the monitor opens the tap itself, by its name, when nobody else holds it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub persistent: bool,
    /// Interface alias: the owner record. `{id}` only; pid and start time are appended by `start`.
    pub alias: String,
    /// The guest's hardware address.
    pub mac: String,
    /// Address and prefix length of the guest.
    pub ipv4: Option<(Ipv4Addr, u8)>,
    /// Default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// IPv6 address and prefix length of the guest.
    #[serde(default)]
    pub ipv6: Option<(Ipv6Addr, u8)>,
    /// IPv6 default gateway.
    #[serde(default)]
    pub gateway6: Option<Ipv6Addr>,
    /// Nameservers.
    pub nameservers: Vec<String>,
    /// Way to a nameserver that the guest cannot ask by its own address.
    #[serde(default)]
    pub resolver: Option<Resolver>,
    /// Help for a guest that could not reach its gateway by itself.
    #[serde(default)]
    pub proxy: Option<GatewayProxy>,
    /// As [`Tap::proxy`], of IPv6.
    #[serde(default)]
    pub proxy6: Option<GatewayProxy6>,
    /// Taps of unikernels that are no more: removed before this one is made.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
}

/// How a tap is connected with a device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Port {
    /// What one of them receives leaves through the other, both ways. It has the device for itself: there is one
    /// unikernel in a namespace. A bridge, which carries several, would be another kind.
    #[default]
    Redirect,
    /// The static mode: the namespace's own stack forwards between the two, and other processes of the pod keep theirs.
    Routed(Routed),
}

/// A guest behind the container's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed {
    /// Address and prefix length of the tap: the guest's gateway.
    pub address: (Ipv4Addr, u8),
    /// What gives the guest's packets the container's address when they leave.
    pub nat: Nat,
    /// `net.ipv4.conf.DEVICE.forwarding` is 0 and becomes 1; in the end it is 0 again.
    pub forwarding: bool,
    /// Records of rules whose owner has ended: they are removed before ours is made.
    pub leftovers: Vec<String>,
}

/// Where the rule `ip saddr GUEST masquerade` is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nat {
    /// A table of nf_tables for IPv4, which is ours.
    Nftables {
        /// Its name.
        table: String,
        /// Its only chain, at the hook postrouting.
        chain: String,
    },
    /// The chain POSTROUTING of the table `nat`, which is everybody's.
    Iptables {
        /// The program.
        program: String,
    },
}

/// The tap answers the guest's question for its gateway, with the gateway's own hardware address: frames then take the
/// same way as all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayProxy {
    /// The gateway as the guest is told it, and what the tap answers for.
    pub shown: Ipv4Addr,
    /// Prefix length that the guest is told.
    pub prefix: u8,
    /// The gateway.
    pub gateway: Ipv4Addr,
    /// Its hardware address; empty: it is asked for when the tap is connected.
    pub mac: String,
}

/// A gateway of IPv6 that may not answer the guest's neighbour solicitations; the tap does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayProxy6 {
    /// The gateway.
    pub gateway: Ipv6Addr,
    /// Its hardware address.
    pub mac: String,
}

/// A nameserver on a loopback address of the namespace, as Docker has one in its networks. The tap takes the guest's
/// questions to another address out of its frames, and the namespace's stack passes them on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolver {
    /// Where the guest sends its questions, to port 53: among the [`Tap::nameservers`].
    pub shown: Ipv4Addr,
    /// Where the nameserver sees them come from. The guest's own address is the namespace's, too: what is sent there
    /// would not leave it.
    pub asker: Ipv4Addr,
    /// The nameserver.
    pub address: Ipv4Addr,
    /// Its port for datagrams.
    pub udp: u16,
    /// Its port for connections, if it has one.
    pub tcp: Option<u16>,
}

/// A tap whose owner has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// Name.
    pub name: String,
    /// Its owner record, whole: another owner's tap of this name is not meant.
    pub alias: String,
}
