//! Who a tap belongs to.

use std::fmt;

use crate::input::NetDevice;

/// Who a tap belongs to, as its interface alias says it: `urunc:<id>:<pid>:<start time>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Container id.
    pub id: String,
    /// Process that holds the tap, in the host's pid namespace.
    pub pid: u32,
    /// Its start time, clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

impl Owner {
    /// Reads an alias; `None` when it is not of this form.
    pub fn parse(alias: &str) -> Option<Self> {
        let (rest, start_time) = alias.strip_prefix("urunc:")?.rsplit_once(':')?;
        let (id, pid) = rest.rsplit_once(':')?;
        Some(Self { id: id.to_owned(), pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
    }

    /// The owner of a tap; `None` for other devices, and for taps of others.
    pub(super) fn of(device: &NetDevice) -> Option<Self> {
        Self::parse(&device.alias).filter(|_| device.kind == "tun")
    }
}

/// What a rule of address translation says of itself in its comment: `urunc:<id>:<pid>:<start time>`, and
/// `/forwarding=<index>` when a device was made to forward for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatRecord {
    /// Whose.
    pub owner: Owner,
    /// Index of the device that forwards since then, and does not any more without the rule.
    pub forwarding: Option<u32>,
}

impl NatRecord {
    /// Reads a comment; `None` when it is not of this form.
    pub fn parse(comment: &str) -> Option<Self> {
        // No container id has a slash.
        let (owner, forwarding) = match comment.split_once('/') {
            Some((owner, rest)) => (owner, Some(rest.strip_prefix("forwarding=")?.parse().ok()?)),
            None => (comment, None),
        };
        Some(Self { owner: Owner::parse(owner)?, forwarding })
    }
}

impl fmt::Display for NatRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.owner.fmt(f)?;
        self.forwarding.map_or(Ok(()), |index| write!(f, "/forwarding={index}"))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "urunc:{}:{}:{}", self.id, self.pid, self.start_time)
    }
}
