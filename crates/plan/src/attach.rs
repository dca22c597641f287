//! Devices of a Solo5 manifest: each gets exactly one resource of the container, by name.

use crate::error::excerpt;
use crate::launch::{Attach, Device, Tap};
use crate::solo5::{Declared, Solo5Image};
use crate::{PlanError, Request};

/// Descriptor name of the disk in a [`Device::Block`].
pub const DISK: &str = "disk0";
/// Sector size of block devices, bytes: Solo5's own default.
pub const SECTOR: u16 = 512;

/// The network side of the container.
#[derive(Debug, Clone, Copy)]
pub enum Connection<'a> {
    /// Not looked at yet: the check at `create`.
    Unknown,
    /// Looked at: the tap, if there is a network.
    Known(Option<&'a Tap>),
}

/// One attachment for every declared device, in manifest order.
///
/// # Errors
/// A declared device without a resource, a block image without a device, a name that is not declared.
pub fn attach(req: &Request, image: &Solo5Image, net: Connection<'_>) -> Result<Vec<Attach>, PlanError> {
    named(&image.devices, "solo5NetDev", &req.image.solo5_net, true)?;
    named(&image.devices, "solo5BlkDev", &req.image.solo5_block, false)?;
    let count = |net: bool| image.devices.iter().filter(|device| device.net == net).count();
    if count(true) > 1 {
        return Err(refuse(req, &format!("declares {}, one is supported", list(&image.devices, true))));
    }
    match (count(false), req.image.block.is_empty()) {
        (0, false) => return Err(PlanError::key("block", "the kernel's manifest declares no block device")),
        (1.., true) => {
            return Err(refuse(req, &format!("declares {}, add the key block", list(&image.devices, false))));
        }
        (2.., false) => {
            return Err(refuse(req, &format!("declares {}, one is supported", list(&image.devices, false))));
        }
        _ => {}
    }
    let mut attached = Vec::new();
    for declared in &image.devices {
        let name = declared.name.clone();
        match (declared.net, net) {
            (false, _) => attached.push(Attach { name, device: disk(req) }),
            (true, Connection::Unknown) => {}
            (true, Connection::Known(Some(tap))) => attached.push(Attach { name, device: nic(tap)? }),
            (true, Connection::Known(None)) => {
                let why =
                    format!("the kernel declares the network device {name}, the container has no network");
                return Err(PlanError::Network { why });
            }
        }
    }
    Ok(attached)
}

fn disk(req: &Request) -> Device {
    Device::Block { file: DISK.to_owned(), sector_size: SECTOR, writable: !req.readonly }
}

fn nic(tap: &Tap) -> Result<Device, PlanError> {
    let mtu = u16::try_from(tap.mtu).map_err(|_| PlanError::Network {
        why: format!("{} has an MTU of {}, Solo5 takes at most 65535", excerpt(&tap.device), tap.mtu),
    })?;
    Ok(Device::Net { mac: tap.mac.clone(), mtu })
}

fn named(devices: &[Declared], key: &str, name: &str, net: bool) -> Result<(), PlanError> {
    if name.is_empty() || devices.iter().any(|device| device.net == net && device.name == name) {
        return Ok(());
    }
    Err(PlanError::key(
        key,
        format!("{} is not in the kernel's manifest, it declares {}", excerpt(name), list(devices, net)),
    ))
}

fn list(devices: &[Declared], net: bool) -> String {
    let kind = if net { "network" } else { "block" };
    let names: Vec<_> = devices.iter().filter(|d| d.net == net).map(|d| d.name.as_str()).collect();
    match names.as_slice() {
        [] => format!("no {kind} device"),
        [name] => format!("the {kind} device {name}"),
        names => format!("{} {kind} devices ({})", names.len(), excerpt(&names.join(", "))),
    }
}

fn refuse(req: &Request, why: &str) -> PlanError {
    PlanError::File { file: format!("binary {}", excerpt(&req.image.binary)), why: why.to_owned() }
}
