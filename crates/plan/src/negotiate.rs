//! The only judge of a guest and monitor pair.

use crate::error::excerpt;
use crate::guest::{self, Guest};
use crate::kernel::KernelFacts;
use crate::machine::{Board, BootProtocol, DeviceModel, Offers, Wants};
use crate::monitor::{self, Monitor};
use crate::{PlanError, Request};

mod kernel;
mod troubles;

pub use kernel::kernel;
pub use troubles::{TROUBLES, Trouble, troubles};

/// A guest and a monitor that fit.
#[derive(Clone, Copy)]
pub struct Pair {
    /// The guest.
    pub guest: &'static dyn Guest,
    /// The monitor.
    pub monitor: &'static dyn Monitor,
    /// How they boot.
    pub boot: BootProtocol,
    /// On which board.
    pub board: Board,
    /// What the guest can be given.
    pub wants: Wants,
    /// What the monitor gives on this board.
    pub offers: Offers,
}

impl Pair {
    /// Model of the network device: the first one of the guest's list that the monitor has.
    pub fn nic(&self) -> Option<DeviceModel> {
        first_of(self.wants.nics, self.offers.nics)
    }

    /// Model of the disk.
    pub fn disk(&self) -> Option<DeviceModel> {
        first_of(self.wants.disks, self.offers.disks)
    }
}

fn first_of<T: Copy + PartialEq>(wanted: &[T], offered: &[T]) -> Option<T> {
    wanted.iter().copied().find(|one| offered.contains(one))
}

/// Guests that images elsewhere ask for, and that are not going to be run.
pub const OUT_GUESTS: &[&str] = &["freebsd", "includeos", "nanos", "ukl"];
/// Monitors likewise.
pub const OUT_MONITORS: &[&str] = &["hedge", "hyperlight", "xen"];

/// Every guest, every monitor, and the boards on which they fit: the support table.
pub fn support() -> Vec<(&'static str, &'static str, Vec<Board>)> {
    let pairs = guest::ALL.iter().flat_map(|guest| monitor::ALL.iter().map(move |monitor| (guest, monitor)));
    pairs.map(|(guest, monitor)| (guest.name(), monitor.name(), boards(*guest, *monitor))).collect()
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
    let monitor = external(req, monitor);
    let board = board(req, guest, monitor)?;
    let (wants, offers) = (guest.wants(), monitor.offers(board));
    let known = protocols(&wants, &offers);
    let fitting = |kernel: &KernelFacts| known.iter().copied().find(|boot| kernel.entered_by(*boot));
    let boot = req.kernel.as_ref().and_then(fitting).or_else(|| known.first().copied());
    let boot = boot.ok_or_else(|| misfit(guest, monitor))?;
    let pair = Pair { guest, monitor, boot, board, wants, offers };
    storage(req, &pair)?;
    Ok(pair)
}

/// A program that the operator names takes the place of a monitor that is built in.
fn external(req: &Request, monitor: &'static dyn Monitor) -> &'static dyn Monitor {
    let named = req.settings.monitors.get(monitor.name()).is_some_and(|settings| !settings.path.is_empty());
    monitor.external().filter(|_| named).unwrap_or(monitor)
}

/// Refuses an `unikernelType` that is not in the registry.
///
/// # Errors
/// [`PlanError::Key`] with the known names.
pub fn check_guest(name: &str) -> Result<(), PlanError> {
    let known: Vec<_> = guest::ALL.iter().map(|guest| guest.name()).collect();
    check("unikernelType", name, &known, (&[], OUT_GUESTS))
}

/// Refuses a `hypervisor` that is not in the registry.
///
/// # Errors
/// [`PlanError::Key`] with the known names.
pub fn check_monitor(name: &str) -> Result<(), PlanError> {
    let known: Vec<_> = monitor::ALL.iter().map(|monitor| monitor.name()).collect();
    check("hypervisor", name, &known, (monitor::PLANNED, OUT_MONITORS))
}

fn check(
    key: &str,
    name: &str,
    registered: &[&str],
    (planned, out): (&[&str], &[&str]),
) -> Result<(), PlanError> {
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
            name if out.contains(&name) => {
                format!("{name} is not supported and not going to be; known: {known}")
            }
            name if planned.contains(&name) => format!("{name} is not built yet; known: {known}"),
            _ => format!("unknown value \"{}\"; known: {known}", excerpt(name)),
        },
    ))
}

/// Boards of the monitor on which the guest can run, in the guest's order of preference.
fn boards(guest: &dyn Guest, monitor: &dyn Monitor) -> Vec<Board> {
    let (wants, offered) = (guest.wants(), monitor.boards());
    let wanted = wants.boards.iter().copied();
    wanted
        .filter(|board| offered.contains(board) && lack(&wants, &monitor.offers(*board)).is_none())
        .collect()
}

/// Boot protocols by which the monitor can start the guest, on any board where they fit.
pub fn ways(guest: &dyn Guest, monitor: &dyn Monitor) -> Vec<BootProtocol> {
    let boards = boards(guest, monitor).into_iter();
    boards.flat_map(|board| protocols(&guest.wants(), &monitor.offers(board))).collect()
}

/// What the guest needs and the monitor does not give, in words.
fn lack(wants: &Wants, offers: &Offers) -> Option<String> {
    if protocols(wants, offers).is_empty() {
        let wanted: Vec<_> = wants.boot.iter().map(|boot| boot.describe()).collect();
        return Some(format!("boots as {}", wanted.join(" or ")));
    }
    if wants.exit_port.is_some() && !offers.exit_port {
        return Some("ends through a port of QEMU's debug-exit device".to_owned());
    }
    if !wants.nics.is_empty() && first_of(wants.nics, offers.nics).is_none() {
        let wanted: Vec<_> = wants.nics.iter().map(|model| model.describe()).collect();
        return Some(format!("takes a network device as {}", wanted.join(" or ")));
    }
    None
}

/// The board that the operator chose, or the guest's first on which this kernel is entered.
fn board(req: &Request, guest: &dyn Guest, monitor: &dyn Monitor) -> Result<Board, PlanError> {
    let fitting = boards(guest, monitor);
    let settings = req.settings.monitors.get(monitor.name());
    let chosen = settings.map_or("", |settings| settings.machine.as_str());
    if fitting.is_empty() || chosen.is_empty() {
        let entered = |board: &&Board| {
            let known = protocols(&guest.wants(), &monitor.offers(**board));
            req.kernel.as_ref().is_some_and(|kernel| known.into_iter().any(|boot| kernel.entered_by(boot)))
        };
        let board = fitting.iter().find(entered).or(fitting.first());
        return board.copied().ok_or_else(|| misfit(guest, monitor));
    }
    fitting.iter().copied().find(|board| board.name() == chosen).ok_or_else(|| {
        let why = if fitting == [Board::Own] {
            format!("{} has one machine only; remove it", monitor.name())
        } else {
            let known = names(&fitting);
            format!("{} does not run on {}; known: {known}", guest.name(), excerpt(chosen))
        };
        PlanError::Setting { key: format!("monitors.{}.machine", monitor.name()), why }
    })
}

/// Of boards that have one.
fn names(boards: &[Board]) -> String {
    let names: Vec<_> = boards.iter().map(|board| board.name()).filter(|name| !name.is_empty()).collect();
    names.join(", ")
}

fn protocols(wants: &Wants, offers: &Offers) -> Vec<BootProtocol> {
    wants.boot.iter().copied().filter(|wanted| offers.boot.contains(wanted)).collect()
}

/// The refusal of a pair: what is missing, and which monitors have it.
fn misfit(guest: &dyn Guest, monitor: &dyn Monitor) -> PlanError {
    let (name, wants) = (monitor.name(), guest.wants());
    // Of the boards that it would take.
    let wanted = |board: &&Board| wants.boards.contains(board);
    let lacks =
        monitor.boards().iter().filter(wanted).find_map(|board| lack(&wants, &monitor.offers(*board)));
    let lacks = lacks.unwrap_or_else(|| format!("has run on {} only", names(wants.boards)));
    let works = monitor::ALL.iter().filter(|other| !boards(guest, **other).is_empty());
    let works: Vec<_> = works.map(|other| other.name()).collect();
    let way = if works.is_empty() {
        "no monitor does".to_owned()
    } else {
        format!("use hypervisor {}", works.join(" or "))
    };
    PlanError::Pair { why: format!("{} {lacks}, which {name} does not offer; {way}", guest.name()) }
}

fn storage(req: &Request, pair: &Pair) -> Result<(), PlanError> {
    if req.image.mount_rootfs {
        let why = "true is not built yet; put the guest's files into an initrd or a block image";
        return Err(PlanError::key("mountRootfs", why));
    }
    let (guest, monitor) = (pair.guest.name(), pair.monitor.name());
    let initrd = pair.wants.initrd && pair.offers.initrd;
    if !req.image.initrd.is_empty() && !initrd {
        let why = format!("{guest} on {monitor} takes no initrd; remove the key initrd");
        return Err(PlanError::Pair { why });
    }
    if req.image.initrd.is_empty() && pair.wants.needs_initrd {
        let why = format!("missing; {guest} takes its application from there, binary is its loader");
        return Err(PlanError::key("initrd", why));
    }
    if !req.image.block.is_empty() && pair.disk().is_none() {
        let why = format!("{guest} on {monitor} takes no block image; remove the key block");
        return Err(PlanError::Pair { why });
    }
    Ok(())
}
