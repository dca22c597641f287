//! The probe as Firecracker, Cloud Hypervisor or a tender of Solo5: as strict about what it is told as they are, it opens
//! what they open, says what it got in one line of JSON, and answers on the API's socket, if there is one, until its guest
//! ends (`guest`).

mod api;
mod cloud_hypervisor;
mod end;
mod firecracker;
mod guest;
mod solo5;

use api::Api;
use guest::{Guest, Way};
use serde_json::{Value, json};
use std::fs::File;
use std::process::ExitCode;

/// What stays open while the machine runs.
type Opened = Vec<File>;
/// Why the monitor would not run: its exit status and its last words.
type Refusal = (u8, String);

/// A machine that was accepted.
struct Machine {
    kind: Kind,
    api: Option<Api>,
    /// What it was told.
    told: Value,
    guest: Guest,
    _opened: Opened,
}

/// Whose it is, and where it tells of its end.
enum Kind {
    Firecracker { log: File },
    CloudHypervisor { events: Option<File> },
    Solo5,
}

/// What comes after a conversation.
enum Turn {
    /// The guest ends by itself.
    Alone,
    /// It ends as it was asked to.
    Asked(Way),
    /// The next client.
    Again,
}

/// Plays the monitor of that name; `None`: it is none of them.
pub(crate) fn play(argv: &[String], fds: &Value, env: &[String]) -> Option<ExitCode> {
    let name = argv.first()?.rsplit('/').next()?;
    let machine = match name {
        "firecracker" => firecracker::accept(argv),
        "cloud-hypervisor" => cloud_hypervisor::accept(argv),
        "solo5-hvt" | "solo5-spt" => solo5::accept(argv),
        _ => return None,
    };
    Some(machine.and_then(|machine| run(machine, argv, fds, env)).unwrap_or_else(|(status, why)| {
        eprintln!("Error: {why}");
        ExitCode::from(status)
    }))
}

fn run(mut machine: Machine, argv: &[String], fds: &Value, env: &[String]) -> Result<ExitCode, Refusal> {
    // The others leave a signal its default action.
    if matches!(machine.kind, Kind::CloudHypervisor { .. }) {
        crate::system::exit_on_signals();
    }
    let listener = machine.api.as_ref().map(Api::listen).transpose()?;
    println!("{}", json!({"argv": argv, "env": env, "fds": fds, "machine": machine.told}));
    machine.guest.speak(&mut machine.kind);
    let alone = machine.guest.way();
    let way = match (&listener, &machine.api) {
        (Some(listener), Some(api)) => match api.serve(listener, &machine.guest) {
            Turn::Asked(way) => Some(way),
            _ => alone,
        },
        _ => alone,
    };
    match way {
        Some(way) => Ok(machine.kind.end(&way)),
        None => crate::system::wait_for_ever(),
    }
}

/// A file of the machine, and its length.
fn file(opened: &mut Opened, path: &str, writable: bool) -> Result<u64, Refusal> {
    let fail = |e: std::io::Error| (1, format!("{path}: {e}"));
    let file = File::options().read(true).write(writable).open(path).map_err(fail)?;
    // Neither has every call of stat's family: seek.
    let length = std::io::Seek::seek(&mut &file, std::io::SeekFrom::End(0)).map_err(fail)?;
    opened.push(file);
    Ok(length)
}

/// `/dev/kvm`, as the first thing that is opened for writing.
fn kvm(opened: &mut Opened) -> Result<(), Refusal> {
    let device = File::options().read(true).write(true).open("/dev/kvm");
    opened.push(device.map_err(|e| (1, format!("/dev/kvm: {e}")))?);
    Ok(())
}
