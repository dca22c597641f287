//! The guest `syscalls`: random system calls, with a disk and a network at hand.

use super::{case, seed};
use crate::bundle::Bundle;
use crate::chaos::{Random, scaled};
use crate::command::wait;
use crate::harness::Case;
use crate::image::{SPT, guest};
use crate::reality::network::{Network, ip};
use crate::sandbox::{Sandbox, text};
use serde_json::json;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

/// Guests that run beside each other, and calls of each that the filter lets through.
const GUESTS: u64 = 2;
const CALLS: u64 = 5_000_000;
/// Guests that make one call which it does not.
const FORBIDDEN: u64 = 300;
/// Longest life: a loaded machine's.
const LIMIT: Duration = Duration::from_mins(8);
const DISK: usize = 1 << 20;

pub(super) fn cases() -> Vec<Case> {
    let allowed = (0..GUESTS).map(|number| {
        let name = format!("{CALLS}-random-calls-that-the-filter-lets-through-{number}");
        case(name, move |s| allowed(s, seed() + number))
    });
    let forbidden = case(format!("{FORBIDDEN}-random-forbidden-calls"), forbidden);
    allowed.chain([forbidden]).collect()
}

/// The guest with its devices; the network namespace is the case's.
fn bundle(s: &Sandbox) -> Bundle {
    let mut keys = SPT.to_vec();
    keys.push(("block", "/disk"));
    let bundle = s.bundle("b").unikernel(&fs::read(guest("syscalls")).expect("guest"), &keys);
    fs::write(bundle.rootfs().join("disk"), vec![0; DISK]).expect("disk");
    let bundle = bundle.namespace("network", Some(&Network::path(s).display().to_string()));
    bundle.with("/linux/resources/memory", json!({"limit": 64 << 20}))
}

/// Runs the guest to its end; returns its exit code and the end of what it printed, which may be gigabytes.
fn run(s: &Sandbox, bundle: &Bundle, words: &str) -> (i32, String) {
    let bundle = bundle.clone().with("/process/args", json!([words])).path.display().to_string();
    let (mut command, output) = s.command(["run", "--bundle", &bundle, &s.id("a")]);
    let errors = fs::File::create(output.with_extension("err")).expect("output file");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn().expect("run");
    let mut pipe = child.stdout.take().expect("a pipe");
    let tail = std::thread::spawn(move || {
        let (mut tail, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
        while let Some(length) = pipe.read(&mut chunk).ok().filter(|length| *length > 0) {
            tail.extend(&chunk[..length]);
            tail.drain(..tail.len().saturating_sub(64));
        }
        String::from_utf8_lossy(&tail).into_owned()
    });
    let code = wait(&mut child, LIMIT, words);
    let said = text(&output.with_extension("err"));
    assert!(said.is_empty(), "{words}: {said}");
    (code, tail.join().expect("no panic"))
}

/// Sends datagrams to the guest, until this process ends: from the host's end of the network, where its device is known.
fn traffic() {
    let pid = std::process::id();
    let device = Network::last_peer();
    // 198.18.0.0/15 is for tests of network devices, RFC 2544.
    let address = move |host: u32| Ipv4Addr::from_bits(0xc612_0000 | (pid & 0x7fff) << 2 | host);
    let mac = &Network::usual().devices[0].mac;
    ip(&format!("link set {device} up"));
    ip(&format!("addr add {}/30 dev {device}", address(1)));
    ip(&format!("neigh add {} lladdr {mac} dev {device}", address(2)));
    let socket = UdpSocket::bind((address(1), 0)).expect("an address of ours");
    let mut random = Random(seed());
    std::thread::spawn(move || {
        loop {
            for _ in 0..16 {
                let bytes = vec![0x5a; usize::try_from(random.below(1400)).expect("small")];
                // The network goes before this process.
                let _ = socket.send_to(&bytes, (address(2), 9));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

fn allowed(s: &Sandbox, seed: u64) {
    let _network = Network(s);
    Network::make(s, &Network::usual());
    traffic();
    let calls = scaled(CALLS);
    let (code, tail) = run(s, &bundle(s), &format!("{seed} {calls}"));
    let last = tail.lines().last().unwrap_or_default();
    assert_eq!((code, last), (0, &*format!("made {calls} calls")), "seed {seed}");
    Network::remove(s);
}

fn forbidden(s: &Sandbox) {
    let _network = Network(s);
    Network::make(s, &Network::usual());
    let bundle = bundle(s);
    let first = seed().wrapping_mul(FORBIDDEN);
    for seed in first..first + scaled(FORBIDDEN) {
        let end = run(s, &bundle, &seed.to_string());
        assert_eq!(end, (128 + libc::SIGSYS, String::new()), "seed {seed}");
    }
    Network::remove(s);
}
