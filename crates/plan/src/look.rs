//! Look into the kernel: what nobody stated is read from the file, and of the monitors that can run it the one is taken
//! that is preferred and here.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::error::{excerpt, quoted};
use crate::guest;
use crate::input::{ImageKeys, KvmFacts};
use crate::kernel::KernelFacts;
use crate::machine::BootProtocol;
use crate::{PlanError, monitor, negotiate};

/// Where image tools put a kernel, and beside it an initrd.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The kernel.
    pub kernel: &'static str,
    /// The initrd, if there is one.
    pub initrd: &'static str,
}

/// Those of bunny's images, and of Unikraft's catalogue.
pub const PLACES: [Place; 2] = [
    Place { kernel: "/.boot/kernel", initrd: "/.boot/rootfs" },
    Place { kernel: "/unikraft/bin/kernel", initrd: "/unikraft/bin/initrd" },
];

/// Names monitors in the order in which they are to be tried, separated by commas; for those who make containers.
pub const PREFERENCE: &str = "com.urunc.monitor.preference";

/// Monitors in order, when nobody prefers one: those that need no program, then the one that runs most guests.
const ORDER: [&str; 5] = ["spt", "hvt", "qemu", "firecracker", "cloud-hypervisor"];

/// What an initrd's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initrd {
    /// A cpio archive, or a compressed one.
    Archive,
    /// An application of Hermit's.
    Hermit,
    /// Something else, a file system for example.
    Other,
}

impl Initrd {
    /// Reads them.
    pub fn of(head: &[u8]) -> Self {
        const ARCHIVES: [&[u8]; 8] = [
            b"070701",
            b"070702",
            b"\x1f\x8b",
            b"\xfd7zXZ\0",
            b"\x28\xb5\x2f\xfd",
            b"BZh",
            b"\x5d\0\0",
            b"\x02\x21\x4c\x18",
        ];
        match head {
            [0x7f, b'E', b'L', b'F', _, _, _, 255, ..] => Self::Hermit,
            head if ARCHIVES.iter().any(|magic| head.starts_with(magic)) => Self::Archive,
            _ => Self::Other,
        }
    }
}

/// Monitors in order of preference: the annotation's, then the operator's.
///
/// # Errors
/// A name that is no monitor's.
pub fn preference(
    annotations: &BTreeMap<String, String>,
    settings: &[String],
) -> Result<Vec<String>, PlanError> {
    let stated = annotations.get(PREFERENCE).map_or("", String::as_str);
    let stated = stated.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut order = Vec::new();
    for name in stated {
        check_name(name).map_err(|why| PlanError::config(format!("annotations.{PREFERENCE}"), why))?;
        order.push(name.to_owned());
    }
    order.extend(settings.iter().cloned());
    Ok(order)
}

/// Can this name stand in a preference? Those of monitors that are not built yet can.
///
/// # Errors
/// Why not.
pub fn check_name(name: &str) -> Result<(), String> {
    let known = monitor::ALL.iter().any(|one| one.name() == name) && name != "process";
    if known || monitor::PLANNED.contains(&name) {
        return Ok(());
    }
    Err(format!("{} is no monitor", quoted(name)))
}

/// Does the file say by itself what it is? If no key does, this decides between a unikernel and a container.
pub fn tells(kernel: &KernelFacts) -> bool {
    kernel.broken.is_none() && (!kernel.guest.is_empty() || kernel.solo5.is_some() || kernel.multiboot)
}

/// Completes `unikernelType`, and `initrd` where the image has it beside its kernel.
///
/// # Errors
/// The file is broken, or does not say what it is.
pub fn complete(
    keys: &mut ImageKeys,
    kernel: &KernelFacts,
    beside: Option<(Place, Initrd)>,
) -> Result<(), PlanError> {
    if let Some(why) = &kernel.broken {
        return Err(PlanError::File { file: format!("binary {}", excerpt(&keys.binary)), why: why.clone() });
    }
    let hermit = beside.is_some_and(|(_, initrd)| initrd == Initrd::Hermit);
    if keys.guest.is_empty() {
        let (name, mark) = kind(kernel, hermit).ok_or_else(|| unknown(keys, kernel))?;
        name.clone_into(&mut keys.guest);
        keys.found.insert("unikernelType".to_owned(), format!("{name}, {mark}"));
    }
    let wants = guest::find(&keys.guest).map(guest::Guest::wants);
    let takes = wants.is_some_and(|wants| wants.initrd && (hermit || !wants.needs_initrd));
    if let Some((place, initrd)) = beside.filter(|(_, initrd)| takes && *initrd != Initrd::Other)
        && keys.initrd.is_empty()
        && keys.block.is_empty()
        && (initrd == Initrd::Hermit) == (keys.guest == "hermit")
    {
        place.initrd.clone_into(&mut keys.initrd);
        keys.found.insert("initrd".to_owned(), format!("{}, beside the kernel", place.initrd));
    }
    Ok(())
}

/// The guest kind, and what says so.
fn kind(kernel: &KernelFacts, hermit: bool) -> Option<(&str, &'static str)> {
    if let Some(image) = &kernel.solo5 {
        let names: Vec<_> = image.devices.iter().map(|device| device.name.as_str()).collect();
        let any = |usual: [&str; 2]| names.iter().any(|name| usual.contains(name));
        return Some(match () {
            () if any(["tap", "rootfs"]) => ("rumprun", "by the device names of its manifest"),
            () if any(["service", "storage"]) => ("mirage", "by the device names of its manifest"),
            () => ("solo5", "by its ABI note"),
        });
    }
    if !kernel.guest.is_empty() {
        return Some((&kernel.guest, "by the marks of the kernel file"));
    }
    (kernel.multiboot && hermit).then_some(("hermit", "by the application beside its loader"))
}

fn unknown(keys: &ImageKeys, kernel: &KernelFacts) -> PlanError {
    let known: Vec<_> =
        guest::ALL.iter().map(|guest| guest.name()).filter(|name| *name != "process").collect();
    let what =
        if kernel.hermit { "is an application of hermit without its loader" } else { "does not say it" };
    let why = format!("missing, and the kernel {} {what}; known: {}", quoted(&keys.binary), known.join(", "));
    PlanError::key("unikernelType", why)
}

/// Monitors that can load this kernel for this guest, in order of preference.
pub fn candidates(keys: &ImageKeys, kernel: &KernelFacts, preference: &[String]) -> Vec<&'static str> {
    let Some(guest) = guest::find(&keys.guest) else { return Vec::new() };
    let loads = |monitor: &&&dyn monitor::Monitor| {
        let entered = |boot: BootProtocol| boot != BootProtocol::Program && kernel.entered_by(boot);
        negotiate::ways(guest, **monitor).into_iter().any(entered)
    };
    let mut names: Vec<_> = monitor::ALL.iter().filter(loads).map(|monitor| monitor.name()).collect();
    let place = |name: &&str| {
        let preferred = preference.iter().position(|one| one == name).unwrap_or(preference.len());
        (preferred, ORDER.iter().position(|one| one == name).unwrap_or(ORDER.len()))
    };
    names.sort_by_key(place);
    names
}

/// Completes `hypervisor` with the first of the candidates that is here: first of those that need no `/dev/kvm` or have a
/// good one, then of those that have any; if the one that is left has none, the plan says so. The host is asked for its
/// KVM only where that decides.
///
/// # Errors
/// None of them is, or there is none.
pub fn choose(
    keys: &mut ImageKeys,
    candidates: &[&'static str],
    preferred: bool,
    (here, kvm): (impl Fn(&str) -> bool, impl Fn() -> KvmFacts),
) -> Result<(), PlanError> {
    let found = OnceCell::new();
    let runs = |name: &str, enough: fn(KvmFacts) -> bool| {
        let needs = monitor::find(name).is_some_and(monitor::Monitor::needs_kvm);
        here(name) && (!needs || enough(*found.get_or_init(&kvm)))
    };
    let bars: [fn(KvmFacts) -> bool; 3] =
        [|kvm| kvm == KvmFacts::Usable, |kvm| kvm == KvmFacts::Emulated, |_| true];
    let first = |bar| candidates.iter().copied().find(|name| runs(name, bar));
    let Some(name) = bars.into_iter().find_map(first) else {
        let why = match candidates {
            [] => format!("missing, and no monitor loads this kernel for {}", keys.guest),
            names => format!("missing, and this host has none of {}", names.join(", ")),
        };
        return Err(PlanError::key("hypervisor", why));
    };
    let order = if preferred { "preference" } else { "usual order" };
    let text = match candidates {
        [_] => format!("{name}, the only monitor that loads this kernel"),
        names => format!("{name}, the first in {order} that is here of {}", names.join(", ")),
    };
    name.clone_into(&mut keys.monitor);
    keys.found.insert("hypervisor".to_owned(), text);
    Ok(())
}
