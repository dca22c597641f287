//! Monitors: what each offers, what it needs in its jail and how its command line looks.

use crate::launch::{Exec, Filter};
use crate::machine::{Acceleration, Machine, Offers};
use crate::memory::Overhead;

mod process;
mod qemu;
mod spt;

/// A monitor; one file each, stateless.
pub trait Monitor: Sync {
    /// Value of the key `hypervisor`.
    fn name(&self) -> &'static str;
    /// What it can give.
    fn offers(&self) -> Offers;
    /// The external program on an architecture; `None`: built in.
    fn program(&self, arch: &str) -> Option<String>;
    /// It needs somebody to execute the guest: `/dev/kvm`, else emulation.
    fn accelerated(&self) -> bool {
        false
    }
    /// Why init stays beside it; `None`: init becomes it.
    fn supervised(&self) -> Option<&'static str> {
        None
    }
    /// Device nodes it opens.
    fn devices(&self, acceleration: Acceleration) -> Vec<Device>;
    /// What it needs beside the guest's RAM.
    fn overhead(&self, acceleration: Acceleration) -> Overhead;
    /// Its own system call filters, stacked on the container's profile, in the order of installation.
    fn filters(&self) -> Vec<Filter>;
    /// Its command; total, because everything in the machine was offered.
    fn render(&self, machine: &Machine<'_>) -> Exec;
}

/// Every monitor.
pub static ALL: &[&dyn Monitor] = &[&process::Process, &qemu::Qemu, &spt::Spt];

/// Names of other implementations' monitors that an image may ask for.
pub const PLANNED: &[&str] = &["cloud-hypervisor", "firecracker", "hvt", "hyperlight"];

/// The monitor of that name.
pub fn find(name: &str) -> Option<&'static dyn Monitor> {
    ALL.iter().copied().find(|monitor| monitor.name() == name)
}

/// A character device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Path on the host and in the private root.
    pub path: &'static str,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// The harmless nodes that libraries expect.
pub const COMMON_DEVICES: [Device; 4] = [
    Device { path: "/dev/null", major: 1, minor: 3 },
    Device { path: "/dev/zero", major: 1, minor: 5 },
    Device { path: "/dev/random", major: 1, minor: 8 },
    Device { path: "/dev/urandom", major: 1, minor: 9 },
];
