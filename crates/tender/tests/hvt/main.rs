//! The built-in monitor with guests in virtual machines: output, exit codes, signals, devices, and what a hypercall may
//! not do. The guests are integer code, for a `/dev/kvm` that only emulates instructions.
//!
//! This program is also the process that becomes the guest (`child.rs`). Needs root, and `/dev/kvm`.
#![cfg(target_arch = "x86_64")]
#![allow(unsafe_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::exit)]
#![allow(clippy::cast_possible_truncation)]

mod boundary;
mod calls;
#[path = "../spt/child.rs"]
mod child;
mod devices;
mod ends;
mod guest;
#[path = "../../../plan/tests/solo5/image.rs"]
mod image;
mod refusals;
#[path = "../spt/run.rs"]
mod run;

use libtest_mimic::{Arguments, Trial};
use urunc_plan::launch::Target;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [child::ROLE, orders] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        child::run(orders)
    }
    let trials = [ends::TESTS, boundary::TESTS, calls::TESTS, devices::TESTS, refusals::TESTS].concat();
    let trials = trials.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// What the guests are made for.
pub const TARGET: Target = Target::Hvt;

/// A named test.
type Test = (&'static str, fn());

/// The functions of a module as tests.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub const TESTS: &[crate::Test] = &[$((stringify!($name), $name)),*];
    };
}
use tests;
