//! systemd's driver: `slice:prefix:name` to a transient scope, by runc's rules, and limits to its properties.

use super::place::{FIELD, Place};
use crate::PlanError;
use crate::input::{HostFacts, Request};
use crate::launch::{CgroupGroup, CgroupWrite, Property, Scope};

/// Longest name of a unit (systemd.unit(5)), which is that of a file, too.
const LONGEST: usize = 255;
/// systemd says "no limit" so.
const UNLIMITED: u64 = u64::MAX;
/// systemd keeps a quota in whole percent of a processor.
const PERCENT_USEC: u64 = 10_000;

/// Files of cgroup v2 whose number is that of a property.
const NUMBERS: [(&str, &str); 8] = [
    ("memory.max", "MemoryMax"),
    ("memory.high", "MemoryHigh"),
    ("memory.low", "MemoryLow"),
    ("memory.min", "MemoryMin"),
    ("memory.swap.max", "MemorySwapMax"),
    ("cpu.weight", "CPUWeight"),
    ("io.weight", "IOWeight"),
    ("pids.max", "TasksMax"),
];

/// A checked name.
pub(super) struct Unit {
    name: String,
    slice: String,
    path: String,
}

impl Unit {
    /// The unit of `linux.cgroupsPath`; an empty path is the id in `system.slice`.
    pub(super) fn new(req: &Request, host: &HostFacts) -> Result<Self, PlanError> {
        let why = match (host.systemd, &host.cgroup.v2, host.cgroup.v1.is_empty()) {
            (true, Some(_), true) => None,
            (true, ..) => Some("--systemd-cgroup needs a host with cgroup v2 alone"),
            (false, ..) => Some("--systemd-cgroup needs a host with systemd as its init"),
        };
        if let Some(why) = why {
            return Err(PlanError::Host { why: why.into() });
        }
        let refuse = |why: &str| PlanError::config(FIELD, format!("{why}: {:?}", req.cgroups_path));
        let (slice, prefix, name) = match &req.cgroups_path.split(':').collect::<Vec<_>>()[..] {
            [""] => ("", "urunc", req.id.as_str()),
            [slice, prefix, name] => (*slice, *prefix, *name),
            _ => return Err(refuse("want slice:prefix:name for systemd's driver")),
        };
        let slice = if slice.is_empty() { "system.slice" } else { slice };
        let parents = expand(slice).ok_or_else(|| refuse("the slice is no name of a slice"))?;
        let dash = if prefix.is_empty() { "" } else { "-" };
        let unit = format!("{prefix}{dash}{name}.scope");
        if name.is_empty() || !is_name(&unit) {
            return Err(refuse("prefix and name make no name of a scope"));
        }
        Ok(Self { path: format!("{parents}{unit}"), name: unit, slice: slice.to_owned() })
    }

    pub(super) fn place(&self) -> Place {
        Place::of_unit(self.path.clone())
    }

    /// The scope with the limits of its group.
    pub(super) fn scope(self, groups: &[CgroupGroup]) -> Scope {
        let writes = groups.iter().flat_map(|group| &group.writes);
        Scope { unit: self.name, slice: self.slice, properties: writes.flat_map(properties).collect() }
    }
}

/// `a.slice/a-b.slice/` of `a-b.slice` (systemd.slice(5)); nothing of the root slice `-.slice`.
fn expand(slice: &str) -> Option<String> {
    let name = slice.strip_suffix(".slice").filter(|_| is_name(slice))?;
    if name == "-" {
        return Some(String::new());
    }
    if name.split('-').any(str::is_empty) {
        return None;
    }
    let parents = name.match_indices('-').map(|(at, _)| &name[..at]).chain([name]);
    Some(parents.flat_map(|parent| [parent, ".slice/"]).collect())
}

fn is_name(unit: &str) -> bool {
    unit.len() <= LONGEST
        && unit.chars().all(|letter| letter.is_ascii_alphanumeric() || ":-_.\\@".contains(letter))
}

/// What systemd calls a value that we write; nothing for files that it leaves alone.
fn properties(write: &CgroupWrite) -> Vec<(String, Property)> {
    let one = |name: &str, value: Property| vec![(name.to_owned(), value)];
    if let Some((_, name)) = NUMBERS.iter().find(|(file, _)| *file == write.file) {
        return number(&write.value).map_or(Vec::new(), |value| one(name, Property::Number(value)));
    }
    match write.file.as_str() {
        "cpu.max" => bandwidth(&write.value),
        // An idle group has the weight 0 (systemd.resource-control(5)).
        "cpu.idle" if write.value == "1" => one("CPUWeight", Property::Number(0)),
        "cpuset.cpus" => one("AllowedCPUs", Property::Bytes(bits(&write.value))),
        "cpuset.mems" => one("AllowedMemoryNodes", Property::Bytes(bits(&write.value))),
        _ => Vec::new(),
    }
}

/// `max` or a number; nothing for a value of a single device.
fn number(value: &str) -> Option<u64> {
    if value == "max" { Some(UNLIMITED) } else { value.parse().ok() }
}

/// `cpu.max`, microseconds of each period, to microseconds of each second.
fn bandwidth(value: &str) -> Vec<(String, Property)> {
    let mut words = value.split(' ').map(number);
    let (Some(Some(quota)), Some(Some(period))) = (words.next(), words.next()) else { return Vec::new() };
    let second = match quota {
        UNLIMITED => UNLIMITED,
        quota => {
            let second = u128::from(quota) * 1_000_000 / u128::from(period.max(1));
            let whole =
                u64::try_from(second).ok().and_then(|second| second.checked_next_multiple_of(PERCENT_USEC));
            whole.unwrap_or(UNLIMITED)
        }
    };
    vec![
        ("CPUQuotaPerSecUSec".to_owned(), Property::Number(second)),
        ("CPUQuotaPeriodUSec".to_owned(), Property::Number(period)),
    ]
}

/// `0-2,8` to bits, the lowest first. Ranges that make no sense are the kernel's to refuse.
fn bits(numbers: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for range in numbers.split([',', ' ', '\n']) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else { continue };
        for number in usize::from(first)..=usize::from(last) {
            if bytes.len() <= number / 8 {
                bytes.resize(number / 8 + 1, 0);
            }
            bytes[number / 8] |= 1 << (number % 8);
        }
    }
    bytes
}
