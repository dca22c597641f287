//! The own guests with a network device, on the built-in monitor: what a client in another network namespace gets.

pub mod client;
mod http;
mod hvt;
mod routed;
mod storm;
mod udp;
pub mod wire;

use crate::bundle::Bundle;
use crate::container::Container;
use crate::harness::Case;
use crate::image::{guest, hvt_guest};
use crate::sandbox::Sandbox;
use serde_json::json;
use wire::Wire;

const GROUP: &str = "net-guest";
/// The guests take their addresses as MirageOS does.
const MIRAGE: [(&str, &str); 3] =
    [("unikernelType", "mirage"), ("hypervisor", "spt"), ("binary", "/.boot/kernel")];
/// The same on target hvt.
const HVT: [(&str, &str); 3] =
    [("unikernelType", "mirage"), ("hypervisor", "hvt"), ("binary", "/.boot/kernel")];
/// Enough for 64 connections.
const MEMORY: u64 = 16 << 20;

/// All cases of the group; ours only.
pub fn cases() -> Vec<Case> {
    let mut cases = http::cases();
    cases.extend(udp::cases());
    cases.extend(storm::cases());
    cases.extend(routed::cases());
    cases.extend(hvt::cases());
    cases
}

/// The own guest `name` that serves, as its arguments say.
pub fn serving(bundle: Bundle, name: &str, args: &[&str]) -> Bundle {
    let kernel = std::fs::read(guest(name)).expect("guest");
    let bundle = bundle.unikernel(&kernel, &MIRAGE).with("/process/args", json!(args));
    bundle.with("/linux/resources/memory", json!({"limit": MEMORY}))
}

/// Starts the own guest `name` at its end of the wire.
pub fn launch<'a>(s: &'a Sandbox, wire: &Wire, name: &str, args: &[&str]) -> Container<'a> {
    let c = s.container(name, &at(wire, serving(s.bundle(name), name, args)));
    c.launch();
    c
}

/// [`launch`] on the built-in hvt monitor.
fn launch_hvt<'a>(s: &'a Sandbox, wire: &Wire, name: &str, args: &[&str]) -> Container<'a> {
    let kernel = std::fs::read(hvt_guest(name)).expect("guest");
    let bundle = s.bundle(name).unikernel(&kernel, &HVT).with("/process/args", json!(args));
    let c =
        s.container(name, &at(wire, bundle.with("/linux/resources/memory", json!({"limit": 2 * MEMORY}))));
    c.launch();
    c
}

/// The bundle in the guest's namespace.
fn at(wire: &Wire, bundle: Bundle) -> Bundle {
    bundle.namespace("network", wire.guest_path().to_str())
}

/// The guest is there until it is stopped.
fn stop(c: &Container<'_>) {
    assert_eq!(c.status(), "running");
    c.kill("TERM").ok();
    assert_eq!(c.exit_code(), 128 + libc::SIGTERM);
    c.delete().ok();
}
