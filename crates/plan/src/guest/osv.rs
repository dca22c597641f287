//! OSv: options of its loader, which no quotes group, then the command of the application, in double quotes.

use std::net::IpAddr;

use super::{Boot, Guest, no_ipv6};
use crate::PlanError;
use crate::cmdline::{self, Line, cannot_carry};
use crate::error::excerpt;
use crate::machine::{Addressing, Board, BootProtocol, DeviceModel, Wants};
use crate::memory::MIB;

/// `osv`.
#[derive(Debug)]
pub(super) struct Osv;

const VIRTIO: &[DeviceModel] = &[DeviceModel::VirtioPci, DeviceModel::VirtioPciModern];

impl Guest for Osv {
    fn name(&self) -> &'static str {
        "osv"
    }

    fn wants(&self) -> Wants {
        Wants {
            boot: &[BootProtocol::Pvh],
            boards: &[Board::Pc, Board::Q35],
            nics: VIRTIO,
            addressing: Addressing::GatewayInSubnet,
            nameservers: true,
            disks: VIRTIO,
            least_ram: 32 * MIB,
            ..Wants::NOTHING
        }
    }

    fn cmdline(&self, boot: &Boot<'_>) -> Result<String, PlanError> {
        let mut line = Line::new(cmdline::MULTIBOOT_LIMIT);
        match boot.ipv4() {
            Some(ipv4) => {
                line.word(&format!("--ip=eth0,{},{}", ipv4.address, ipv4.mask()))?;
                if let Some(gateway) = ipv4.gateway {
                    line.word(&format!("--defaultgw={gateway}"))?;
                }
                if let Some(server) = boot.nameservers().into_iter().find(IpAddr::is_ipv4) {
                    line.word(&format!("--nameserver={server}"))?;
                }
            }
            None => no_ipv6("osv", boot)?,
        }
        // What the kernel carries in itself, or the read-only file system on the disk's second partition.
        line.word(if boot.disk { "--rootfs=rofs" } else { "--rootfs=ramfs" })?;
        boot.env.iter().try_for_each(|entry| line.word(&option(entry)?))?;
        for (index, word) in boot.args.iter().enumerate() {
            line.word(&quoted(word, index == 0)?)?;
        }
        line.finish()
    }
}

/// Options end at a blank; some releases take a backslash for an escape.
fn option(entry: &str) -> Result<String, PlanError> {
    if entry.find('=').is_none_or(|at| at == 0) {
        return Err(PlanError::config("process.env", format!("\"{}\" is not NAME=value", excerpt(entry))));
    }
    match entry.chars().find(|c| c.is_ascii_whitespace() || c.is_control() || *c == '\\') {
        Some(bad) => Err(cannot_carry("osv", &format!("{bad:?}"), entry)),
        None => Ok(format!("--env={entry}")),
    }
}

/// A word of the application; with a dash, the first one would be an option. A dollar sign begins a variable, and nothing
/// hides it; the parser knows ASCII only.
fn quoted(word: &str, first: bool) -> Result<String, PlanError> {
    let bad = |c: &char| *c == '$' || !c.is_ascii() || (c.is_control() && !matches!(*c, '\n' | '\r' | '\t'));
    if let Some(bad) = word.chars().find(bad) {
        return Err(cannot_carry("osv", &format!("{bad:?}"), word));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(&b);
    let ambiguous = word.is_empty() || (first && word.starts_with('-'));
    if !ambiguous && word.bytes().all(plain) {
        return Ok(word.to_owned());
    }
    let mut text = String::from('"');
    for c in word.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c => text.push(c),
        }
    }
    text.push('"');
    Ok(text)
}
