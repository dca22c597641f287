//! The virtual machine between guest and monitor: guests never name a monitor, monitors never name a guest.

use crate::launch::{Attach, StatusMap, Tap};

/// How a kernel gets control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootProtocol {
    /// Solo5 ABI, target spt.
    Solo5Spt,
    /// Solo5 ABI, target hvt.
    Solo5Hvt,
    /// Linux/x86 boot protocol, compressed image (kernel documentation, `arch/x86/boot.rst`).
    Bzimage,
    /// Xen's PVH entry, by ELF note 18: 32-bit, no paging, a start-info structure.
    Pvh,
    /// 64-bit entry of the Linux/x86 boot protocol at the entry point of an ELF file.
    Linux64,
    /// Multiboot 1, as QEMU loads it.
    Multiboot,
    /// Linux arm64 Image (kernel documentation, `arch/arm64/booting.rst`).
    Arm64Image,
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
            Self::Bzimage => "a Linux bzImage",
            Self::Pvh => "an ELF file with a PVH entry",
            Self::Linux64 => "an uncompressed 64-bit kernel",
            Self::Multiboot => "a multiboot kernel",
            Self::Arm64Image => "a Linux arm64 Image",
            Self::Program => "an ordinary program",
        }
    }
}

/// A board: buses, interrupt controllers and firmware around the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Board {
    /// The monitor has one only.
    Own,
    /// QEMU `pc`: i440FX and PCI.
    Pc,
    /// QEMU `q35`: ICH9 and PCI Express.
    Q35,
    /// QEMU `microvm`: virtio-mmio, no PCI.
    Microvm,
    /// QEMU `virt` of aarch64.
    Virt,
}

impl Board {
    /// Value of `monitors.NAME.machine`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "",
            Self::Pc => "pc",
            Self::Q35 => "q35",
            Self::Microvm => "microvm",
            Self::Virt => "virt",
        }
    }
}

/// Model of a paravirtual device, network or block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceModel {
    /// A device of the Solo5 manifest.
    Solo5,
    /// Transitional virtio on PCI: legacy and modern drivers find it (device ids 0x1000, 0x1001).
    VirtioPci,
    /// Modern virtio on PCI (device ids 0x1041, 0x1042): drivers exist that refuse everything else.
    VirtioPciModern,
    /// Virtio on memory-mapped registers.
    VirtioMmio,
}

impl DeviceModel {
    /// The model in words, for errors.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Solo5 => "a device of the Solo5 manifest",
            Self::VirtioPci => "transitional virtio-pci",
            Self::VirtioPciModern => "modern virtio-pci",
            Self::VirtioMmio => "virtio-mmio",
        }
    }
}

/// QEMU's isa-debug-exit: the guest ends the machine by writing its status to a port; QEMU ends with `status * 2 + 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitPort {
    /// I/O port.
    pub base: u16,
    /// Width, bytes.
    pub size: u8,
    /// The monitor's exit status that means success.
    pub success: u8,
}

impl ExitPort {
    /// What the monitor's exit status says of such a guest. Where 0 on the port is not success, it is a failure.
    pub fn statuses(self) -> StatusMap {
        let mut map = StatusMap { debug_exit: true, ..StatusMap::default() };
        map.exact.insert(1, 1);
        map.exact.insert(self.success, 0);
        map
    }
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
#[expect(
    clippy::struct_excessive_bools,
    reason = "rows of a guest's table that have nothing to do with each other"
)]
pub struct Wants {
    /// Boot protocols it knows, in order of preference.
    pub boot: &'static [BootProtocol],
    /// Boards it runs on, in order of preference.
    pub boards: &'static [Board],
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
    /// What it runs is its initrd, so that it needs one.
    pub needs_initrd: bool,
    /// It crashes without a network.
    pub needs_nic: bool,
    /// Least RAM it boots with, bytes, beside what its kernel and initrd files take.
    pub least_ram: u64,
    /// RAM it is given when nobody says how much, if that is more than the usual default, bytes.
    pub usual_ram: u64,
    /// The port by which it ends the machine.
    pub exit_port: Option<ExitPort>,
}

impl Wants {
    /// Nothing: what a guest's own list is completed with.
    pub const NOTHING: Self = Self {
        boot: &[],
        boards: &[Board::Own],
        nics: &[],
        addressing: Addressing::Own,
        nameservers: false,
        disks: &[],
        initrd: false,
        needs_initrd: false,
        needs_nic: false,
        least_ram: 0,
        usual_ram: 0,
        exit_port: None,
    };
}

/// What a monitor can give on a board.
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
    /// It can have an [`ExitPort`].
    pub exit_port: bool,
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
    /// Id of the container.
    pub id: &'a str,
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
    /// The most physical address bits that its processor may have.
    pub physical_bits: Option<u8>,
    /// Buses and firmware.
    pub board: Board,
    /// Who executes.
    pub acceleration: Acceleration,
    /// An initrd is given.
    pub initrd: bool,
    /// The disk, if any: may the guest write to it?
    pub disk_writable: Option<bool>,
    /// Model of the disk.
    pub disk: DeviceModel,
    /// The connection to the container's network.
    pub tap: Option<&'a Tap>,
    /// Model of the network device.
    pub nic: DeviceModel,
    /// The host's kernel takes the frames (`/dev/vhost-net`).
    pub vhost: bool,
    /// The port by which the guest ends the machine.
    pub exit_port: Option<ExitPort>,
    /// Devices of the Solo5 manifest, all of them, in its order.
    pub attach: Vec<Attach>,
}

#[cfg(test)]
mod tests {
    use crate::guest;

    #[test]
    fn success_of_a_port_depends_on_the_guest() {
        let said = |name: &str| {
            let map = guest::find(name).unwrap().statuses();
            [0, 1, 2, 3, 85].map(|status| map.guest(status))
        };
        assert_eq!(said("hermit"), [None, Some(1), None, Some(0), Some(42)]);
        assert_eq!(said("mewz"), [None, Some(0), None, Some(1), Some(42)]);
        assert_eq!(said("linux"), [None; 5]);
    }
}
