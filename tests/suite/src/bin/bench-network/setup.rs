//! The connection itself: facts, tap, redirects.

use crate::percentile;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;
use suite::net_guest::wire::Wire;
use suite::sandbox::Sandbox;
use urunc_plan::launch::Tap;
use urunc_sys::net;

/// Set-ups of each; the first of each is not counted.
const ROUNDS: usize = 101;
/// At most so many times the C program's time.
const GOAL: f64 = 1.5;

pub(crate) fn compare(s: &Sandbox, program: &Path) {
    let wire = Wire::numbered(s, 0);
    let netns = File::open(wire.guest_path()).expect("a namespace");
    let index = net::facts(netns.as_fd()).expect("facts").devices[0].index;
    let tap = tap(index);
    let mut peer = Peer::spawn(program, &wire.guest_path(), index);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(microseconds(&netns, &tap));
        theirs.push(peer.microseconds());
    }
    let median = |name: &str, values: &mut [f64]| {
        let [low, median, high] = [10, 50, 90].map(|percent| percentile(&mut values[1..], percent));
        println!("{name:>5}: {low:.0} {median:.0} {high:.0}");
        median
    };
    println!("network set-up, {} times each, alternating; µs: p10, median, p90", ROUNDS - 1);
    let ratio = median("ours", &mut ours) / median("C", &mut theirs);
    println!("ratio of medians: {ratio:.2} (goal: at most {GOAL})");
}

/// One set-up of ours, undone again.
fn microseconds(netns: &File, tap: &Tap) -> f64 {
    let begin = Instant::now();
    net::facts(netns.as_fd()).expect("facts");
    let fd = net::connect(netns.as_fd(), tap, "urunc:bench:1:1").expect("a connection");
    let took = begin.elapsed();
    net::disconnect(netns.as_fd(), tap).expect("no connection");
    drop(fd);
    took.as_secs_f64() * 1e6
}

/// The connection that `connect.c` makes.
fn tap(device_index: u32) -> Tap {
    Tap {
        name: "tap0_urunc".into(),
        device: "eth0".into(),
        device_index,
        mtu: 1500,
        uid: 65534,
        gid: 65534,
        alias: "bench".into(),
        ..Tap::default()
    }
}

/// The C program: one set-up for each line that it reads.
struct Peer {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn spawn(program: &Path, netns: &Path, index: u32) -> Self {
        let mut command = Command::new(program);
        command.arg(netns).arg(index.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, output }
    }

    fn microseconds(&mut self) -> f64 {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(b"\n").expect("a line");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        let nanoseconds: f64 = line.trim().parse().expect("a number");
        nanoseconds / 1000.0
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.child.stdin.take());
        self.child.wait().expect("an end");
    }
}
