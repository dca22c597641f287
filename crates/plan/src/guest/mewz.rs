//! Mewz: its address and gateway, and nothing else; the program and its files are linked into the kernel.

use super::{Boot, Guest, no_ipv6};
use crate::PlanError;
use crate::cmdline::{self, Line};
use crate::machine::{Addressing, Board, BootProtocol, DeviceModel, ExitPort, Wants};
use crate::memory::MIB;

/// `mewz`.
#[derive(Debug)]
pub(super) struct Mewz;

impl Guest for Mewz {
    fn name(&self) -> &'static str {
        "mewz"
    }

    fn wants(&self) -> Wants {
        Wants {
            boot: &[BootProtocol::Multiboot],
            boards: &[Board::Pc, Board::Q35],
            // A device with a legacy face is a panic.
            nics: &[DeviceModel::VirtioPciModern],
            addressing: Addressing::GatewayInSubnet,
            needs_nic: true,
            // With less it ends in a triple fault, without a word; its documentation asks for 512 MiB.
            least_ram: 384 * MIB,
            usual_ram: 512 * MIB,
            exit_port: Some(ExitPort { base: 0x501, size: 2, success: 1 }),
            ..Wants::NOTHING
        }
    }

    /// The line ends with a blank, as that of every other runtime.
    fn cmdline(&self, boot: &Boot<'_>) -> Result<String, PlanError> {
        let Some(ipv4) = boot.ipv4() else {
            no_ipv6("mewz", boot)?;
            return Ok(String::new());
        };
        let Some(gateway) = ipv4.gateway else {
            let why = format!("mewz needs a gateway, {} has none", ipv4.address);
            return Err(PlanError::Network { why });
        };
        let mut line = Line::new(cmdline::MULTIBOOT_LIMIT);
        line.word(&format!("ip={}/{}", ipv4.address, ipv4.prefix))?;
        line.word(&format!("gateway={gateway}"))?;
        line.word("")?;
        line.finish()
    }
}
