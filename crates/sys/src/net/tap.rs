//! A tap device that lives as long as its descriptor (Documentation/networking/tuntap.rst).
#![allow(unsafe_code)]

use std::ffi::{c_int, c_short, c_uint};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{self, IntegerSetter, Opcode, Updater, opcode};
use urunc_plan::input::NetDevice;
use urunc_plan::launch::{Leftover, Tap};
use urunc_plan::network::Owner;

use super::facts;
use super::message::Message;
use super::netlink::{Refusal, Socket};
use crate::error::{Result, SysError};

const TUNSETPERSIST: Opcode = opcode::write::<c_int>(b'T', 203);
const TUNSETIFF: Opcode = opcode::write::<c_int>(b'T', 202);
const TUNSETOWNER: Opcode = opcode::write::<c_int>(b'T', 204);
const TUNSETGROUP: Opcode = opcode::write::<c_int>(b'T', 206);
const TUNSETOFFLOAD: Opcode = opcode::write::<c_uint>(b'T', 208);

/// `struct ifreq` as TUNSETIFF reads it: name, flags, and the rest of the union.
#[repr(C)]
struct Ifreq {
    name: [u8; libc::IFNAMSIZ],
    flags: c_short,
    rest: [u8; 22],
}

/// Creates the tap in the calling thread's network namespace.
///
/// It is not persistent yet: the kernel removes it with the last descriptor, however its holder ends.
pub(super) fn create(tap: &Tap) -> Result<OwnedFd> {
    let fail = |op: &'static str| move |errno: Errno| SysError::new(op, &*tap.name, errno);
    let mut name = [0; libc::IFNAMSIZ];
    // A `%` would make the kernel choose a name of its own.
    if !(1..libc::IFNAMSIZ).contains(&tap.name.len()) || tap.name.contains(['%', '\0', '/']) {
        return Err(fail("name tap")(Errno::INVAL));
    }
    name[..tap.name.len()].copy_from_slice(tap.name.as_bytes());
    let open = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rustix::fs::open("/dev/net/tun", open, Mode::empty())
        .map_err(|errno| SysError::new("open", "/dev/net/tun", errno))?;
    let header = if tap.vnet_hdr { libc::IFF_VNET_HDR } else { 0 };
    // Without EXCL a tap of this name that someone else keeps would be attached to, not refused.
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_TUN_EXCL | header;
    let flags = c_short::from_ne_bytes(u16::try_from(flags).unwrap_or_default().to_ne_bytes());
    let mut request = Ifreq { name, flags, rest: [0; 22] };
    // SAFETY: TUNSETIFF reads (and writes back) one struct ifreq, which is what `Ifreq` is laid out as.
    unsafe { ioctl::ioctl(&fd, Updater::<TUNSETIFF, Ifreq>::new(&mut request)) }
        .map_err(fail("create tap"))?;
    // SAFETY: the argument of these three requests is the number itself.
    unsafe {
        ioctl::ioctl(&fd, IntegerSetter::<TUNSETOWNER>::new_usize(tap.uid as usize))
            .map_err(fail("own tap"))?;
        ioctl::ioctl(&fd, IntegerSetter::<TUNSETGROUP>::new_usize(tap.gid as usize))
            .map_err(fail("own tap"))?;
        if !tap.vnet_hdr {
            // Without the header nobody could be told about a missing checksum or an unsegmented packet.
            ioctl::ioctl(&fd, IntegerSetter::<TUNSETOFFLOAD>::new_usize(0))
                .map_err(fail("set offloads of"))?;
        }
    }
    Ok(fd)
}

/// Keeps the tap when its descriptor is closed, for a monitor that opens it by its name. Until the container's network
/// namespace ends, only [`remove`] ends it.
pub(super) fn keep(fd: &OwnedFd, tap: &Tap) -> Result<()> {
    // SAFETY: the argument of this request is the number itself.
    unsafe { ioctl::ioctl(fd, IntegerSetter::<TUNSETPERSIST>::new_usize(1)) }
        .map_err(|errno| SysError::new("keep tap", &*tap.name, errno))
}

/// Sets MTU and owner record, keeps the kernel from addressing the tap, and returns its index.
pub(super) fn configure(socket: &mut Socket, tap: &Tap, alias: &str) -> Result<u32> {
    let device =
        find(socket, &tap.name)?.ok_or_else(|| SysError::new("find tap", &*tap.name, Errno::NODEV))?;
    let set = |flags: u32| Message::new(libc::RTM_NEWLINK, 0, &facts::ifinfomsg(device.index, flags));
    let message = set(0).number(libc::IFLA_MTU, tap.mtu).attr(libc::IFLA_IFALIAS, alias.as_bytes());
    socket.call(&message).map_err(|refusal| refusal.on("set mtu and alias of", &tap.name))?;
    // No link-local address: it would put solicitations of the host's stack on the guest's wire.
    let message = set(0).nest(libc::IFLA_AF_SPEC, |families| {
        let inet6 = u16::try_from(libc::AF_INET6).unwrap_or_default();
        families.nest(inet6, |inner| inner.attr(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]))
    });
    match socket.call(&message) {
        // The kernel has no IPv6, or not on this device: nothing to switch off.
        Err(Refusal { errno: Errno::AFNOSUPPORT | Errno::OPNOTSUPP, .. }) | Ok(_) => {}
        Err(refusal) => return Err(refusal.on("set address generation of", &tap.name)),
    }
    let up = u32::try_from(libc::IFF_UP).unwrap_or_default();
    socket.call(&set(up)).map_err(|refusal| refusal.on("set up", &tap.name))?;
    Ok(device.index)
}

/// Removes the tap if it is there and its alias says that it belongs to this container.
pub(super) fn remove(socket: &mut Socket, tap: &Tap) -> Result<()> {
    let Some(device) = find(socket, &tap.name)? else { return Ok(()) };
    if device.kind != "tun" || Owner::parse(&device.alias).is_none_or(|owner| owner.id != tap.alias) {
        return Ok(());
    }
    delete(socket, &device)
}

/// Removes a tap whose owner has ended, if it is still that one's.
pub(super) fn reclaim(socket: &mut Socket, leftover: &Leftover) -> Result<()> {
    let Some(device) = find(socket, &leftover.name)? else { return Ok(()) };
    if device.kind != "tun" || device.alias != leftover.alias {
        return Ok(());
    }
    delete(socket, &device)
}

fn delete(socket: &mut Socket, device: &NetDevice) -> Result<()> {
    match socket.call(&Message::new(libc::RTM_DELLINK, 0, &facts::ifinfomsg(device.index, 0))) {
        Err(Refusal { errno: Errno::NODEV, .. }) | Ok(_) => Ok(()),
        Err(refusal) => Err(refusal.on("remove tap", &device.name)),
    }
}

/// The device of this name; `None` when there is none.
fn find(socket: &mut Socket, name: &str) -> Result<Option<NetDevice>> {
    let message = Message::new(libc::RTM_GETLINK, 0, &facts::ifinfomsg(0, 0)).name(libc::IFLA_IFNAME, name);
    match socket.call(&message) {
        Ok(replies) => Ok(replies.iter().find_map(facts::device)),
        Err(Refusal { errno: Errno::NODEV, .. }) => Ok(None),
        Err(refusal) => Err(refusal.on("find tap", name)),
    }
}

/// `linux/if_link.h`.
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
/// `enum in6_addr_gen_mode`.
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
