//! The kernel file against what is said of it, and against what boots it.

use super::{Pair, protocols};
use crate::error::excerpt;
use crate::kernel::{KernelFacts, KernelFormat};
use crate::machine::BootProtocol;
use crate::solo5::{TARGET_HVT, TARGET_SPT};
use crate::{HostFacts, PlanError, Request};

/// Checks that the kernel file is what the boot protocol needs, on this host's architecture.
///
/// # Errors
/// [`PlanError::File`] naming the key and the path.
pub fn kernel(req: &Request, host: &HostFacts, pair: &Pair) -> Result<(), PlanError> {
    let boot = pair.boot;
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
    if let Some(why) = contradiction(facts, pair) {
        return refuse(why);
    }
    match boot {
        BootProtocol::Solo5Spt => solo5(facts, host, ("spt", TARGET_SPT)).or_else(refuse)?,
        BootProtocol::Solo5Hvt => solo5(facts, host, ("hvt", TARGET_HVT)).or_else(refuse)?,
        boot if !facts.entered_by(boot) => {
            let known = protocols(&pair.wants, &pair.offers);
            let known: Vec<_> = known.into_iter().map(BootProtocol::describe).collect();
            let (found, monitor) = (found(facts), pair.monitor.name());
            return refuse(format!("{found}, and {monitor} loads {}", known.join(" or ")));
        }
        _ => {}
    }
    // A processor of x86_64 begins with 32 bits.
    let early = matches!(boot, BootProtocol::Multiboot | BootProtocol::Pvh);
    let built_for = if facts.machine == "i386" && early { "x86_64" } else { &facts.machine };
    if built_for != host.arch {
        return refuse(format!("built for {}, this host is {}", excerpt(&facts.machine), host.arch));
    }
    Ok(())
}

/// What the file says of itself against what the image says of it.
fn contradiction(facts: &KernelFacts, pair: &Pair) -> Option<String> {
    let declared = pair.guest.name();
    if facts.hermit {
        return Some("an application of hermit; binary is its loader, initrd the application".to_owned());
    }
    if !facts.guest.is_empty() && facts.guest != declared {
        return Some(format!("a kernel of {}, unikernelType says {declared}", excerpt(&facts.guest)));
    }
    let of_solo5 = pair.wants.boot.contains(&BootProtocol::Solo5Spt);
    match (&facts.solo5, of_solo5) {
        (Some(_), false) => Some(format!("{}, unikernelType says {declared}", found(facts))),
        (None, true) => Some(format!("no Solo5 ABI note: {}", found(facts))),
        _ => None,
    }
}

/// Why a kernel is no image for this target of Solo5 and this host.
fn solo5(facts: &KernelFacts, host: &HostFacts, (name, number): (&str, u32)) -> Result<(), String> {
    let Some(image) = &facts.solo5 else {
        return Err(format!("no Solo5 ABI note: {}", found(facts)));
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

fn found(facts: &KernelFacts) -> String {
    if let Some(image) = &facts.solo5 {
        return format!("a Solo5 image for target {}", target(image.target));
    }
    match facts.format {
        KernelFormat::Unknown => "not even ELF",
        KernelFormat::Elf64 => "a 64-bit ELF file",
        KernelFormat::Elf32 => "a 32-bit ELF file",
        KernelFormat::Bzimage => "a Linux bzImage",
        KernelFormat::Arm64Image => "a Linux arm64 Image",
    }
    .to_owned()
}
