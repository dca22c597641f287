//! Ten networks at once, one life after the other in each: every guest answers, and nothing of it is left behind.

use super::wire::Wire;
use super::{MEMORY, MIRAGE};
use crate::bundle::Bundle;
use crate::chaos::scaled;
use crate::harness::Case;
use crate::image::{guest, with_devices};
use crate::net_linux;
use crate::reality::network::{inventory_of, ip};
use crate::sandbox::Sandbox;
use crate::storm::Worker;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use urunc_plan::solo5::Declared;

const NETWORKS: usize = 10;
const GUEST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

/// All cases of the group; `STORM=N` divides the rounds by N.
pub(super) fn cases() -> Vec<Case> {
    let case = |name: &'static str, run: fn(&Sandbox)| Case::new("net-storm", name, run);
    vec![
        case("guests-that-are-stopped", |s| storm(s, 5, http, End::Stopped)),
        case("guests-that-others-kill", |s| storm(s, 5, http, End::KilledByOthers)),
        case("guests-that-end-by-themselves", |s| storm(s, 5, brief, End::ByItself)),
        case("guests-whose-namespace-is-deleted", |s| storm(s, 1, http, End::WithoutNamespace)),
        case("linux-guests-that-are-stopped", |s| storm(s, emulated(), linux, End::Stopped)),
        case("linux-guests-that-others-kill", |s| storm(s, emulated(), linux, End::KilledByOthers)),
    ]
}

/// An emulated kernel takes its time: five rounds with `EVERY=1`.
fn emulated() -> u64 {
    if std::env::var_os("EVERY").is_some() { 5 } else { 1 }
}

/// How a guest ends.
#[derive(Clone, Copy)]
enum End {
    /// By the signal that engines send first.
    Stopped,
    /// By SIGKILL, which the runtime does not hear of.
    KilledByOthers,
    /// As soon as it has begun.
    ByItself,
    /// Stopped when its namespace has lost its name.
    WithoutNamespace,
}

/// A container in its network.
struct Life<'a> {
    wire: &'a Wire,
    worker: &'a Worker,
}

/// `rounds` lives in each network, of the guest that `bundle` makes.
fn storm(s: &Sandbox, rounds: u64, bundle: fn(Bundle) -> Bundle, end: End) {
    let wires: Vec<Wire> = (0..NETWORKS).map(|number| Wire::numbered(s, number)).collect();
    let workers = wires.iter().enumerate().map(|(number, wire)| {
        let name = format!("w{number}");
        let path = wire.guest_path().display().to_string();
        Worker::of(s, &name, &bundle(s.bundle(&name)).namespace("network", Some(&path)))
    });
    let workers: Vec<Worker> = workers.collect();
    std::thread::scope(|scope| {
        for (wire, worker) in wires.iter().zip(&workers) {
            scope.spawn(move || {
                let before = inventory_of(wire.guest());
                for _ in 0..scaled(rounds).max(1) {
                    worker.create_and_start();
                    Life { wire, worker }.end(end);
                    if wire.guest_path().exists() {
                        assert_eq!(inventory_of(wire.guest()), before);
                    }
                }
            });
        }
    });
    drop(wires);
    let left = s.leftovers();
    assert!(left.is_empty(), "{left:#?}");
}

impl Life<'_> {
    /// The guest answers for as long as it takes to boot.
    fn answers(&self) {
        let page = self.wire.as_client(|| net_linux::get(GUEST, "/"));
        assert!(!page.is_empty());
    }

    fn end(&self, end: End) {
        if !matches!(end, End::ByItself) {
            self.answers();
        }
        match end {
            End::Stopped => self.worker.step(&["kill"], &["TERM"]),
            End::KilledByOthers => {
                rustix::process::kill_process(self.worker.pid(), rustix::process::Signal::KILL)
                    .expect("kill");
            }
            End::ByItself => {}
            End::WithoutNamespace => {
                ip(&format!("netns delete {}", self.wire.guest()));
                self.answers();
                self.worker.step(&["kill"], &["TERM"]);
            }
        }
        self.worker.reap();
        self.worker.step(&["delete"], &[]);
    }
}

fn http(bundle: Bundle) -> Bundle {
    let kernel = std::fs::read(guest("http")).expect("guest");
    let bundle = bundle.unikernel(&kernel, &MIRAGE).with("/process/args", json!(["serve"]));
    bundle.with("/linux/resources/memory", json!({"limit": MEMORY}))
}

/// Ends as soon as it has begun; it declares a network device, and so has a tap.
fn brief(bundle: Bundle) -> Bundle {
    let service = Declared { name: "service".into(), net: true };
    bundle.unikernel(&with_devices("hello", &[service]), &MIRAGE)
}

fn linux(bundle: Bundle) -> Bundle {
    net_linux::serving(bundle)
}
