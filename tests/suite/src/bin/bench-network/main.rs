//! `bench-network CONNECT`: what a guest's connection costs. Setting it up, beside CONNECT, a C program that says the same
//! to the kernel (`tests/bench/connect.c`); then throughput and latency through it, beside a veth pair alone. Rounds
//! alternate, so a change of the machine's load hits both.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod setup;
mod traffic;

use std::path::Path;
use suite::sandbox::{Runtime, Sandbox};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [connect] = &arguments[..] else {
        eprintln!("usage: bench-network CONNECT");
        std::process::exit(2);
    };
    let sandbox = Sandbox::new(Runtime::from_env());
    setup::compare(&sandbox, Path::new(connect));
    traffic::compare(&sandbox);
    let left = sandbox.finish();
    sandbox.remove();
    assert!(left.is_empty(), "{left:#?}");
}

/// What is not exceeded by so many per cent of the values.
fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}
