//! The built-in Solo5 tender, target spt: an empty root, no device node, no program.

use super::{Device, Monitor};
use crate::launch::{Exec, Filter, Target, Tender};
use crate::machine::{Acceleration, Board, BootProtocol, DeviceModel, Machine, Offers};
use crate::memory::{MIB, Overhead};

/// `spt`.
#[derive(Debug)]
pub(super) struct Spt;

impl Monitor for Spt {
    fn name(&self) -> &'static str {
        "spt"
    }

    fn offers(&self, _board: Board) -> Offers {
        Offers {
            boot: &[BootProtocol::Solo5Spt],
            nics: &[DeviceModel::Solo5],
            disks: &[DeviceModel::Solo5],
            initrd: false,
            // The tender itself lies above the guest, in the same address space.
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
        Some(&super::external::SPT)
    }

    fn devices(&self, _acceleration: Acceleration) -> Vec<Device> {
        Vec::new()
    }

    /// The page tables map every page of the guest in 8 bytes; kernel stack, sockets, the root's inodes and the pages
    /// of init before it is unmapped are the fixed part.
    fn overhead(&self, _acceleration: Acceleration) -> Overhead {
        Overhead { fixed: MIB, ram_divisor: 512 }
    }

    fn filters(&self) -> Vec<Filter> {
        vec![Filter::Tender]
    }

    fn render(&self, machine: &Machine<'_>) -> Exec {
        Exec::Tender(Tender {
            target: Target::Spt,
            cmdline: machine.cmdline.clone(),
            memory_mib: machine.memory_mib,
            attach: machine.attach.clone(),
        })
    }
}
