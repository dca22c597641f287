//! A plain Solo5 guest: its command line is the command, words joined with single spaces.

use super::{Boot, Guest};
use crate::PlanError;
use crate::cmdline::{self, Line};
use crate::machine::{BootProtocol, DeviceModel, Wants};

/// `solo5`.
#[derive(Debug)]
pub(super) struct Solo5;

impl Guest for Solo5 {
    fn name(&self) -> &'static str {
        "solo5"
    }

    fn wants(&self) -> Wants {
        Wants {
            boot: &[BootProtocol::Solo5Spt],
            nics: &[DeviceModel::Solo5],
            disks: &[DeviceModel::Solo5],
            initrd: false,
            // The stack starts at the end of memory.
            least_ram: 64 << 10,
        }
    }

    fn cmdline(&self, boot: &Boot<'_>) -> Result<String, PlanError> {
        let mut line = Line::new(cmdline::SOLO5_LIMIT);
        line.words(boot.args)?;
        line.finish()
    }
}
