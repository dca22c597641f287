//! No monitor at all: the container's own program, in the image's own tree.

use super::{COMMON_DEVICES, Device, Monitor};
use crate::launch::{Exec, Filter, Program, Ready, Stderr};
use crate::machine::{Acceleration, Board, BootProtocol, Machine, Offers};
use crate::memory::Overhead;

/// `process`.
#[derive(Debug)]
pub(super) struct Process;

impl Monitor for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    fn offers(&self, _board: Board) -> Offers {
        Offers {
            boot: &[BootProtocol::Program],
            nics: &[],
            disks: &[],
            initrd: false,
            most_ram_mib: u64::MAX,
            most_vcpus: u32::MAX,
            vnet_hdr: false,
            exit_port: false,
        }
    }

    fn program(&self, _arch: &str) -> Option<String> {
        None
    }

    fn devices(&self, _acceleration: Acceleration) -> Vec<Device> {
        let more = [
            Device { path: "/dev/full", major: 1, minor: 7 },
            Device { path: "/dev/tty", major: 5, minor: 0 },
        ];
        COMMON_DEVICES.into_iter().chain(more).collect()
    }

    fn overhead(&self, _acceleration: Acceleration) -> Overhead {
        Overhead { fixed: 0, ram_divisor: u64::MAX }
    }

    fn filters(&self) -> Vec<Filter> {
        Vec::new()
    }

    fn render(&self, machine: &Machine<'_>) -> Exec {
        Exec::Program(Program {
            path: machine.args.first().cloned().unwrap_or_default(),
            args: machine.args.to_vec(),
            env: machine.env.to_vec(),
            cwd: machine.cwd.to_owned(),
            fds: Vec::new(),
            stderr: Stderr::Container,
            ready: Ready::Exec,
        })
    }
}
