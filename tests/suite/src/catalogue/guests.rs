//! F: monitors and guests.

use super::qmp::{Qmp, real};
use super::{Entry, in_words, nothing_left, rounds};
use crate::bad_input::one_line;
use crate::command::until;
use crate::harness::Case;
use crate::image::{KERNEL, LINUX, guest, replaced};
use crate::probe::linux_on_probe;
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
    ("f-05-the-processor-of-an-hvt-guest", processor),
    ("f-06-the-guest-is-alone-in-its-address-space", address_space),
    ("f-06-broken-kernels-meet-the-loader", loader),
    ("f-06-forbidden-hypercalls-end-an-hvt-guest", crate::hvt_guest::forbidden_calls),
    ("f-08-a-monitor-that-lies", lying_monitor),
];

/// What a board without default devices has on its PCI bus.
const BOARDS: [(&str, &[&str]); 3] = [
    // Host bridge, LPC bridge, AHCI, SMBus.
    ("q35", &["8086:29c0", "8086:2918", "8086:2922", "8086:2930"]),
    // Host bridge, ISA bridge, IDE, power management.
    ("pc", &["8086:1237", "8086:7000", "8086:7010", "8086:7113"]),
    // No bus: its devices are in memory.
    ("microvm", &[]),
];
/// virtio 1.2, "PCI Device Discovery": transitional ids.
const NIC: &str = "1af4:1000";
const DISK: &str = "1af4:1001";

/// One plan each on every board: without devices, with a disk, with a network, with both.
fn planned_devices(s: &Sandbox) {
    let network = Network(s);
    let path = Network::make(s, &Network::usual());
    let plans = [&[][..], &[DISK], &[NIC], &[NIC, DISK]];
    for ((board, own), planned) in BOARDS.iter().flat_map(|board| plans.map(|plan| (board, plan))) {
        std::fs::write(&s.settings, format!("[monitors.qemu]\nmachine = \"{board}\"\n")).expect("settings");
        let mut bundle = real(s, &format!("{board}-{}", planned.join("-").replace(':', "-")));
        if planned.contains(&NIC) {
            bundle = bundle.namespace("network", Some(&path));
        }
        if planned.contains(&DISK) {
            std::fs::write(bundle.rootfs().join("disk"), vec![0; 1 << 16]).expect("disk");
            bundle = bundle.keys(&replaced(&LINUX, "block", "/disk"));
        }
        let c = s.container("a", &bundle);
        c.launch();
        let mut qmp = Qmp::take(c.pid());
        let on_the_bus = planned.iter().filter(|_| !own.is_empty());
        let mut expected: Vec<String> = own.iter().chain(on_the_bus).map(|&id| id.to_owned()).collect();
        expected.sort();
        assert_eq!(pci(&qmp.ask("query-pci")), expected);
        // No multiplexer, no second monitor.
        assert_eq!(labels(&qmp.ask("query-chardev")), ["con0", "qmp"]);
        kept_to_itself(&c.proc("smaps"));
        c.delete_force().ok();
    }
    drop(network);
    nothing_left(s);
}

/// No mapping is open to KSM (`mg` of proc_pid_smaps(5)), and the guest's memory, the largest one, is in no dump (`dd`).
fn kept_to_itself(smaps: &str) {
    let mut largest = (0, String::new());
    let mut size = 0;
    for line in smaps.lines() {
        if let Some(rest) = line.strip_prefix("Size:") {
            size = rest.trim().trim_end_matches(" kB").parse().expect("a size");
        }
        let Some(flags) = line.strip_prefix("VmFlags:") else { continue };
        assert!(!flags.split_whitespace().any(|flag| flag == "mg"), "{flags}");
        if size > largest.0 && flags.split_whitespace().any(|flag| flag == "wr") {
            largest = (size, flags.to_owned());
        }
    }
    assert!(largest.1.split_whitespace().any(|flag| flag == "dd"), "{largest:?}");
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

/// Leaf, subleaf, and bits of eax, ebx, ecx and edx that no guest has (Intel SDM volume 2, AMD APM volume 3, CPUID).
const HIDDEN: [(u32, u32, [u32; 4]); 11] = [
    // VMX, SMX, PDCM.
    (1, 0, [0, 0, 1 << 5 | 1 << 6 | 1 << 15, 0]),
    // SGX, HLE, RTM, MPX, PT; SGX_LC; LBR.
    (7, 0, [0, 1 << 2 | 1 << 4 | 1 << 11 | 1 << 14 | 1 << 25, 1 << 30, 1 << 19]),
    // Performance monitor.
    (0xa, 0, [!0; 4]),
    // MPX.
    (0xd, 0, [0x18, 0, 0, 0]),
    // SGX, PT.
    (0x12, 0, [!0; 4]),
    (0x14, 0, [!0; 4]),
    // KVM's paravirtual interfaces.
    (0x4000_0000, 0, [!0; 4]),
    // SVM, SKINIT, performance monitor.
    (0x8000_0001, 0, [0, 0, 1 << 2 | 1 << 12 | 1 << 23 | 1 << 24 | 1 << 28, 0]),
    (0x8000_000a, 0, [!0; 4]),
    (0x8000_001f, 0, [!0; 4]),
    (0x8000_0022, 0, [!0; 4]),
];

/// The guest prints every leaf; nothing in them lets it make machines or measure its neighbours.
fn processor(s: &Sandbox) {
    let said = s.container("a", &s.bundle("b").hvt("processor")).on_bundle("run", &[]).ok().stdout;
    let number = |word: &str| u32::from_str_radix(word, 16).expect("a number");
    let leaves: Vec<Vec<u32>> =
        said.lines().map(|line| line.split(' ').map(number).collect::<Vec<_>>()).collect();
    assert!(
        leaves.iter().any(|leaf| leaf[0] == 1) && leaves.iter().any(|leaf| leaf[0] == 0x8000_0001),
        "{said}"
    );
    for (function, index, bits) in HIDDEN {
        for leaf in leaves.iter().filter(|leaf| leaf[..2] == [function, index]) {
            let seen: Vec<u32> = leaf[2..].iter().zip(bits).map(|(value, bits)| value & bits).collect();
            assert_eq!(seen, [0; 4], "{leaf:x?}");
        }
    }
    nothing_left(s);
}

/// Guest memory of 64 MiB with the idle guest in it; code is never writable, and nothing of the monitor is left.
const IDLE_MAPS: [&str; 6] = [
    // Boot information, manifest and command line: after the start nobody but the guest reads them.
    "00010000-00024000 rw-p",
    "00024000-00025000 r-xp",
    "00025000-00100000 rw-p",
    "00100000-00101000 r-xp",
    "00101000-00102000 r--p",
    "00102000-04000000 rw-p",
];

fn address_space(s: &Sandbox) {
    let limit = json!({"limit": 66 << 20});
    let c = s.container("a", &s.bundle("b").spt("idle").with("/linux/resources/memory", limit));
    c.launch();
    until("the guest runs", || c.proc("maps").lines().count() <= IDLE_MAPS.len() + 3);
    let (maps, smaps) = (c.proc("maps"), c.proc("smaps"));
    let own: Vec<&str> = maps.lines().take(IDLE_MAPS.len()).map(|line| &line[..IDLE_MAPS[0].len()]).collect();
    assert_eq!(own, IDLE_MAPS);
    let foreign = crate::memory::foreign(&smaps, 64 << 20);
    assert!(foreign.is_empty(), "{foreign:#?}");
    // `dd` of proc_pid_smaps(5): in no core dump. `mg`: never shared with equal pages of others.
    for flags in smaps.lines().filter_map(|line| line.strip_prefix("VmFlags:")).take(IDLE_MAPS.len()) {
        let has = |flag: &str| flags.split_whitespace().any(|seen| seen == flag);
        assert!(has("dd") && !has("mg"), "{flags}");
    }
}

/// The hello guest with some bytes of its headers and notes changed: refused in words, or a guest like any other.
fn loader(s: &Sandbox) {
    let seed = std::env::var("SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0x0050_1055_u64);
    let mut state = seed;
    let mut random = |below: usize| {
        // The generator of Knuth's MMIX; its upper bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    let good = std::fs::read(guest("hello")).expect("guest");
    let bundle = s.bundle("b").spt("hello");
    let (mut refused, mut lived) = (0, 0);
    for round in 0..rounds(4_000) {
        let mut kernel = good.clone();
        for _ in 0..=random(3) {
            // File header, program headers and notes are in the first page.
            let at = random(1024);
            kernel[at] = match random(4) {
                0 => 0,
                1 => 0xff,
                2 => kernel[at] ^ (1 << random(8)),
                _ => u8::try_from(random(256)).expect("a byte"),
            };
        }
        std::fs::write(bundle.rootfs().join(KERNEL), kernel).expect("kernel");
        let c = s.container("a", &bundle);
        let created = c.create();
        if created.code != 0 {
            refused += 1;
            one_line(s, &created, "");
            continue;
        }
        lived += 1;
        in_words(s, &c.start());
        let deleted = c.delete_force();
        assert!(deleted.code == 0, "seed {seed}, round {round}: {}", deleted.stderr);
    }
    assert!(refused > 0 && lived > 0, "seed {seed}: {refused} refused, {lived} lived");
    nothing_left(s);
}

/// Whatever a monitor says before it is ready, `start` succeeds or fails in one clean line, and in time.
fn lying_monitor(s: &Sandbox) {
    let mut failed = 0;
    for seed in 0..rounds(720) {
        let bundle = linux_on_probe(s, &["probe=quiet", &format!("probe=noise:{seed}")]);
        let settings = std::fs::read_to_string(&s.settings).expect("settings");
        std::fs::write(&s.settings, format!("{settings}[runtime]\nstart_timeout = 1\n")).expect("settings");
        let c = s.container("a", &bundle);
        c.create().ok();
        let started = c.start();
        if started.code != 0 {
            failed += 1;
            one_line(s, &started, "qemu");
        }
        c.delete_force().ok();
        std::fs::remove_dir_all(&bundle.path).expect("bundle");
    }
    assert!(failed > 0, "every lie was believed");
    nothing_left(s);
}
