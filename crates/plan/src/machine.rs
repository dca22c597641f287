//! The virtual machine between guest and monitor: guests never name a monitor, monitors never name a guest.

use crate::launch::{Attach, Tap};

/// How a kernel gets control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootProtocol {
    /// Solo5 ABI, target spt.
    Solo5Spt,
    /// Solo5 ABI, target hvt.
    Solo5Hvt,
    /// Linux boot protocol or PVH: kernel, initrd, one command line.
    Linux,
    /// No kernel at all: an ordinary program of the image.
    Program,
}

impl BootProtocol {
    /// A Solo5 image, which the built-in monitor runs.
    pub fn is_solo5(self) -> bool {
        matches!(self, Self::Solo5Spt | Self::Solo5Hvt)
    }

    /// The protocol in words, for errors.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Solo5Spt => "a Solo5 spt image",
            Self::Solo5Hvt => "a Solo5 hvt image",
            Self::Linux => "a Linux kernel",
            Self::Program => "an ordinary program",
        }
    }
}

/// Model of a paravirtual device, network or block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceModel {
    /// A device of the Solo5 manifest.
    Solo5,
    /// Modern virtio on PCI (device ids 0x1041, 0x1042).
    VirtioPci,
}

/// How a guest is told its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// Not by us.
    Own,
    /// Address, prefix length and a gateway anywhere on the link.
    AnyGateway,
    /// Address, prefix length and a gateway of the same subnet.
    GatewayInSubnet,
}

/// What a guest can be given, in order of preference.
#[derive(Debug, Clone, Copy)]
pub struct Wants {
    /// Boot protocols it knows.
    pub boot: &'static [BootProtocol],
    /// Network device models it drives; empty: it has no network.
    pub nics: &'static [DeviceModel],
    /// How it is told its addresses.
    pub addressing: Addressing,
    /// It is told nameservers.
    pub nameservers: bool,
    /// Block device models it drives.
    pub disks: &'static [DeviceModel],
    /// It takes an initrd.
    pub initrd: bool,
    /// Least RAM it boots with, bytes, beside what its kernel and initrd files take.
    pub least_ram: u64,
}

/// What a monitor can give.
#[derive(Debug, Clone, Copy)]
pub struct Offers {
    /// Boot protocols.
    pub boot: &'static [BootProtocol],
    /// Network device models.
    pub nics: &'static [DeviceModel],
    /// Block device models.
    pub disks: &'static [DeviceModel],
    /// It loads an initrd.
    pub initrd: bool,
    /// Most RAM, MiB.
    pub most_ram_mib: u64,
    /// Most virtual CPUs.
    pub most_vcpus: u32,
    /// Its tap carries a virtio-net header.
    pub vnet_hdr: bool,
}

/// Who executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceleration {
    /// The CPU itself, as a process.
    None,
    /// The CPU in guest mode through `/dev/kvm`.
    Kvm,
    /// Translation by the monitor.
    Emulation,
}

/// A decided machine; a monitor renders it without a further decision.
#[derive(Debug, Clone)]
pub struct Machine<'a> {
    /// The monitor's program on the host; empty for built-in monitors.
    pub program: &'a str,
    /// Directory of firmware.
    pub data: &'a str,
    /// Kernel command line.
    pub cmdline: String,
    /// The command itself, for [`BootProtocol::Program`].
    pub args: &'a [String],
    /// Environment, for [`BootProtocol::Program`].
    pub env: &'a [String],
    /// Working directory, for [`BootProtocol::Program`].
    pub cwd: &'a str,
    /// RAM, MiB.
    pub memory_mib: u64,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Who executes.
    pub acceleration: Acceleration,
    /// An initrd is given.
    pub initrd: bool,
    /// The disk, if any: may the guest write to it?
    pub disk_writable: Option<bool>,
    /// The connection to the container's network.
    pub tap: Option<&'a Tap>,
    /// Devices of the Solo5 manifest, all of them, in its order.
    pub attach: Vec<Attach>,
}
