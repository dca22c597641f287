//! F: monitors and guests.

use super::qmp::{Qmp, real};
use super::{Entry, nothing_left};
use crate::command::until;
use crate::harness::Case;
use crate::image::{LINUX, replaced};
use crate::reality::network::Network;
use crate::sandbox::Sandbox;
use serde_json::{Value, json};
use std::io::{Read, Write};

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("f-03-qemu-has-the-planned-devices-only", planned_devices),
    ("f-03-qemu-has-no-monitor-on-its-console", no_monitor_on_console),
];

/// What a q35 without default devices has: host bridge, LPC bridge, AHCI, SMBus.
const BOARD: [&str; 4] = ["8086:29c0", "8086:2918", "8086:2922", "8086:2930"];
/// virtio 1.2, "PCI Device Discovery": transitional ids.
const NIC: &str = "1af4:1000";
const DISK: &str = "1af4:1001";

/// One plan each: without devices, with a disk, with a network, with both.
fn planned_devices(s: &Sandbox) {
    let network = Network(s);
    let path = Network::make(s, &Network::usual());
    for planned in [&[][..], &[DISK], &[NIC], &[NIC, DISK]] {
        let mut bundle = real(s, &format!("plan-{}", planned.join("-").replace(':', "-")));
        if planned.contains(&NIC) {
            bundle = bundle.namespace("network", Some(&path));
        }
        if planned.contains(&DISK) {
            std::fs::write(bundle.rootfs().join("disk"), vec![0; 1 << 16]).expect("disk");
            bundle = bundle.keys(&replaced(&LINUX, "block", "/disk"));
        }
        let c = s.container("a", &bundle);
        c.launch();
        let mut qmp = Qmp::connect(c.pid());
        let mut expected: Vec<String> = BOARD.iter().chain(planned).map(|&id| id.to_owned()).collect();
        expected.sort();
        assert_eq!(pci(&qmp.ask("query-pci")), expected);
        // No multiplexer, no second monitor.
        assert_eq!(labels(&qmp.ask("query-chardev")), ["con0", "qmp"]);
        c.delete_force().ok();
    }
    drop(network);
    nothing_left(s);
}

/// Vendor and device of everything on the PCI buses, sorted.
fn pci(buses: &Value) -> Vec<String> {
    let devices =
        buses.as_array().expect("buses").iter().flat_map(|bus| bus["devices"].as_array().expect("devices"));
    let number = |device: &Value, name: &str| device["id"][name].as_u64().expect("a number");
    let mut ids: Vec<String> =
        devices.map(|d| format!("{:04x}:{:04x}", number(d, "vendor"), number(d, "device"))).collect();
    ids.sort();
    ids
}

/// Names of the character devices, sorted.
fn labels(devices: &Value) -> Vec<&str> {
    let mut labels: Vec<&str> =
        devices.as_array().expect("devices").iter().filter_map(|device| device["label"].as_str()).collect();
    labels.sort_unstable();
    labels
}

/// Ctrl-A and c, which would open QEMU's own monitor on a multiplexed console, are the guest's.
fn no_monitor_on_console(s: &Sandbox) {
    let bundle = real(s, "b").with("/process/terminal", json!(true));
    let c = s.container("a", &bundle);
    let mut terminal = crate::lifecycle::console::create(&c);
    c.start().ok();
    rustix::fs::fcntl_setfl(&terminal, rustix::fs::OFlags::NONBLOCK).expect("a terminal");
    let mut seen = Vec::new();
    let mut until_seen = |terminal: &mut std::fs::File, what: &[u8]| {
        until(&format!("the guest says {:?}", what.escape_ascii()), || {
            let mut buffer = [0; 256];
            let n = terminal.read(&mut buffer).unwrap_or_default();
            seen.extend(&buffer[..n]);
            seen.ends_with(what)
        });
        std::mem::take(&mut seen)
    };
    until_seen(&mut terminal, b"!");
    let keys = b"\x01c\x01hinfo version\r";
    terminal.write_all(keys).expect("a terminal");
    assert_eq!(until_seen(&mut terminal, b"\r").escape_ascii().to_string(), keys.escape_ascii().to_string());
    c.delete_force().ok();
    drop(terminal);
    std::fs::remove_file(s.dir.join("tty")).expect("socket");
    nothing_left(s);
}
