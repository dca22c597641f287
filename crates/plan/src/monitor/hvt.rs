//! The built-in Solo5 tender, target hvt: a virtual machine of KVM, in an empty root without a device node.

use super::{Device, Monitor};
use crate::launch::{Exec, Filter, Target, Tender};
use crate::machine::{Acceleration, Board, BootProtocol, DeviceModel, Machine, Offers};
use crate::memory::{MIB, Overhead};

/// `hvt`.
#[derive(Debug)]
pub(super) struct Hvt;

impl Monitor for Hvt {
    fn name(&self) -> &'static str {
        "hvt"
    }

    fn offers(&self, _board: Board) -> Offers {
        Offers {
            boot: &[BootProtocol::Solo5Hvt],
            nics: &[DeviceModel::Solo5],
            disks: &[DeviceModel::Solo5],
            initrd: false,
            // What the ABI's page tables map.
            most_ram_mib: 4096,
            most_vcpus: 1,
            vnet_hdr: false,
            exit_port: false,
        }
    }

    fn program(&self, _arch: &str) -> Option<String> {
        None
    }

    fn external(&self) -> Option<&'static dyn Monitor> {
        Some(&super::external::HVT)
    }

    fn accelerated(&self) -> bool {
        true
    }

    fn needs_kvm(&self) -> bool {
        true
    }

    /// The ABI's page tables map pages of 2 MiB.
    fn ram_step_mib(&self) -> u64 {
        2
    }

    /// `create` opens `/dev/kvm` for the monitor.
    fn devices(&self, _acceleration: Acceleration) -> Vec<Device> {
        Vec::new()
    }

    /// Fixed: the runtime's pages, which stay mapped, and the machine. For each page of the guest: an entry of this
    /// process's page tables, one of the machine's, and where the machine has it mapped, 8 bytes each.
    fn overhead(&self, _acceleration: Acceleration) -> Overhead {
        Overhead { fixed: 3 * MIB, ram_divisor: 170 }
    }

    fn filters(&self) -> Vec<Filter> {
        vec![Filter::Tender]
    }

    fn render(&self, machine: &Machine<'_>) -> Exec {
        Exec::Tender(Tender {
            target: Target::Hvt,
            cmdline: machine.cmdline.clone(),
            memory_mib: machine.memory_mib,
            attach: machine.attach.clone(),
        })
    }
}
