//! The group `net-storm`: ten networks at once, and in each of them five lives one after the other. Every guest answers,
//! and however it ends, its network is what it was. `STORM=N` divides the number of Linux guests by N: emulated, each of
//! them takes seconds to boot. The own virtual machine takes a tenth of one.

use super::serving;
use super::wire::Wire;
use crate::chaos::scaled;
use crate::harness::Case;
use crate::net_linux;
use crate::reality::network::{inventory_of, ip};
use crate::sandbox::Sandbox;
use crate::storm::Worker;
use crate::virtio_guest;
use rustix::process::{Signal, kill_process};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpStream};

/// Lives of a case, and how many at once.
const LIVES: u64 = 50;
const NETWORKS: u64 = 10;
const GUEST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

/// Who serves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guest {
    /// The own guest on the built-in monitor.
    Http,
    /// The own virtual machine on QEMU.
    Machine,
    /// Debian's kernel on QEMU.
    Linux,
}

/// How a guest ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// By the signal that engines send first.
    Stopped,
    /// By SIGKILL, which the runtime does not hear of.
    KilledByOthers,
    /// When it has served what it was asked for.
    ByItself,
    /// Stopped when its namespace has lost its name.
    WithoutNamespace,
}

const GUESTS: [(&str, Guest); 3] =
    [("guests", Guest::Http), ("machines", Guest::Machine), ("linux-guests", Guest::Linux)];
const ENDS: [(&str, End); 4] = [
    ("that-are-stopped", End::Stopped),
    ("that-others-kill", End::KilledByOthers),
    ("that-end-by-themselves", End::ByItself),
    ("whose-namespace-is-deleted", End::WithoutNamespace),
];

/// All cases of the group.
pub(super) fn cases() -> Vec<Case> {
    let pairs = GUESTS.into_iter().flat_map(|guest| ENDS.map(|end| (guest, end)));
    let case = |((who, guest), (how, end)): ((&str, Guest), (&str, End))| {
        Case::new("net-storm", format!("{who}-{how}"), move |s| storm(s, guest, end))
    };
    pairs.map(case).collect()
}

fn storm(s: &Sandbox, guest: Guest, end: End) {
    let lives = if guest == Guest::Linux { scaled(LIVES) } else { LIVES };
    let networks = lives.min(NETWORKS);
    let places: Vec<Place> = (0..networks)
        .filter_map(|number| usize::try_from(number).ok())
        .map(|n| Place::new(s, n, guest, end))
        .collect();
    std::thread::scope(|scope| {
        for place in &places {
            scope.spawn(move || (0..lives / networks).for_each(|_| place.life(guest, end)));
        }
    });
    drop(places);
    let left = s.leftovers();
    assert!(left.is_empty(), "{left:#?}");
}

/// A network, and who lives there.
struct Place {
    wire: Wire,
    before: String,
    worker: Worker,
}

impl Place {
    fn new(s: &Sandbox, number: usize, guest: Guest, end: End) -> Self {
        let (wire, name) = (Wire::numbered(s, number), format!("w{number}"));
        let bundle = match guest {
            Guest::Linux => net_linux::serving(s.bundle(&name)),
            Guest::Machine if end == End::ByItself => {
                virtio_guest::with(s.bundle(&name), &["http", "--requests=1"])
            }
            Guest::Machine => virtio_guest::with(s.bundle(&name), &["http"]),
            Guest::Http if end == End::ByItself => {
                serving(s.bundle(&name), "http", &["serve", "--requests=1"])
            }
            Guest::Http => serving(s.bundle(&name), "http", &["serve"]),
        };
        let bundle = bundle.namespace("network", Some(&wire.guest_path().display().to_string()));
        Self { before: inventory_of(wire.guest()), worker: Worker::of(s, &name, &bundle), wire }
    }

    fn life(&self, guest: Guest, end: End) {
        self.worker.create_and_start();
        self.answers();
        match end {
            End::Stopped => self.stop(),
            End::KilledByOthers => kill_process(self.worker.pid(), Signal::KILL).expect("a guest"),
            End::ByItself if guest == Guest::Linux => self.wire.as_client(ask_for_the_end),
            End::ByItself => {}
            End::WithoutNamespace => {
                ip(&format!("netns delete {}", self.wire.guest()));
                self.answers();
                self.stop();
            }
        }
        let status = self.worker.reap();
        assert!(end != End::ByItself || status.exit_status() == Some(0), "{status:?}");
        self.worker.step(&["delete"], &[]);
        if end == End::WithoutNamespace {
            self.wire.renew();
        } else {
            assert_eq!(inventory_of(self.wire.guest()), self.before);
        }
    }

    /// The guest serves a page, as soon as it has booted.
    fn answers(&self) {
        let page = self.wire.as_client(|| net_linux::get(GUEST, "/"));
        assert!(!page.is_empty());
    }

    fn stop(&self) {
        self.worker.step(&["kill"], &["TERM"]);
    }
}

/// Nobody waits for an answer: a machine that is off closes no connection.
fn ask_for_the_end() {
    let mut stream = TcpStream::connect((GUEST, 80)).expect("a guest that serves");
    stream.write_all(b"GET /cgi-bin/end HTTP/1.0\r\n\r\n").expect("a request");
}
