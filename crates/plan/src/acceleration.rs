//! Who executes the guest's instructions: the processor, or the monitor in its place.

use crate::input::KvmFacts;
use crate::launch::Notice;
use crate::machine::Acceleration;
use crate::negotiate::Pair;
use crate::settings::MonitorSettings;
use crate::{HostFacts, PlanError};

/// Who executes the guest, and a warning when it is not the CPU.
pub(crate) fn of(
    pair: Pair,
    host: &HostFacts,
    settings: &MonitorSettings,
) -> Result<(Acceleration, Option<Notice>), PlanError> {
    if !pair.monitor.accelerated() {
        return Ok((Acceleration::None, None));
    }
    let why = match host.kvm {
        KvmFacts::Usable => return Ok((Acceleration::Kvm, None)),
        KvmFacts::Emulated => "/dev/kvm only emulates instructions",
        KvmFacts::Absent => "/dev/kvm cannot be opened",
        KvmFacts::Unprobed => "/dev/kvm was not probed",
    };
    let name = pair.monitor.name();
    if settings.allow_emulation == Some(false) {
        let why = format!("{why}, and monitors.{name}.allow_emulation is false");
        return Err(PlanError::Host { why });
    }
    if pair.monitor.needs_kvm() {
        return with_kvm_only(pair, host.kvm);
    }
    let text = format!("{name} emulates the guest, which is slow: {why}");
    Ok((Acceleration::Emulation, Some(Notice { warn: true, text })))
}

/// What a monitor that cannot emulate does without a good `/dev/kvm`: a device that emulates is slow, but a device.
fn with_kvm_only(pair: Pair, kvm: KvmFacts) -> Result<(Acceleration, Option<Notice>), PlanError> {
    let name = pair.monitor.name();
    if kvm == KvmFacts::Emulated {
        let text = format!("/dev/kvm only emulates instructions: {name} is slow, and few guests run");
        return Ok((Acceleration::Kvm, Some(Notice { warn: true, text })));
    }
    let why =
        format!("/dev/kvm cannot be opened, and {name} runs no guest without it; load kvm_intel or kvm_amd");
    Err(PlanError::Host { why })
}
