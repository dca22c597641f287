//! What the operator should know of a pair that is going to run.

use crate::error::excerpt;
use crate::launch::{Memory, Notice};
use crate::machine::Acceleration;
use crate::negotiate::{self, Pair};
use crate::{HostFacts, Request};

/// All of it.
pub(crate) fn of(
    req: &Request,
    host: &HostFacts,
    pair: Pair,
    acceleration: Acceleration,
    memory: &Memory,
) -> Vec<Notice> {
    let found = req.image.found.iter();
    let found = found.map(|(key, text)| Notice { warn: false, text: format!("{key}: {text}") });
    let mut notices: Vec<_> = found.collect();
    notices.extend(unused(req, pair));
    notices.extend(negotiate::troubles(req, &pair, acceleration));
    notices.extend(remark(host, pair));
    notices.extend(capped(memory, pair));
    notices
}

/// What the request says and this pair has no use for.
fn unused(req: &Request, pair: Pair) -> Vec<Notice> {
    let guest = pair.guest.name();
    let mut texts = Vec::new();
    if !req.image.version.is_empty() && !pair.guest.uses_version() {
        texts.push(format!("unikernelVersion {} has no meaning for {guest}", excerpt(&req.image.version)));
    }
    if !req.image.block_mount_point.is_empty() && !pair.guest.uses_mount_point() {
        let path = excerpt(&req.image.block_mount_point);
        texts.push(format!("blkMntPoint {path} has no meaning for {guest}"));
    }
    let solo5 = [("solo5NetDev", &req.image.solo5_net), ("solo5BlkDev", &req.image.solo5_block)];
    for (key, value) in solo5 {
        if !value.is_empty() && req.manifest().is_none() {
            texts.push(format!("{key} {} has no meaning for {guest}", excerpt(value)));
        }
    }
    if let Some(label) = req.selinux.as_deref().filter(|label| !label.is_empty()) {
        texts.push(format!("process.selinuxLabel {} is not applied", excerpt(label)));
    }
    texts.into_iter().map(|text| Notice { warn: false, text }).collect()
}

/// A limit of the monitor, not of the container.
fn capped(memory: &Memory, pair: Pair) -> Option<Notice> {
    let text = format!("{} gives a guest at most {} MiB", pair.monitor.name(), memory.guest_mib);
    (memory.guest_mib == pair.offers.most_ram_mib).then_some(Notice { warn: false, text })
}

fn remark(host: &HostFacts, pair: Pair) -> Option<Notice> {
    let text = pair.monitor.remark(host.monitor.as_ref()?)?;
    Some(Notice { warn: true, text })
}
