//! Descriptors of the plan's devices, checked against manifest and plan.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use urunc_plan::launch::{Device, Tender};
use urunc_plan::read::ReadAt;
use urunc_plan::solo5::Declared;

use crate::TenderError;
use crate::boot::{Attached, Kind};
use crate::sys::{self, File};

/// What the guest is made of. Every descriptor is above 2.
#[derive(Debug)]
pub struct Fds {
    /// The image, readable.
    pub kernel: OwnedFd,
    /// `/dev/kvm`, read-write, for target hvt.
    pub kvm: Option<OwnedFd>,
    /// Tap devices (`IFF_TAP | IFF_NO_PI`, already attached to an interface) in the order of [`Tender::attach`].
    pub net: Vec<OwnedFd>,
    /// Block images in the order of [`Tender::attach`]; read-write exactly where the plan says writable.
    pub block: Vec<OwnedFd>,
}

/// The devices of the guest: descriptions in manifest order, and the descriptors they name.
pub(crate) struct Devices {
    pub(crate) attached: Vec<Attached>,
    pub(crate) fds: Vec<OwnedFd>,
}

impl Devices {
    /// Matches manifest, plan and descriptors: same devices, same order, none left over.
    pub(crate) fn attach(
        declared: &[Declared],
        plan: &Tender,
        net: Vec<OwnedFd>,
        block: Vec<OwnedFd>,
    ) -> Result<Self, TenderError> {
        let (mut net, mut block) = (net.into_iter(), block.into_iter());
        let mut planned = plan.attach.iter();
        let mut devices = Self { attached: Vec::new(), fds: Vec::new() };
        for device in declared {
            let name = &device.name;
            let Some(attach) = planned.next().filter(|a| a.name == *name) else {
                return Err(TenderError::device(name, "declared by the image but not attached by the plan"));
            };
            let (kind, fd) = match (&attach.device, device.net) {
                (Device::Net { mac, mtu }, true) => {
                    let fd = net.next().ok_or_else(|| TenderError::device(name, "no tap descriptor"))?;
                    sys::set_nonblocking(&fd)?;
                    (Kind::Net { mac: parse_mac(name, mac)?, mtu: *mtu }, fd)
                }
                (Device::Block { sector_size, writable, .. }, false) => {
                    let fd = block.next().ok_or_else(|| TenderError::device(name, "no file descriptor"))?;
                    (block_kind(name, &fd, *sector_size, *writable)?, fd)
                }
                _ => return Err(TenderError::device(name, "the plan and the image differ in its type")),
            };
            devices.attached.push(Attached { name: name.clone(), fd: fd.as_raw_fd(), kind });
            devices.fds.push(fd);
        }
        match planned.next() {
            Some(extra) => {
                Err(TenderError::device(&extra.name, "attached by the plan but not declared by the image"))
            }
            None if net.next().is_some() || block.next().is_some() => {
                Err(TenderError::Host("more device descriptors than devices".to_owned()))
            }
            None => Ok(devices),
        }
    }
}

/// What wakes a guest that waits.
pub(crate) struct Events {
    /// The epoll set: network devices by their manifest index, and the timer.
    pub(crate) epoll: OwnedFd,
    /// CLOCK_MONOTONIC.
    pub(crate) timer: OwnedFd,
}

impl Events {
    /// epoll data of the timer (`SPT_INTERNAL_TIMERFD`); that of a network device is its manifest index.
    pub(crate) const TIMER: u64 = 0xffff_fffe;

    /// Of these devices.
    pub(crate) fn watch(devices: &Devices) -> Result<Self, TenderError> {
        let (epoll, timer) = (sys::epoll()?, sys::timer()?);
        sys::watch(&epoll, &timer, Self::TIMER)?;
        for (index, (device, fd)) in devices.attached.iter().zip(&devices.fds).enumerate() {
            if let Kind::Net { .. } = device.kind {
                sys::watch(&epoll, fd, index as u64 + 1)?;
            }
        }
        Ok(Self { epoll, timer })
    }
}

fn block_kind(name: &str, fd: &OwnedFd, sector_size: u16, writable: bool) -> Result<Kind, TenderError> {
    let bad = |why: String| Err(TenderError::device(name, why));
    if sector_size < 512 || !sector_size.is_power_of_two() {
        return bad(format!("sector size {sector_size} is not a power of two from 512 to 32768"));
    }
    let format = sys::mode(fd)? & libc::S_IFMT;
    if format != libc::S_IFREG && format != libc::S_IFBLK {
        return bad("neither a regular file nor a block device".to_owned());
    }
    // The filter lets the guest call pwrite on every block device; the descriptor's mode is what forbids it.
    let expected = if writable { libc::O_RDWR } else { libc::O_RDONLY };
    if sys::status_flags(fd)? & libc::O_ACCMODE != expected {
        return bad(format!("the descriptor's access mode is not the plan's (writable: {writable})"));
    }
    let capacity = File::new(fd.as_fd(), name)?.size();
    if capacity == 0 || !capacity.is_multiple_of(u64::from(sector_size)) {
        return bad(format!(
            "its {capacity} bytes are not a positive multiple of the sector size {sector_size}"
        ));
    }
    Ok(Kind::Block { capacity, sector_size })
}

fn parse_mac(name: &str, text: &str) -> Result<[u8; 6], TenderError> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
        *byte = part
            .and_then(|p| u8::from_str_radix(p, 16).ok())
            .ok_or_else(|| TenderError::device(name, format!("{text:?} is not a hardware address")))?;
    }
    if parts.next().is_some() || mac[0] & 1 != 0 {
        return Err(TenderError::device(name, format!("{text:?} is not a unicast hardware address")));
    }
    Ok(mac)
}
