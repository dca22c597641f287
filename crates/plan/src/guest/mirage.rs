//! MirageOS: options of the functoria command line before the application's own.

use super::{Boot, Guest, solo5};
use crate::PlanError;
use crate::cmdline::{self, Line};
use crate::machine::{BootProtocol, DeviceModel, Wants};
use crate::memory::MIB;

/// `mirage`.
#[derive(Debug)]
pub(super) struct Mirage;

impl Guest for Mirage {
    fn name(&self) -> &'static str {
        "mirage"
    }

    fn wants(&self) -> Wants {
        Wants {
            boot: &[BootProtocol::Solo5Spt],
            nics: &[DeviceModel::Solo5],
            disks: &[DeviceModel::Solo5],
            initrd: false,
            least_ram: MIB,
        }
    }

    fn cmdline(&self, boot: &Boot<'_>) -> Result<String, PlanError> {
        let (log, args) = solo5::log_options(boot.args);
        let mut line = Line::new(cmdline::SOLO5_LIMIT);
        line.words(log)?;
        if let Some(ipv4) = boot.ipv4() {
            line.word(&format!("--ipv4={}/{}", ipv4.address, ipv4.prefix))?;
            if let Some(gateway) = ipv4.gateway {
                line.word(&format!("--ipv4-gateway={gateway}"))?;
            }
        }
        line.words(args)?;
        line.finish()
    }
}
