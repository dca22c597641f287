//! The split of a memory limit: RAM of the guest, and what the monitor needs beside it.

use serde_json::Value;

use crate::error::excerpt;
use crate::launch::Memory;
use crate::machine::{Acceleration, BootProtocol};
use crate::negotiate::Pair;
use crate::settings::MonitorSettings;
use crate::{PlanError, Request};

/// One MiB, the unit in which every monitor counts RAM.
pub const MIB: u64 = 1 << 20;
/// RAM without a limit and without a setting, MiB.
pub const DEFAULT_MIB: u64 = 256;

/// What a monitor needs beside the guest's RAM: `fixed + RAM / ram_divisor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overhead {
    /// Bytes.
    pub fixed: u64,
    /// One byte for this many bytes of RAM.
    pub ram_divisor: u64,
}

impl Overhead {
    /// Most RAM below a limit, bytes: the largest `ram` with `ram + overhead(ram) <= limit`.
    fn ram(self, limit: u64) -> u64 {
        let rest = u128::from(limit.saturating_sub(self.fixed));
        let divisor = u128::from(self.ram_divisor);
        u64::try_from(rest * divisor / (divisor + 1)).unwrap_or(u64::MAX)
    }

    fn bytes(self, ram: u64) -> u64 {
        self.fixed + ram.div_ceil(self.ram_divisor)
    }
}

/// What bounds the RAM of a guest.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Least RAM it boots with, bytes.
    pub least: u64,
    /// Most RAM the monitor gives, MiB.
    pub most_mib: u64,
    /// RAM is a multiple of this, MiB.
    pub step_mib: u64,
    /// RAM without a limit, MiB.
    pub default_mib: u64,
    /// The monitor's own need.
    pub overhead: Overhead,
}

/// `linux.resources.memory.limit` in bytes; absent, zero and negative are no limit.
///
/// # Errors
/// It is not an integer.
pub fn limit(resources: &Value) -> Result<Option<u64>, PlanError> {
    let limit = match resources.get("memory").and_then(|memory| memory.get("limit")) {
        None | Some(Value::Null) => return Ok(None),
        Some(limit) => limit,
    };
    match (limit.as_u64(), limit.as_i64()) {
        (Some(0), _) | (None, Some(_)) => Ok(None),
        (Some(bytes), _) => Ok(Some(bytes)),
        (None, None) => Err(PlanError::config(
            "linux.resources.memory.limit",
            format!("{} is not an integer", excerpt(&limit.to_string())),
        )),
    }
}

/// RAM of this guest on this monitor, and the rest of the limit; of that, `copied` bytes are files of the private root.
///
/// # Errors
/// Those of [`limit`] and [`split`].
pub fn of(
    req: &Request,
    pair: &Pair,
    acceleration: Acceleration,
    settings: &MonitorSettings,
    copied: u64,
) -> Result<Memory, PlanError> {
    let limit = self::limit(&req.resources)?;
    if pair.boot == BootProtocol::Program {
        return Ok(Memory { guest_mib: 0, overhead_bytes: 0, limit_bytes: limit });
    }
    let kernel = req.kernel.as_ref();
    let image = if let Some(image) = kernel.and_then(|facts| facts.solo5.as_ref()) {
        // A Solo5 image says where it ends.
        image.end
    } else {
        // A bzImage unpacks itself to two or three times its size; initrds are unpacked beside the packed form.
        let unpacked = if pair.boot == BootProtocol::Bzimage { 3 } else { 1 };
        let (kernel, initrd) = (kernel.map_or(0, |facts| facts.bytes), req.initrd_bytes.unwrap_or(0));
        kernel.saturating_mul(unpacked).saturating_add(initrd.saturating_mul(2))
    };
    let overhead = pair.monitor.overhead(acceleration);
    let bounds = Bounds {
        least: image.saturating_add(pair.wants.least_ram),
        most_mib: pair.offers.most_ram_mib,
        step_mib: pair.monitor.ram_step_mib(),
        default_mib: settings.default_memory_mb.unwrap_or(DEFAULT_MIB.max(pair.wants.usual_ram / MIB)),
        overhead: Overhead { fixed: overhead.fixed.saturating_add(copied), ..overhead },
    };
    split(limit, &bounds)
}

/// Splits the limit.
///
/// # Errors
/// [`PlanError::Memory`] with all figures, when the guest cannot boot with what is left.
pub fn split(limit: Option<u64>, bounds: &Bounds) -> Result<Memory, PlanError> {
    let Bounds { least, most_mib, step_mib, default_mib, overhead } = *bounds;
    let guest_mib = limit.map_or(default_mib, |limit| overhead.ram(limit) / MIB).min(most_mib);
    let guest_mib = guest_mib - guest_mib % step_mib;
    let overhead_bytes = overhead.bytes(guest_mib.saturating_mul(MIB));
    let least_mib = least.div_ceil(MIB).max(1).next_multiple_of(step_mib);
    if guest_mib < least_mib {
        let why = match limit {
            Some(limit) => format!(
                "{limit} bytes leave {guest_mib} MiB for the guest, it needs {least_mib} MiB; set at least {} bytes",
                least_mib * MIB + overhead.bytes(least_mib * MIB)
            ),
            None => format!(
                "none is set and the default gives the guest {guest_mib} MiB, it needs {least_mib} MiB; \
                 set a limit or default_memory_mb"
            ),
        };
        return Err(PlanError::Memory { why });
    }
    Ok(Memory { guest_mib, overhead_bytes, limit_bytes: limit })
}
