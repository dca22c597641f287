//! The guest's connection.

use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// A tap device and its connection to the container's device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    /// First free `tapN_urunc`.
    pub name: String,
    /// Device of the container.
    pub device: String,
    /// Its interface index.
    pub device_index: u32,
    /// MTU, bytes.
    pub mtu: u32,
    /// Owner of the tap.
    pub uid: u32,
    /// Group of the tap.
    pub gid: u32,
    /// TUNSETIFF with IFF_VNET_HDR.
    pub vnet_hdr: bool,
    /// Interface alias: the owner record. `{id}` only; pid and start time are appended by `start`.
    pub alias: String,
    /// The guest's hardware address.
    pub mac: String,
    /// Address and prefix length of the guest.
    pub ipv4: Option<(Ipv4Addr, u8)>,
    /// Default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Nameservers.
    pub nameservers: Vec<String>,
}
