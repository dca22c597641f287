//! Linux: words of the kernel command line, as `next_arg()` and `unknown_bootoption()` of the kernel read them.
//!
//! Words are separated by blanks; only double quotes group, and nothing escapes one. Unknown `NAME=value` words become
//! init's environment, words after `--` its arguments. A value or argument with blanks is put in double quotes, which
//! the kernel strips: the program sees it exactly. What it would not see exactly is refused.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Boot, Config, Guest, Ipv6};
use crate::PlanError;
use crate::cmdline::{self, Line, cannot_carry, no_command};
use crate::error::excerpt;
use crate::launch::Stop;
use crate::machine::{Addressing, Board, BootProtocol, DeviceModel, Wants};
use crate::memory::MIB;

mod urunit;

/// `linux`.
#[derive(Debug)]
pub(super) struct Linux;

/// Linux drives every flavour.
const VIRTIO: &[DeviceModel] =
    &[DeviceModel::VirtioPci, DeviceModel::VirtioPciModern, DeviceModel::VirtioMmio];

/// CONFIG_INIT_ENV_ARG_LIMIT: the kernel panics when init gets more arguments, and `HOME` and `TERM` take two of the
/// one-larger environment.
const INIT_LIMIT: usize = 32;

/// Parameters that make up or would change the fixed part of the line. The kernel takes `-` for `_` in names.
const RESERVED: &[&str] = &[
    "acpi",
    "bootconfig",
    "clocksource",
    "console",
    "crashkernel",
    "debug",
    "earlycon",
    "earlyprintk",
    "hostname",
    "init",
    "initcall_debug",
    "initrd",
    "ip",
    "ip6",
    "isolcpus",
    "loglevel",
    "lsm",
    "maxcpus",
    "mem",
    "memmap",
    "mitigations",
    "nfsroot",
    "noinitrd",
    "nosmp",
    "nr_cpus",
    "panic",
    "pci",
    "quiet",
    "ramdisk_size",
    "rdinit",
    "reboot",
    "resume",
    "retain_initrd",
    "ro",
    "root",
    "rootdelay",
    "rootflags",
    "rootfstype",
    "rootwait",
    "rw",
    "security",
    "single",
    "video",
    "vga",
];

impl Guest for Linux {
    fn name(&self) -> &'static str {
        "linux"
    }

    fn wants(&self) -> Wants {
        Wants {
            boot: &[
                BootProtocol::Bzimage,
                BootProtocol::Pvh,
                BootProtocol::Linux64,
                BootProtocol::Multiboot,
                BootProtocol::Arm64Image,
            ],
            boards: &[Board::Q35, Board::Pc, Board::Microvm, Board::Virt, Board::Own],
            nics: VIRTIO,
            addressing: Addressing::GatewayInSubnet,
            nameservers: true,
            disks: VIRTIO,
            initrd: true,
            // Debian's cloud kernel (13.5 MiB) with a small initrd: 72 MiB are too few, 80 are enough.
            least_ram: 36 * MIB,
            ..Wants::NOTHING
        }
    }

    /// A kernel whose button driver is loaded tells its init.
    fn stop(&self) -> Stop {
        Stop::PowerButton
    }

    fn cmdline(&self, boot: &Boot<'_>) -> Result<String, PlanError> {
        let mut line = Line::new(cmdline::LINUX_LIMIT);
        let console = if boot.board == Board::Virt { "ttyAMA0" } else { "ttyS0" };
        line.word(&format!("panic=-1 console={console}"))?;
        if let Some(root) = root(boot) {
            line.word(root)?;
        }
        let network: Vec<String> = ip(boot)?.into_iter().chain(ip6(boot)?).collect();
        line.words(&network)?;
        // `ip6=` is a variable of init's, and a kernel without IP_PNP takes `ip=` for one.
        let room = INIT_LIMIT - 1 - network.len();
        if urunit::is_init(boot) {
            line.word(&urunit::words(boot))?;
        } else {
            environment(&mut line, boot.env, room)?;
        }
        let (app, args) = boot.args.split_first().ok_or_else(no_command)?;
        let init = if boot.initrd { "rdinit" } else { "init" };
        line.word(&format!("{init}={}", quoted(app)?))?;
        arguments(&mut line, args)?;
        line.finish()
    }

    fn config(&self, boot: &Boot<'_>) -> Result<Option<Config>, PlanError> {
        urunit::is_init(boot).then(|| urunit::config(boot)).transpose()
    }
}

fn root(boot: &Boot<'_>) -> Option<&'static str> {
    match (boot.initrd, boot.disk, boot.readonly) {
        (true, _, _) => Some("root=/dev/ram0 rw"),
        (false, true, false) => Some("root=/dev/vda rw"),
        (false, true, true) => Some("root=/dev/vda ro"),
        (false, false, _) => None,
    }
}

/// `ip=CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:AUTOCONF[:DNS[:DNS]]` (kernel documentation, nfsroot).
fn ip(boot: &Boot<'_>) -> Result<Option<String>, PlanError> {
    let Some(ipv4) = boot.ipv4() else { return Ok(None) };
    let host = host(boot)?;
    let gateway = ipv4.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
    // The kernel knows two nameservers, of IPv4, and shows them to init in /proc/net/pnp.
    let fixed = format!("ip={}::{gateway}:{}:{host}:eth0:off", ipv4.address, ipv4.mask());
    let servers = boot.nameservers().into_iter().filter(IpAddr::is_ipv4).take(2);
    Ok(Some(
        std::iter::once(fixed).chain(servers.map(|server| server.to_string())).collect::<Vec<_>>().join(":"),
    ))
}

/// `ip6=ADDRESS/PREFIX,[GATEWAY],[NAMESERVER],HOSTNAME`: Linux has no such parameter, so that it reaches init as a
/// variable.
fn ip6(boot: &Boot<'_>) -> Result<Option<String>, PlanError> {
    let Some(Ipv6 { address, prefix, gateway }) = boot.ipv6() else { return Ok(None) };
    let gateway = gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
    let server = boot.nameservers().into_iter().find(IpAddr::is_ipv6);
    let server = server.map(|server| server.to_string()).unwrap_or_default();
    Ok(Some(format!("ip6={address}/{prefix},{gateway},{server},{}", host(boot)?)))
}

fn host<'a>(boot: &Boot<'a>) -> Result<&'a str, PlanError> {
    let host = boot.hostname.filter(|name| !name.is_empty()).unwrap_or("urunc");
    if host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return Ok(host);
    }
    Err(PlanError::config("hostname", "the kernel's ip= takes letters, digits, '.', '-' and '_'"))
}

fn environment(line: &mut Line, env: &[String], room: usize) -> Result<(), PlanError> {
    let mut names = BTreeSet::new();
    for entry in env {
        let (name, value) = split(entry)?;
        line.word(&format!("{name}={}", quoted(value)?))?;
        // HOME and TERM replace the kernel's own entries.
        if !matches!(name, "HOME" | "TERM") {
            names.insert(name);
        }
    }
    if names.len() > room {
        let why = format!(
            "linux takes at most {room} variables besides HOME and TERM, process.env has {}",
            names.len()
        );
        return Err(PlanError::Cmdline { why });
    }
    Ok(())
}

fn split(entry: &str) -> Result<(&str, &str), PlanError> {
    let (name, value) = entry.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
        PlanError::config("process.env", format!("\"{}\" is not NAME=value", excerpt(entry)))
    })?;
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
        // With a dot it would be a module's parameter, which init never sees.
        return Err(cannot_carry(
            "linux",
            "a variable whose name is not of letters, digits, '_' and '-'",
            name,
        ));
    }
    if RESERVED.contains(&name.replace('-', "_").as_str()) {
        let why = format!("the variable {name} is a parameter of the linux kernel, rename it in process.env");
        return Err(PlanError::Cmdline { why });
    }
    Ok((name, value))
}

fn arguments(line: &mut Line, args: &[String]) -> Result<(), PlanError> {
    if args.len() > INIT_LIMIT {
        let why = format!("linux takes at most {INIT_LIMIT} arguments, process.args has {}", args.len());
        return Err(PlanError::Cmdline { why });
    }
    line.word("--")?;
    if args.is_empty() {
        // Monitors put parameters of their own before ` -- `, with a space on either side.
        line.word("")?;
    }
    for arg in args {
        // A second `--` ends the kernel's reading.
        if arg == "--" {
            let why = "linux takes no argument --, it is the second on the kernel's line".to_owned();
            return Err(PlanError::Cmdline { why });
        }
        line.word(&if arg.is_empty() { "\"\"".to_owned() } else { quoted(arg)? })?;
    }
    Ok(())
}

/// The word, in double quotes if the kernel would split it.
fn quoted(word: &str) -> Result<String, PlanError> {
    if let Some(bad) = word.chars().find(|c| *c == '"' || (c.is_ascii_control() && *c != '\t')) {
        return Err(cannot_carry("linux", &format!("{bad:?}"), word));
    }
    // The kernel's isspace() also takes the byte 0xa0, which is part of many UTF-8 sequences.
    let splits = word.bytes().any(|b| matches!(b, b' ' | b'\t' | 0xa0));
    Ok(if splits { format!("\"{word}\"") } else { word.to_owned() })
}
