//! Unikraft: `NAME OPTIONS -- ARGUMENTS`, words as `uk_argnparse()` splits them, options as `uk_libparam_parse()` reads
//! them. Three generations of options: the version of the image says which.

use std::net::IpAddr;

use super::{Boot, Guest, Ipv4, no_ipv6};
use crate::PlanError;
use crate::cmdline::{self, Line, cannot_carry};
use crate::error::excerpt;
use crate::machine::{Addressing, Board, BootProtocol, DeviceModel, Wants};
use crate::memory::MIB;
use crate::version::Version;

/// `unikraft`.
#[derive(Debug)]
pub(super) struct Unikraft;

/// CONFIG_LIBUKBOOT_MAXNBARGS: the last word has all that is left. QEMU puts the kernel's path in front of the line,
/// Firecracker adds `pci=off` and its network device.
const MOST_WORDS: usize = 60 - 2;
/// First version with `vfs.fstab`, and first one with `netdev.ip`.
const FSTAB: Version = Version::new(0, 14, 0);
const NETDEV_IP: Version = Version::new(0, 16, 1);

impl Guest for Unikraft {
    fn name(&self) -> &'static str {
        "unikraft"
    }

    fn wants(&self) -> Wants {
        Wants {
            boot: &[BootProtocol::Multiboot, BootProtocol::Linux64],
            boards: &[Board::Pc, Board::Q35, Board::Own],
            // Its driver refuses a device that is modern only.
            nics: &[DeviceModel::VirtioPci, DeviceModel::VirtioMmio],
            addressing: Addressing::GatewayInSubnet,
            nameservers: true,
            initrd: true,
            least_ram: 8 * MIB,
            ..Wants::NOTHING
        }
    }

    /// The current form has empty fields where others have options, so that images see the line they were made for.
    fn cmdline(&self, boot: &Boot<'_>) -> Result<String, PlanError> {
        let version = Version::parse(boot.version);
        let older = |than: Version| version.is_some_and(|version| version < than);
        let mut fields = Fields { line: Line::new(cmdline::MULTIBOOT_LIMIT), words: 0 };
        let (name, args) = if older(NETDEV_IP) {
            let (name, args) = boot.args.split_first().ok_or_else(cmdline::no_command)?;
            (quoted(name)?, args)
        } else {
            ("Unikraft".to_owned(), boot.args)
        };
        fields.add(&name, 1)?;
        if !older(NETDEV_IP) {
            fields.add("", 0)?;
        }
        let environment = environment(boot.env)?;
        if !older(NETDEV_IP) || !environment.is_empty() {
            fields.add(&environment, environment_words(boot.env))?;
        }
        for option in network(boot, older(NETDEV_IP))? {
            fields.add(&option, usize::from(!option.is_empty()))?;
        }
        match (boot.initrd, older(FSTAB)) {
            (false, _) => fields.add("", 0)?,
            (true, true) => fields.add("vfs.rootfs=initrd", 1)?,
            (true, false) => {
                // "extract" has been a driver since 0.16.1; the one before makes the file system that it fills, too.
                let entry = if older(NETDEV_IP) {
                    "vfs.fstab=[ \"initrd0:/:initrd:::\" ]"
                } else {
                    "vfs.fstab=[ \"initrd0:/:extract:::\" ]"
                };
                fields.add(entry, 3)?;
            }
        }
        fields.add("--", 1)?;
        args.iter().try_for_each(|arg| fields.add(&quoted(arg)?, 1))?;
        fields.finish()
    }

    fn uses_version(&self) -> bool {
        true
    }

    /// 0.13.1 does not boot on a processor of 40 bits, 0.16.3 does.
    fn physical_bits(&self, version: &str) -> Option<u8> {
        Version::parse(version).filter(|version| *version < FSTAB).map(|_| 36)
    }
}

/// A line, and how many words the guest makes of it.
struct Fields {
    line: Line,
    words: usize,
}

impl Fields {
    fn add(&mut self, field: &str, words: usize) -> Result<(), PlanError> {
        self.words += words;
        self.line.word(field)
    }

    fn finish(self) -> Result<String, PlanError> {
        if self.words > MOST_WORDS {
            let why = format!(
                "unikraft takes at most {MOST_WORDS} words, its options, process.env and process.args make {}",
                self.words
            );
            return Err(PlanError::Cmdline { why });
        }
        self.line.finish()
    }
}

/// The list, and behind it entries that end with its closing bracket: the same option without a list takes one.
fn environment(env: &[String]) -> Result<String, PlanError> {
    let entries = env.iter().map(|entry| entry_of(entry)).collect::<Result<Vec<_>, _>>()?;
    let (alone, listed): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.ends_with(']'));
    let list = listed.iter().map(|entry| quoted(entry)).collect::<Result<Vec<_>, _>>()?;
    let list = (!list.is_empty()).then(|| format!("env.vars=[ {} ]", list.join(" ")));
    let alone = alone.iter().map(|entry| quoted(&format!("env.vars={entry}")));
    Ok(list.into_iter().map(Ok).chain(alone).collect::<Result<Vec<_>, _>>()?.join(" "))
}

fn environment_words(env: &[String]) -> usize {
    let listed = env.iter().any(|entry| !entry.ends_with(']'));
    env.len() + if listed { 2 } else { 0 }
}

fn entry_of(entry: &str) -> Result<&str, PlanError> {
    match entry.split_once('=') {
        // A list would begin there.
        Some((name, _)) if name.starts_with('[') => {
            Err(cannot_carry("unikraft", "a variable named [", entry))
        }
        Some((name, _)) if !name.is_empty() => Ok(entry),
        _ => Err(PlanError::config("process.env", format!("\"{}\" is not NAME=value", excerpt(entry)))),
    }
}

/// Three fields, some of them empty.
fn network(boot: &Boot<'_>, old: bool) -> Result<[String; 3], PlanError> {
    let Some(ipv4) = boot.ipv4() else {
        no_ipv6("unikraft", boot)?;
        return Ok(Default::default());
    };
    let Ipv4 { address, prefix, gateway } = ipv4;
    let gateway = gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
    if old {
        let gateway = if gateway.is_empty() { gateway } else { format!("netdev.ipv4_gw_addr={gateway}") };
        let mask = format!("netdev.ipv4_subnet_mask={}", ipv4.mask());
        return Ok([format!("netdev.ipv4_addr={address}"), gateway, mask]);
    }
    let servers = boot.nameservers().into_iter().filter(IpAddr::is_ipv4).take(2);
    let parts = [format!("netdev.ip={address}/{prefix}"), gateway].into_iter();
    let parts: Vec<_> = parts.chain(servers.map(|server| server.to_string())).collect();
    Ok([parts.join(":").trim_end_matches(':').to_owned(), String::new(), String::new()])
}

/// A word as every release of the parser gives it back: single quotes hide everything but themselves, double quotes
/// hide those. Only some releases know `\` outside of single quotes, or a word that begins with a quoted blank.
fn quoted(word: &str) -> Result<String, PlanError> {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b');
    if word.is_empty() || word.starts_with(blank) {
        return Err(cannot_carry("unikraft", "an empty word or one that begins with a blank", word));
    }
    if !word.contains(|c: char| blank(c) || matches!(c, '"' | '\'' | '\\')) {
        return Ok(word.to_owned());
    }
    if !word.contains(['"', '\\']) {
        return Ok(format!("\"{word}\""));
    }
    let runs: Vec<_> = word.split('\'').map(|run| format!("'{run}'")).collect();
    Ok(runs.join("\"'\""))
}
