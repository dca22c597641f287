//! The only judge of a guest and monitor pair.

use crate::error::excerpt;
use crate::guest::{self, Guest};
use crate::kernel::{KernelFacts, KernelFormat};
use crate::machine::BootProtocol;
use crate::monitor::{self, Monitor};
use crate::solo5::{TARGET_HVT, TARGET_SPT};
use crate::{HostFacts, PlanError, Request};

/// A guest and a monitor that fit.
#[derive(Clone, Copy)]
pub struct Pair {
    /// The guest.
    pub guest: &'static dyn Guest,
    /// The monitor.
    pub monitor: &'static dyn Monitor,
    /// How they boot.
    pub boot: BootProtocol,
}

/// Every guest, every monitor, and whether they fit: the support table.
pub fn support() -> Vec<(&'static str, &'static str, bool)> {
    let pairs = guest::ALL.iter().flat_map(|guest| monitor::ALL.iter().map(move |monitor| (guest, monitor)));
    pairs
        .map(|(guest, monitor)| (guest.name(), monitor.name(), protocol(*guest, *monitor).is_some()))
        .collect()
}

/// The pair that the request asks for.
///
/// # Errors
/// Unknown names, names that are known but not built yet, and guests whose needs the monitor lacks.
pub fn pair(req: &Request) -> Result<Pair, PlanError> {
    let (guest, monitor) = if req.image.guest.is_empty() && req.settings.delegate == "process" {
        ("process", "process")
    } else {
        check_guest(&req.image.guest)?;
        check_monitor(&req.image.monitor)?;
        (req.image.guest.as_str(), req.image.monitor.as_str())
    };
    let (Some(guest), Some(monitor)) = (guest::find(guest), monitor::find(monitor)) else {
        return Err(PlanError::key("unikernelType", "unknown"));
    };
    let boot = protocol(guest, monitor).ok_or_else(|| misfit(guest, monitor))?;
    storage(req, guest, monitor)?;
    Ok(Pair { guest, monitor, boot })
}

/// Refuses an `unikernelType` that is not in the registry.
///
/// # Errors
/// [`PlanError::Key`] with the known names.
pub fn check_guest(name: &str) -> Result<(), PlanError> {
    let known: Vec<_> = guest::ALL.iter().map(|guest| guest.name()).collect();
    check("unikernelType", name, &known, guest::PLANNED)
}

/// Refuses a `hypervisor` that is not in the registry.
///
/// # Errors
/// [`PlanError::Key`] with the known names.
pub fn check_monitor(name: &str) -> Result<(), PlanError> {
    let known: Vec<_> = monitor::ALL.iter().map(|monitor| monitor.name()).collect();
    check("hypervisor", name, &known, monitor::PLANNED)
}

fn check(key: &str, name: &str, registered: &[&str], planned: &[&str]) -> Result<(), PlanError> {
    // `process` runs programs of the image on the host: an operator may choose that, an image may not.
    let known: Vec<_> = registered.iter().copied().filter(|known| *known != "process").collect();
    if known.contains(&name) {
        return Ok(());
    }
    let known = known.join(", ");
    Err(PlanError::key(
        key,
        match name {
            "" => format!("missing; known: {known}"),
            name if planned.contains(&name) => format!("{name} is not built yet; known: {known}"),
            _ => format!("unknown value \"{}\"; known: {known}", excerpt(name)),
        },
    ))
}

fn protocol(guest: &dyn Guest, monitor: &dyn Monitor) -> Option<BootProtocol> {
    let offered = monitor.offers().boot;
    guest.wants().boot.iter().copied().find(|wanted| offered.contains(wanted))
}

fn misfit(guest: &dyn Guest, monitor: &dyn Monitor) -> PlanError {
    let wanted: Vec<_> = guest.wants().boot.iter().map(|boot| boot.describe()).collect();
    let works = monitor::ALL.iter().filter(|other| protocol(guest, **other).is_some());
    let works: Vec<_> = works.map(|other| other.name()).collect();
    let why = format!(
        "{} boots as {}, which {} does not offer; use hypervisor {}",
        guest.name(),
        wanted.join(" or "),
        monitor.name(),
        works.join(" or ")
    );
    PlanError::Pair { why }
}

fn storage(req: &Request, guest: &dyn Guest, monitor: &dyn Monitor) -> Result<(), PlanError> {
    if req.image.mount_rootfs {
        let why = "true is not built yet; put the guest's files into an initrd or a block image";
        return Err(PlanError::key("mountRootfs", why));
    }
    let (wants, offers) = (guest.wants(), monitor.offers());
    let initrd = wants.initrd && offers.initrd;
    if !req.image.initrd.is_empty() && !initrd {
        let why = format!("{} on {} takes no initrd; remove the key initrd", guest.name(), monitor.name());
        return Err(PlanError::Pair { why });
    }
    let disks = wants.disks.iter().any(|model| offers.disks.contains(model));
    if !req.image.block.is_empty() && !disks {
        let why =
            format!("{} on {} takes no block image; remove the key block", guest.name(), monitor.name());
        return Err(PlanError::Pair { why });
    }
    Ok(())
}

/// Checks that the kernel file is what the boot protocol needs, on this host's architecture.
///
/// # Errors
/// [`PlanError::File`] naming the key and the path.
pub fn kernel(req: &Request, host: &HostFacts, boot: BootProtocol) -> Result<(), PlanError> {
    if boot == BootProtocol::Program {
        return Ok(());
    }
    let refuse =
        |why: String| Err(PlanError::File { file: format!("binary {}", excerpt(&req.image.binary)), why });
    let Some(facts) = &req.kernel else {
        return refuse("was not read".to_owned());
    };
    if let Some(why) = &facts.broken {
        return refuse(why.clone());
    }
    match boot {
        BootProtocol::Solo5Spt => solo5(facts, host, ("spt", TARGET_SPT)).or_else(refuse)?,
        BootProtocol::Solo5Hvt => solo5(facts, host, ("hvt", TARGET_HVT)).or_else(refuse)?,
        BootProtocol::Linux if facts.format == KernelFormat::Unknown => {
            return refuse("neither a bzImage nor ELF".to_owned());
        }
        BootProtocol::Linux | BootProtocol::Program => {}
    }
    // A 32-bit multiboot kernel is an x86_64 kernel for QEMU.
    let built_for =
        if facts.machine == "i386" && boot == BootProtocol::Linux { "x86_64" } else { &facts.machine };
    if built_for != host.arch {
        return refuse(format!("built for {}, this host is {}", excerpt(&facts.machine), host.arch));
    }
    Ok(())
}

/// Why a kernel is no image for this target of Solo5 and this host.
fn solo5(facts: &KernelFacts, host: &HostFacts, (name, number): (&str, u32)) -> Result<(), String> {
    let Some(image) = &facts.solo5 else {
        return Err(format!("not a Solo5 image: {}", found(facts.format)));
    };
    if image.target != number {
        let way_out = match image.target {
            TARGET_HVT => "; use hypervisor hvt",
            TARGET_SPT => "; use hypervisor spt",
            _ => "",
        };
        let built_for = target(image.target);
        return Err(format!("built for Solo5 target {built_for}, {name} needs {number}{way_out}"));
    }
    if !matches!(image.version, 1 | 2) {
        return Err(format!("Solo5 {name} ABI {}, supported are 1 and 2", image.version));
    }
    if machine(image.machine) != Some(host.arch.as_str()) {
        return Err(format!("ELF machine {} is not this host's, {}", image.machine, host.arch));
    }
    Ok(())
}

/// The architecture of an ELF machine number, of those Solo5 runs on.
fn machine(number: u16) -> Option<&'static str> {
    match number {
        62 => Some("x86_64"),
        183 => Some("aarch64"),
        _ => None,
    }
}

fn target(number: u32) -> String {
    let name = match number {
        TARGET_HVT => "hvt",
        TARGET_SPT => "spt",
        3 => "virtio",
        4 => "muen",
        6 => "xen",
        _ => return number.to_string(),
    };
    format!("{number} ({name})")
}

fn found(format: KernelFormat) -> &'static str {
    match format {
        KernelFormat::Unknown => "not even ELF",
        KernelFormat::Elf64 => "an ELF file without a Solo5 ABI note",
        KernelFormat::Elf32 => "a 32-bit ELF file",
        KernelFormat::Bzimage => "a Linux bzImage",
        KernelFormat::Arm64Image => "a Linux arm64 Image",
    }
}
