//! A plain Solo5 guest: its command line is the command, words joined with single spaces.

use super::{Boot, Guest};
use crate::PlanError;
use crate::cmdline::{self, Line};
use crate::machine::{Board, BootProtocol, DeviceModel, Wants};

/// Options of Solo5's own start-up code (`bindings/cmdline.c`): how much it prints.
const LOG_OPTIONS: [&str; 5] =
    ["--solo5:quiet", "--solo5:error", "--solo5:warn", "--solo5:info", "--solo5:debug"];

/// Of a tender, or of a machine for target virtio, whose drivers know legacy devices.
pub(super) const DEVICES: &[DeviceModel] = &[DeviceModel::Solo5, DeviceModel::VirtioPci];

/// Splits the command into leading log options and the rest. Solo5 knows them at the head of the line only: behind
/// what a guest kind puts in front of the command, they would be strange options to the guest.
pub(super) fn log_options(args: &[String]) -> (&[String], &[String]) {
    let other = args.iter().position(|word| !LOG_OPTIONS.contains(&word.as_str()));
    args.split_at(other.unwrap_or(args.len()))
}

/// `solo5`.
#[derive(Debug)]
pub(super) struct Solo5;

impl Guest for Solo5 {
    fn name(&self) -> &'static str {
        "solo5"
    }

    fn wants(&self) -> Wants {
        Wants {
            boot: &[BootProtocol::Solo5Spt, BootProtocol::Solo5Hvt, BootProtocol::Multiboot],
            boards: &[Board::Own, Board::Pc, Board::Q35],
            nics: DEVICES,
            disks: DEVICES,
            // The stack starts at the end of memory.
            least_ram: 64 << 10,
            ..Wants::NOTHING
        }
    }

    fn cmdline(&self, boot: &Boot<'_>) -> Result<String, PlanError> {
        let mut line = Line::new(cmdline::SOLO5_LIMIT);
        line.words(boot.args)?;
        line.finish()
    }
}
