//! The own guests with a network device, on the built-in monitor: what a client in another network namespace gets.

mod client;
mod http;
mod routed;
mod storm;
mod udp;
mod wire;

use crate::bundle::Bundle;
use crate::container::Container;
use crate::harness::Case;
use crate::image::guest;
use crate::sandbox::Sandbox;
use serde_json::json;
use wire::Wire;

const GROUP: &str = "net-guest";
/// The guests take their addresses as MirageOS does.
const MIRAGE: [(&str, &str); 3] =
    [("unikernelType", "mirage"), ("hypervisor", "spt"), ("binary", "/.boot/kernel")];
/// Enough for 64 connections.
const MEMORY: u64 = 16 << 20;

/// All cases of the group; ours only.
pub fn cases() -> Vec<Case> {
    let mut cases = http::cases();
    cases.extend(udp::cases());
    cases.extend(storm::cases());
    cases.extend(routed::cases());
    cases
}

/// Starts the own guest `name` at its end of the wire.
fn launch<'a>(s: &'a Sandbox, wire: &Wire, name: &str, args: &[&str]) -> Container<'a> {
    let c = s.container("a", &bundle(s, wire, name, args));
    c.launch();
    c
}

/// The own guest `name` with its arguments.
fn bundle(s: &Sandbox, wire: &Wire, name: &str, args: &[&str]) -> Bundle {
    bundle_called(s, "b", wire, name, args)
}

/// As [`bundle`], with a name of its own beside others.
fn bundle_called(s: &Sandbox, directory: &str, wire: &Wire, name: &str, args: &[&str]) -> Bundle {
    let kernel = std::fs::read(guest(name)).expect("guest");
    let namespace = wire.guest_path().display().to_string();
    let bundle = s.bundle(directory).unikernel(&kernel, &MIRAGE).namespace("network", Some(&namespace));
    let bundle = bundle.with("/linux/resources/memory", json!({"limit": MEMORY}));
    bundle.with("/process/args", json!(args))
}

/// The guest is there until it is stopped.
fn stop(c: &Container<'_>) {
    assert_eq!(c.status(), "running");
    c.kill("TERM").ok();
    assert_eq!(c.exit_code(), 128 + libc::SIGTERM);
    c.delete().ok();
}
