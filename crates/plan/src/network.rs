//! Connection of the guest to the container's network.

use crate::launch::Tap;
use crate::{NetFacts, PlanError, Request};

/// The tap for the container's one network device; `None` without a network.
///
/// # Errors
/// More than one device to choose from.
pub fn tap(req: &Request, net: &NetFacts, vnet_hdr: bool) -> Result<Option<Tap>, PlanError> {
    let [device] = net.devices.as_slice() else {
        return match net.devices.len() {
            0 => Ok(None),
            count => Err(PlanError::Network { why: format!("{count} devices") }),
        };
    };
    let gateway = net.default_routes.iter().find(|r| r.index == device.index).and_then(|r| r.gateway);
    Ok(Some(Tap {
        name: "tap0_urunc".to_owned(),
        device: device.name.clone(),
        device_index: device.index,
        mtu: device.mtu,
        uid: req.user.uid,
        gid: req.user.gid,
        vnet_hdr,
        alias: format!("urunc {}", req.id),
        mac: device.mac.clone(),
        ipv4: device.ipv4.first().copied(),
        gateway,
        nameservers: net.nameservers.clone(),
    }))
}
