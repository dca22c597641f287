//! Rumprun: one JSON object, read by a parser that knows no escapes.

use super::{Boot, Guest, Ipv4, no_ipv6, solo5};
use crate::PlanError;
use crate::cmdline;
use crate::machine::{Addressing, BootProtocol, DeviceModel, Wants};
use crate::memory::MIB;

/// `rumprun`.
#[derive(Debug)]
pub(super) struct Rumprun;

impl Guest for Rumprun {
    fn name(&self) -> &'static str {
        "rumprun"
    }

    fn wants(&self) -> Wants {
        Wants {
            boot: &[BootProtocol::Solo5Spt, BootProtocol::Solo5Hvt],
            nics: &[DeviceModel::Solo5],
            addressing: Addressing::AnyGateway,
            disks: &[DeviceModel::Solo5],
            least_ram: 4 * MIB,
            ..Wants::NOTHING
        }
    }

    fn cmdline(&self, boot: &Boot<'_>) -> Result<String, PlanError> {
        let (log, args) = solo5::log_options(boot.args);
        let words = args.iter().map(|word| quoted(word)).collect::<Result<Vec<_>, _>>()?;
        let mut members = vec![member("cmdline", &words.join(" "))?];
        for entry in boot.env {
            members.push(member("env", entry)?);
        }
        if let Some(hostname) = boot.hostname {
            members.push(member("hostname", hostname)?);
        }
        if !matches!(boot.cwd, "" | "/") {
            members.push(member("cwd", boot.cwd)?);
        }
        match boot.ipv4() {
            Some(ipv4) => members.push(net(ipv4)?),
            None => no_ipv6("rumprun", boot)?,
        }
        if boot.disk {
            let at = if boot.mount_point.is_empty() { "/data" } else { boot.mount_point };
            members.push(format!(
                r#""blk":{{"source":"etfs","path":"/dev/ld0a","fstype":"blk",{}}}"#,
                member("mountpoint", at)?
            ));
        }
        let mut line = cmdline::Line::new(cmdline::SOLO5_LIMIT);
        line.words(log)?;
        line.word(&format!("{{{}}}", members.join(",")))?;
        line.finish()
    }

    fn uses_mount_point(&self) -> bool {
        true
    }
}

fn net(ipv4: Ipv4) -> Result<String, PlanError> {
    let gateway = ipv4.gateway.map(|gateway| format!(r#","gw":"{gateway}""#)).unwrap_or_default();
    Ok(format!(
        r#""net":{{"if":"ukvmif0","cloner":"True","type":"inet","method":"static","addr":"{}","mask":"{}"{gateway}}}"#,
        ipv4.address,
        mask(ipv4)?
    ))
}

/// NetBSD refuses a gateway outside the subnet, which point-to-point networks of Kubernetes have: the subnet is then
/// the smallest one that holds both. It knows none of all addresses.
fn mask(ipv4: Ipv4) -> Result<u32, PlanError> {
    let gateway = ipv4.gateway.unwrap_or(ipv4.address);
    match (u32::from(ipv4.address) ^ u32::from(gateway)).leading_zeros() {
        0 => {
            let why = format!("rumprun has no subnet that holds {} and its gateway {gateway}", ipv4.address);
            Err(PlanError::Network { why })
        }
        common => Ok(common.min(ipv4.prefix.into())),
    }
}

/// A member whose value needs no escape.
fn member(name: &str, value: &str) -> Result<String, PlanError> {
    match value.chars().find(|c| c.is_control() || matches!(c, '"' | '\\')) {
        Some(bad) => Err(cmdline::cannot_carry("rumprun", &format!("{bad:?}"), value)),
        None => Ok(format!("\"{name}\":\"{value}\"")),
    }
}

/// A word of the command: single quotes group, and nothing can quote a single quote.
fn quoted(word: &str) -> Result<String, PlanError> {
    if word.contains('\'') {
        return Err(cmdline::cannot_carry("rumprun", "a single quote", word));
    }
    let group = word.is_empty() || word.contains([' ', '\t']);
    Ok(if group { format!("'{word}'") } else { word.to_owned() })
}
