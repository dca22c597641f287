//! How the monitors end, and what they say of it.

use super::Kind;
use super::guest::Way;
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

impl Kind {
    /// Ends, with a status; or never, where a monitor would start its guest anew.
    pub(super) fn end(&mut self, way: &Way) -> ExitCode {
        match way {
            Way::Status(status) => ExitCode::from(*status),
            Way::Signal(number) => {
                crate::system::raise(*number);
                ExitCode::FAILURE
            }
            way => match self {
                Self::Firecracker { log } => firecracker(log, way),
                Self::CloudHypervisor { events } => cloud_hypervisor(events.as_mut(), way),
                Self::Solo5 => ExitCode::SUCCESS,
            },
        }
    }
}

/// A machine ends by a reset, and has no other way.
fn firecracker(log: &mut File, way: &Way) -> ExitCode {
    let said = match way {
        Way::TripleFault => "Unexpected exit reason on vcpu run: Shutdown",
        Way::Broken => "Received KVM_EXIT_INTERNAL_ERROR signal",
        _ => return ExitCode::SUCCESS,
    };
    let _ = writeln!(log, "2026-11-21T15:00:00.000000000 [probe:fc_vcpu 0] {said}");
    // Either status comes, for it is a race.
    if *way == Way::Broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn cloud_hypervisor(mut events: Option<&mut File>, way: &Way) -> ExitCode {
    let mut tell = |source: &str, event: &str, properties: serde_json::Value| {
        let all = serde_json::json!({
            "timestamp": {"secs": 1, "nanos": 0}, "source": source, "event": event, "properties": properties,
        });
        if let (Some(events), Ok(text)) = (events.as_mut(), serde_json::to_string_pretty(&all)) {
            let _ = write!(events, "{text}\n\n");
        }
    };
    let log = |thread: &str, level: &str, what: &str| {
        eprintln!("cloud-hypervisor: 1.000000s: <{thread}> {level}:vmm/src/lib.rs:1 -- {what}");
    };
    if *way == Way::Panic {
        tell("guest", "panic", serde_json::json!({"event": "panic"}));
    }
    match way {
        Way::Reset | Way::TripleFault | Way::Panic => {
            if *way == Way::TripleFault {
                log("vcpu0", "ERROR", "Guest likely triple-faulted");
            }
            log("vmm", "INFO", "VM reset event");
            tell("vm", "rebooting", serde_json::Value::Null);
            // The guest is started anew, and would be for ever.
            tell("vm", "rebooted", serde_json::Value::Null);
            crate::system::sleep_until_signal();
        }
        Way::Broken => log("vcpu0", "ERROR", "VCPU generated error: VcpuRun(probe)"),
        _ => log("vmm", "INFO", "VM guest exit event"),
    }
    tell("vm", "shutdown", serde_json::Value::Null);
    tell("vmm", "shutdown", serde_json::Value::Null);
    log("main", "INFO", "Cloud Hypervisor exited successfully");
    ExitCode::SUCCESS
}
