//! Hermit: the kernel file is its loader, the application is the initrd. Words are split as a shell does.

use super::{Boot, Guest, no_ipv6};
use crate::PlanError;
use crate::cmdline::{self, Line};
use crate::error::excerpt;
use crate::machine::{Addressing, Board, BootProtocol, DeviceModel, ExitPort, Wants};
use crate::memory::MIB;

/// `hermit`.
#[derive(Debug)]
pub(super) struct Hermit;

impl Guest for Hermit {
    fn name(&self) -> &'static str {
        "hermit"
    }

    fn wants(&self) -> Wants {
        Wants {
            boot: &[BootProtocol::Multiboot],
            boards: &[Board::Pc, Board::Q35],
            // It ends when it sees a device with a legacy face.
            nics: &[DeviceModel::VirtioPciModern],
            addressing: Addressing::GatewayInSubnet,
            initrd: true,
            needs_initrd: true,
            least_ram: 32 * MIB,
            exit_port: Some(ExitPort { base: 0xf4, size: 4, success: 3 }),
            ..Wants::NOTHING
        }
    }

    fn cmdline(&self, boot: &Boot<'_>) -> Result<String, PlanError> {
        let mut line = Line::new(cmdline::MULTIBOOT_LIMIT);
        match boot.ipv4() {
            Some(ipv4) => {
                line.word(&format!("-ip {} -mask {}", ipv4.address, ipv4.mask()))?;
                if let Some(gateway) = ipv4.gateway {
                    line.word(&format!("-gateway {gateway}"))?;
                }
            }
            None => no_ipv6("hermit", boot)?,
        }
        for entry in boot.env {
            if entry.find('=').is_none_or(|at| at == 0) {
                let why = format!("\"{}\" is not NAME=value", excerpt(entry));
                return Err(PlanError::config("process.env", why));
            }
            line.word(&quoted(&format!("env={entry}")))?;
        }
        line.word("--")?;
        boot.args.iter().try_for_each(|word| line.word(&quoted(word)))?;
        line.finish()
    }
}

/// The word, in single quotes if a shell would not leave it alone.
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
