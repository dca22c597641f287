//! Guest kinds: what each wants and how it takes its configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::PlanError;
use crate::launch::{StatusMap, Stop, Tap};
use crate::machine::{Board, Wants};

registry! { Guest:
    hermit::Hermit,
    linux::Linux,
    mewz::Mewz,
    mirage::Mirage,
    osv::Osv,
    process::Process,
    rumprun::Rumprun,
    solo5::Solo5,
    unikraft::Unikraft,
}

/// A guest kind; one file each, stateless.
pub trait Guest: Sync {
    /// Value of the key `unikernelType`.
    fn name(&self) -> &'static str;
    /// What it can be given.
    fn wants(&self) -> Wants;
    /// Its command line.
    ///
    /// # Errors
    /// [`PlanError::Cmdline`] when the guest's syntax cannot carry a word.
    fn cmdline(&self, boot: &Boot<'_>) -> Result<String, PlanError>;
    /// A file that goes with its initrd, or in its place if it has none.
    ///
    /// # Errors
    /// [`PlanError::Cmdline`] when the file cannot carry a word.
    fn config(&self, _boot: &Boot<'_>) -> Result<Option<Config>, PlanError> {
        Ok(None)
    }
    /// How it is stopped.
    fn stop(&self) -> Stop {
        Stop::Signal
    }
    /// What its monitor's exit status says.
    fn statuses(&self) -> StatusMap {
        self.wants().exit_port.map_or_else(StatusMap::default, crate::machine::ExitPort::statuses)
    }
    /// It mounts its block device at `blkMntPoint`.
    fn uses_mount_point(&self) -> bool {
        false
    }
    /// Its command line depends on `unikernelVersion`.
    fn uses_version(&self) -> bool {
        false
    }
    /// The most physical address bits of a processor that this version boots on; `None`: any number.
    fn physical_bits(&self, _version: &str) -> Option<u8> {
        None
    }
}

/// The guest kind of that name.
pub fn find(name: &str) -> Option<&'static dyn Guest> {
    ALL.iter().copied().find(|guest| guest.name() == name)
}

/// A file for a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its name at the top of an initrd.
    pub name: String,
    /// Its content.
    pub content: String,
}

/// What a guest makes its command line from.
#[derive(Debug, Clone)]
pub struct Boot<'a> {
    /// The command, at least one word.
    pub args: &'a [String],
    /// Environment, `NAME=value`.
    pub env: &'a [String],
    /// Working directory.
    pub cwd: &'a str,
    /// User and group of the application.
    pub user: (u32, u32),
    /// Value of the key `unikernelVersion`; empty: not stated.
    pub version: &'a str,
    /// The board that it runs on.
    pub board: Board,
    /// Host name.
    pub hostname: Option<&'a str>,
    /// The connection, with its addresses.
    pub tap: Option<&'a Tap>,
    /// An initrd is given.
    pub initrd: bool,
    /// A disk is given.
    pub disk: bool,
    /// Where the guest mounts the disk; empty: its default.
    pub mount_point: &'a str,
    /// The root file system must not be written.
    pub readonly: bool,
}

/// Address, prefix length and gateway as the guest is told them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4 {
    /// Address.
    pub address: Ipv4Addr,
    /// Prefix length, bits.
    pub prefix: u8,
    /// Default gateway.
    pub gateway: Option<Ipv4Addr>,
}

impl Ipv4 {
    /// The prefix as a dotted mask.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0))
    }
}

/// As [`Ipv4`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6 {
    /// Address.
    pub address: Ipv6Addr,
    /// Prefix length, bits.
    pub prefix: u8,
    /// Default gateway.
    pub gateway: Option<Ipv6Addr>,
}

impl Boot<'_> {
    /// IPv4 configuration, when there is a connection with an address.
    pub fn ipv4(&self) -> Option<Ipv4> {
        let tap = self.tap?;
        let (address, prefix) = tap.ipv4?;
        Some(match &tap.proxy {
            Some(proxy) => Ipv4 { address, prefix: proxy.prefix, gateway: Some(proxy.shown) },
            None => Ipv4 { address, prefix, gateway: tap.gateway },
        })
    }

    /// IPv6 configuration, when there is a connection with an address beyond the link.
    pub fn ipv6(&self) -> Option<Ipv6> {
        let tap = self.tap?;
        let (address, prefix) = tap.ipv6?;
        Some(Ipv6 { address, prefix, gateway: tap.gateway6 })
    }

    /// Nameservers that can be asked from outside the container's namespace, in order.
    pub fn nameservers(&self) -> Vec<IpAddr> {
        let servers = self.tap.map_or(&[][..], |tap| &tap.nameservers);
        let servers = servers.iter().filter_map(|server| server.parse::<IpAddr>().ok());
        servers.filter(|server| !server.is_loopback()).collect()
    }
}

/// Refuses a network of which such a guest could be told nothing.
fn no_ipv6(guest: &str, boot: &Boot<'_>) -> Result<(), PlanError> {
    boot.ipv6().map_or(Ok(()), |ipv6| {
        let why = format!("{guest} takes no IPv6 address, and {} is the only one", ipv6.address);
        Err(PlanError::Network { why })
    })
}
