//! Memory, processor and process limits. Zero means "not set", as for runc; -1 means "unlimited".

use super::{Tree, Version, Writes};
use crate::PlanError;
use crate::error::quoted;
use crate::field::Field;

/// Default period of the kernel's bandwidth control, microseconds.
const CPU_PERIOD: u64 = 100_000;

/// `linux.resources.memory`. `kernel` and `kernelTCP` are gone from the kernel, `useHierarchy` is always so, and
/// `checkBeforeUpdate` concerns groups with processes: only their types are checked.
pub(super) fn memory(resources: &Field<'_>, tree: &mut Tree<'_>) -> Result<(), PlanError> {
    let Some(memory) = resources.get("memory")? else { return Ok(()) };
    for name in ["kernel", "kernelTCP"] {
        memory.number::<i64>(name)?;
    }
    for name in ["useHierarchy", "checkBeforeUpdate"] {
        memory.flag(name)?;
    }
    let limit = amount(&memory, "limit")?;
    let swap = memory_and_swap(&memory, limit)?;
    let reservation = amount(&memory, "reservation")?;
    let swappiness: Option<u64> = memory.number("swappiness")?;
    if swappiness.is_some_and(|value| value > 100) {
        return Err(memory.required("swappiness")?.error("is out of range: 0 to 100"));
    }
    let no_killer = memory.flag("disableOOMKiller")?;
    let mut writes = Writes::default();
    if tree.dialect("memory") == Version::V1 {
        // The sum must never be below the limit, and a new group is unlimited: the limit goes first.
        let files = [
            ("memory.limit_in_bytes", limit),
            ("memory.memsw.limit_in_bytes", swap),
            ("memory.soft_limit_in_bytes", reservation),
        ];
        for (file, value) in files {
            if let Some(value) = value {
                writes.put(file, &value.v1());
            }
        }
        if let Some(value) = swappiness {
            writes.put("memory.swappiness", &value);
        }
        if no_killer {
            writes.put("memory.oom_control", &1);
        }
    } else {
        for (name, set) in [("swappiness", swappiness.is_some()), ("disableOOMKiller", no_killer)] {
            if set {
                return Err(memory.required(name)?.error("cgroup v2 has no such setting"));
            }
        }
        let only_swap = swap.map(|swap| match (swap, limit) {
            (Amount::Bytes(sum), Some(Amount::Bytes(limit))) => Amount::Bytes(sum - limit),
            _ => Amount::Unlimited,
        });
        for (file, value) in
            [("memory.max", limit), ("memory.swap.max", only_swap), ("memory.low", reservation)]
        {
            if let Some(value) = value {
                writes.put(file, &value.v2());
            }
        }
    }
    tree.put("memory", &memory, writes)
}

/// A limit in bytes.
#[derive(Clone, Copy)]
enum Amount {
    Bytes(u64),
    Unlimited,
}

impl Amount {
    fn v1(self) -> String {
        match self {
            Self::Bytes(bytes) => bytes.to_string(),
            Self::Unlimited => "-1".into(),
        }
    }

    fn v2(self) -> String {
        match self {
            Self::Bytes(bytes) => bytes.to_string(),
            Self::Unlimited => "max".into(),
        }
    }
}

fn amount(parent: &Field<'_>, name: &str) -> Result<Option<Amount>, PlanError> {
    match parent.number::<i64>(name)? {
        None | Some(0) => Ok(None),
        Some(-1) => Ok(Some(Amount::Unlimited)),
        Some(value) => match u64::try_from(value) {
            Ok(bytes) => Ok(Some(Amount::Bytes(bytes))),
            Err(_) => Err(parent
                .required(name)?
                .error(format!("{value} is out of range: bytes, or -1 for unlimited"))),
        },
    }
}

/// `swap` is the sum of memory and swap. Unlimited memory makes it unlimited too.
fn memory_and_swap(memory: &Field<'_>, limit: Option<Amount>) -> Result<Option<Amount>, PlanError> {
    let Some(Amount::Bytes(sum)) = amount(memory, "swap")? else { return amount(memory, "swap") };
    match limit {
        Some(Amount::Bytes(limit)) if sum >= limit => Ok(Some(Amount::Bytes(sum))),
        Some(Amount::Bytes(limit)) => {
            let why = format!("{sum} is memory plus swap and must be at least the memory limit of {limit}");
            Err(memory.required("swap")?.error(why))
        }
        _ => Err(memory.required("swap")?.error("needs a memory limit beside it")),
    }
}

/// `linux.resources.cpu` but for the sets.
pub(super) fn cpu(resources: &Field<'_>, tree: &mut Tree<'_>) -> Result<(), PlanError> {
    let Some(cpu) = resources.get("cpu")? else { return Ok(()) };
    let unsigned = |name| Ok::<_, PlanError>(cpu.number::<u64>(name)?.filter(|value| *value != 0));
    let signed = |name| Ok::<_, PlanError>(cpu.number::<i64>(name)?.filter(|value| *value != 0));
    let (shares, period, burst) = (unsigned("shares")?, unsigned("period")?, unsigned("burst")?);
    let (quota, idle) = (signed("quota")?, signed("idle")?);
    let (rt_period, rt_runtime) = (unsigned("realtimePeriod")?, signed("realtimeRuntime")?);
    let mut writes = Writes::default();
    let mut put = |file: &str, value: Option<String>| {
        if let Some(value) = value {
            writes.put(file, &value);
        }
    };
    let text = |value: Option<u64>| value.map(|value| value.to_string());
    if tree.dialect("cpu") == Version::V1 {
        put("cpu.shares", text(shares));
        put("cpu.cfs_period_us", text(period));
        put("cpu.cfs_quota_us", quota.map(|quota| quota.max(-1).to_string()));
        put("cpu.cfs_burst_us", text(burst));
        put("cpu.rt_period_us", text(rt_period));
        put("cpu.rt_runtime_us", rt_runtime.map(|runtime| runtime.to_string()));
    } else {
        for (name, set) in
            [("realtimePeriod", rt_period.is_some()), ("realtimeRuntime", rt_runtime.is_some())]
        {
            if set {
                return Err(cpu.required(name)?.error("cgroup v2 has no such setting"));
            }
        }
        put("cpu.weight", shares.map(|shares| weight(shares).to_string()));
        let quota_text =
            quota.and_then(|quota| u64::try_from(quota).ok()).map_or("max".into(), |quota| quota.to_string());
        let bandwidth = format!("{quota_text} {}", period.unwrap_or(CPU_PERIOD));
        put("cpu.max", (quota.is_some() || period.is_some()).then_some(bandwidth));
        put("cpu.max.burst", text(burst));
    }
    // An idle group takes no weight any more: last.
    put("cpu.idle", idle.map(|idle| idle.to_string()));
    tree.put("cpu", &cpu, writes)
}

/// v1 shares, 2 to 262144, to v2 weight, 1 to 10000: linear, as runc and the kubelet had it from the beginning.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// `linux.resources.cpu.cpus` and `.mems`. A v1 group begins without either and takes no process so: an empty value
/// asks `sys` to copy the parent's.
pub(super) fn cpuset(resources: &Field<'_>, tree: &mut Tree<'_>) -> Result<(), PlanError> {
    let cpu = resources.get("cpu")?;
    let mut writes = Writes::default();
    for (name, file) in [("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")] {
        let list = cpu.as_ref().map_or(Ok(None), |cpu| cpu.text(name))?.unwrap_or_default();
        if let Some(cpu) = &cpu
            && !list.chars().all(|letter| letter.is_ascii_digit() || ",- \n".contains(letter))
        {
            return Err(cpu.required(name)?.error(format!("want a list like 0-3,8, not {}", quoted(list))));
        }
        if !list.is_empty() || tree.version("cpuset") == Some(Version::V1) {
            writes.put(file, &list.trim());
        }
    }
    tree.put("cpuset", cpu.as_ref().unwrap_or(resources), writes)
}

/// `linux.resources.pids`.
pub(super) fn pids(resources: &Field<'_>, tree: &mut Tree<'_>) -> Result<(), PlanError> {
    let Some(pids) = resources.get("pids")? else { return Ok(()) };
    let mut writes = Writes::default();
    match pids.number::<i64>("limit")? {
        None | Some(0) => {}
        Some(limit) if limit < 0 => writes.put("pids.max", &"max"),
        Some(limit) => writes.put("pids.max", &limit),
    }
    tree.put("pids", &pids, writes)
}
