//! IPv4 of a device: its addresses and settings (`net.ipv4.conf.NAME` of proc_sys_net(5), by netlink).

use std::net::Ipv4Addr;

use super::facts::{self, AF_INET};
use super::message::{Attrs, Message, NLM_F_CREATE, u32_at};
use super::netlink::{Refusal, Socket};

/// `linux/if_link.h`: the settings, in an answer as an array, in a request as attributes.
const IFLA_INET_CONF: u16 = 1;

/// One of `enum` IPV4_DEVCONF_* (`linux/ip.h`), which start at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Setting(u16);

/// What the device receives for others is forwarded.
pub(super) const FORWARDING: Setting = Setting(1);
/// Sources must be reached over the device that they came from.
pub(super) const RP_FILTER: Setting = Setting(8);
/// Which ARP requests are not answered.
pub(super) const ARP_IGNORE: Setting = Setting(19);
/// Packets from the namespace's own addresses are accepted.
pub(super) const ACCEPT_LOCAL: Setting = Setting(23);
/// Packets with loopback addresses come and go over the device.
pub(super) const ROUTE_LOCALNET: Setting = Setting(26);

/// Changes settings of a device, which end with it.
pub(super) fn set(socket: &mut Socket, index: u32, settings: &[(Setting, u32)]) -> Result<(), Refusal> {
    let message = Message::new(libc::RTM_NEWLINK, 0, &facts::ifinfomsg(index, 0));
    let message = message.nest(libc::IFLA_AF_SPEC, |families| {
        families.nest(AF_INET.into(), |family| {
            family.nest(IFLA_INET_CONF, |list| {
                settings.iter().fold(list, |list, &(Setting(number), value)| list.number(number, value))
            })
        })
    });
    socket.call(&message).map(drop)
}

/// A setting as an answer of the type RTM_NEWLINK has it.
pub(super) fn setting(link: &Attrs<'_>, Setting(number): Setting) -> Option<u32> {
    let array = link.inside(libc::IFLA_AF_SPEC).inside(AF_INET.into()).get(IFLA_INET_CONF)?;
    u32_at(array, usize::from(number - 1) * size_of::<u32>())
}

/// Switches forwarding of what a device receives.
pub(super) fn forward(socket: &mut Socket, index: u32, on: bool) -> Result<(), Refusal> {
    set(socket, index, &[(FORWARDING, on.into())])
}

/// Gives a device an address on a subnet that is reached over it.
pub(super) fn add_address(
    socket: &mut Socket,
    index: u32,
    (address, prefix): (Ipv4Addr, u8),
) -> Result<(), Refusal> {
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let body = [&[AF_INET, prefix, 0, libc::RT_SCOPE_UNIVERSE][..], &index.to_ne_bytes()].concat();
    let message = Message::new(libc::RTM_NEWADDR, NLM_F_CREATE, &body);
    socket.call(&message.attr(libc::IFA_LOCAL, &address.octets())).map(drop)
}
