//! Block devices, huge pages, RDMA, network classes, and files named outright.

use super::{Tree, Version, Writes};
use crate::PlanError;
use crate::error::quoted;
use crate::field::Field;

/// `linux.resources.blockIO`. v1 weights are those of BFQ, the only scheduler with weights since Linux 5.0.
pub(super) fn block(resources: &Field<'_>, tree: &mut Tree<'_>) -> Result<(), PlanError> {
    let Some(block) = resources.get("blockIO")? else { return Ok(()) };
    let v1 =
        tree.dialect("blkio") == Version::V1 && !tree.facts.v2_controllers.iter().any(|name| name == "io");
    no_leaf_weight(&block)?;
    let mut writes = Writes::default();
    if let Some(weight) = weight(&block)? {
        if v1 { writes.put("blkio.bfq.weight", &weight) } else { writes.put("io.weight", &v2_weight(weight)) }
    }
    for device in block.items("weightDevice")? {
        no_leaf_weight(&device)?;
        let Some(weight) = weight(&device)? else { continue };
        let number = device_number(&device)?;
        if v1 {
            writes.put("blkio.bfq.weight_device", &format!("{number} {weight}"));
        } else {
            writes.put("io.weight", &format!("{number} {}", v2_weight(weight)));
        }
    }
    let throttles = [
        ("throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"),
        ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"),
        ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"),
        ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"),
    ];
    for (name, file, key) in throttles {
        for device in block.items(name)? {
            let number = device_number(&device)?;
            let rate: u64 = device.required("rate")?.as_number()?;
            if v1 {
                writes.put(file, &format!("{number} {rate}"));
            } else {
                let rate = if rate == 0 { "max".into() } else { rate.to_string() };
                writes.put("io.max", &format!("{number} {key}={rate}"));
            }
        }
    }
    tree.put(if v1 { "blkio" } else { "io" }, &block, writes)
}

fn weight(parent: &Field<'_>) -> Result<Option<u64>, PlanError> {
    match parent.number::<u64>("weight")? {
        None | Some(0) => Ok(None),
        Some(weight @ 10..=1000) => Ok(Some(weight)),
        Some(weight) => {
            Err(parent.required("weight")?.error(format!("{weight} is out of range: 10 to 1000")))
        }
    }
}

fn no_leaf_weight(parent: &Field<'_>) -> Result<(), PlanError> {
    match parent.number::<u64>("leafWeight")? {
        None | Some(0) => Ok(()),
        Some(_) => Err(parent.required("leafWeight")?.error("no kernel since 5.0 has leaf weights")),
    }
}

/// 10 to 1000 of v1, to 1 to 10000 of v2.
fn v2_weight(weight: u64) -> u64 {
    1 + (weight - 10) * 9999 / 990
}

fn device_number(device: &Field<'_>) -> Result<String, PlanError> {
    let major: u32 = device.required("major")?.as_number()?;
    let minor: u32 = device.required("minor")?.as_number()?;
    Ok(format!("{major}:{minor}"))
}

/// `linux.resources.hugepageLimits`: pages in use and pages reserved.
pub(super) fn hugetlb(resources: &Field<'_>, tree: &mut Tree<'_>) -> Result<(), PlanError> {
    let suffix = if tree.dialect("hugetlb") == Version::V1 { "limit_in_bytes" } else { "max" };
    for page in resources.items("hugepageLimits")? {
        let size_field = page.required("pageSize")?;
        let size = size_field.as_text()?;
        let digits = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
        if !digits
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
        {
            return Err(size_field.error(format!("want a size like 2MB, not {}", quoted(size))));
        }
        let limit: u64 = page.required("limit")?.as_number()?;
        let mut writes = Writes::default();
        writes.put(format!("hugetlb.{size}.{suffix}"), &limit);
        writes.put(format!("hugetlb.{size}.rsvd.{suffix}"), &limit);
        tree.put("hugetlb", &page, writes)?;
    }
    Ok(())
}

/// `linux.resources.rdma`.
pub(super) fn rdma(resources: &Field<'_>, tree: &mut Tree<'_>) -> Result<(), PlanError> {
    for (device, limits) in resources.members("rdma")? {
        if device.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err(limits.error("is no device name"));
        }
        let mut words = vec![device.to_owned()];
        for (name, key) in [("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object")] {
            words.extend(limits.number::<u32>(name)?.map(|limit| format!("{key}={limit}")));
        }
        let mut writes = Writes::default();
        writes.put("rdma.max", &words.join(" "));
        tree.put("rdma", &limits, writes)?;
    }
    Ok(())
}

/// `linux.resources.network`: v1 only, as eBPF replaced both controllers.
pub(super) fn network(resources: &Field<'_>, tree: &mut Tree<'_>) -> Result<(), PlanError> {
    let Some(network) = resources.get("network")? else { return Ok(()) };
    let mut class = Writes::default();
    if let Some(id) = network.number::<u32>("classID")?.filter(|id| *id != 0) {
        class.put("net_cls.classid", &id);
    }
    tree.put("net_cls", &network, class)?;
    let mut priorities = Writes::default();
    for entry in network.items("priorities")? {
        let name_field = entry.required("name")?;
        let name = name_field.as_text()?;
        if name.is_empty() || name.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err(name_field.error("is no interface name"));
        }
        let priority: u32 = entry.number("priority")?.unwrap_or(0);
        priorities.put("net_prio.ifpriomap", &format!("{name} {priority}"));
    }
    tree.put("net_prio", &network, priorities)
}

/// `linux.resources.unified`: v2 files by name. They come after all others and so win over them.
pub(super) fn unified(resources: &Field<'_>, tree: &mut Tree<'_>) -> Result<(), PlanError> {
    for (file, value) in resources.members("unified")? {
        let Some((controller, _)) = file.split_once('.').filter(|_| !file.contains('/')) else {
            return Err(value.error("want a file name like memory.high"));
        };
        if tree.version(controller) == Some(Version::V1) {
            return Err(
                value.error(format!("the controller {controller} is mounted as cgroup v1 on this host"))
            );
        }
        let mut writes = Writes::default();
        writes.put(file, &value.as_text()?);
        tree.put(controller, &value, writes)?;
    }
    Ok(())
}
