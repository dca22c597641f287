//! MirageOS: options of the functoria command line before the application's own.
//!
//! The guest splits the line at blanks; double quotes group, a backslash escapes (`parse-argv`).

use std::borrow::Cow;

use super::{Boot, Guest, solo5};
use crate::PlanError;
use crate::cmdline::{self, Line};
use crate::machine::{Addressing, Board, BootProtocol, Wants};
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
            boot: &[BootProtocol::Solo5Spt, BootProtocol::Solo5Hvt, BootProtocol::Multiboot],
            boards: &[Board::Own, Board::Pc, Board::Q35],
            nics: solo5::DEVICES,
            addressing: Addressing::AnyGateway,
            disks: solo5::DEVICES,
            least_ram: MIB,
            ..Wants::NOTHING
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
        // Every stack that Mirage has made since 3.10 knows both families.
        if let Some(ipv6) = boot.ipv6() {
            line.word(&format!("--ipv6={}/{}", ipv6.address, ipv6.prefix))?;
            if let Some(gateway) = ipv6.gateway {
                line.word(&format!("--ipv6-gateway={gateway}"))?;
            }
        }
        args.iter().try_for_each(|word| line.word(&grouped(word)))?;
        line.finish()
    }
}

/// A word with blanks, in double quotes. A word with quotes or backslashes of its own is in the guest's syntax already,
/// as are the words of the key `cmdline`, which is split at blanks.
fn grouped(word: &str) -> Cow<'_, str> {
    let group = word.contains(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    if group && !word.contains(['"', '\\']) { format!("\"{word}\"").into() } else { word.into() }
}
