//! Monitors: what each offers, what it needs in its jail and how its command line looks.

use crate::PlanError;
use crate::input::MonitorFacts;
use crate::launch::{Exec, Filter, Root, Voice};
use crate::machine::{Acceleration, Board, Machine, Offers};
use crate::memory::Overhead;

mod external;

registry! { Monitor:
    cloud_hypervisor::CloudHypervisor,
    firecracker::Firecracker,
    hvt::Hvt,
    process::Process,
    qemu::Qemu,
    spt::Spt,
}

/// A monitor; one file each, stateless.
pub trait Monitor: Sync {
    /// Value of the key `hypervisor`.
    fn name(&self) -> &'static str;
    /// Its boards.
    fn boards(&self) -> &'static [Board] {
        &[Board::Own]
    }
    /// What it can give on one of its boards.
    fn offers(&self, board: Board) -> Offers;
    /// The external program on an architecture; `None`: built in.
    fn program(&self, arch: &str) -> Option<String>;
    /// Who runs instead when the operator names a program of this monitor's, which is built in.
    fn external(&self) -> Option<&'static dyn Monitor> {
        None
    }
    /// It needs somebody to execute the guest: `/dev/kvm`, else emulation.
    fn accelerated(&self) -> bool {
        false
    }
    /// It runs no guest without `/dev/kvm`.
    fn needs_kvm(&self) -> bool {
        false
    }
    /// It opens the tap by its name, and needs nobody else to hold it.
    fn opens_tap(&self) -> bool {
        false
    }
    /// It can leave the guest's frames to the host's kernel.
    fn has_vhost(&self) -> bool {
        false
    }
    /// Refuses what its program would refuse, or silently leave out, after the start.
    ///
    /// # Errors
    /// The input to change.
    fn check(&self, _machine: &Machine<'_>) -> Result<(), PlanError> {
        Ok(())
    }
    /// RAM comes in multiples of so many MiB.
    fn ram_step_mib(&self) -> u64 {
        1
    }
    /// Adds its own files to the private root.
    fn furnish(&self, _machine: &Machine<'_>, _root: &mut Root) {}
    /// What an operator should know of this build of the program.
    fn remark(&self, _facts: &MonitorFacts) -> Option<String> {
        None
    }
    /// Why init stays beside it; `None`: init becomes it.
    fn supervised(&self) -> Option<&'static str> {
        None
    }
    /// How init learns of the guest from it, and has the guest stopped.
    fn voice(&self) -> Voice {
        Voice::Status
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

/// Names of other implementations' monitors that an image may ask for.
pub const PLANNED: &[&str] = &["hyperlight"];

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

/// Hardware virtualization, whose monitors open it.
const KVM: Device = Device { path: "/dev/kvm", major: 10, minor: 232 };

/// Where taps come from; a tap of one's own name and owner can be opened without a capability.
const TUN: Device = Device { path: "/dev/net/tun", major: 10, minor: 200 };

/// The kernel's own virtio-net, of those who are told to use it.
pub const VHOST_NET: Device = Device { path: "/dev/vhost-net", major: 10, minor: 238 };

/// The harmless nodes that libraries expect.
pub const COMMON_DEVICES: [Device; 4] = [
    Device { path: "/dev/null", major: 1, minor: 3 },
    Device { path: "/dev/zero", major: 1, minor: 5 },
    Device { path: "/dev/random", major: 1, minor: 8 },
    Device { path: "/dev/urandom", major: 1, minor: 9 },
];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
