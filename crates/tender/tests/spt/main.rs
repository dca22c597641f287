//! The built-in monitor with real guests: output, exit codes, signals, devices, what is left of the runtime.
//!
//! This program is also the process that becomes the guest (`child.rs`). Needs root, for pid namespaces.
#![allow(unsafe_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::exit)]
#![allow(clippy::cast_possible_truncation)]

mod boundary;
mod child;
mod devices;
mod ends;
mod guest;
mod hostile;
#[path = "../../../plan/tests/solo5/image.rs"]
mod image;
mod refusals;
mod run;

use libtest_mimic::{Arguments, Trial};
use urunc_plan::launch::Target;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [child::ROLE, orders] => child::run(orders),
        [hostile::ROLE, seed, count] => hostile::run(seed.parse().unwrap(), count.parse().unwrap()),
        _ => {}
    }
    let trials = [ends::TESTS, boundary::TESTS, devices::TESTS, refusals::TESTS, hostile::TESTS].concat();
    let trials = trials.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// What the guests are made for.
pub const TARGET: Target = Target::Spt;

/// A named test.
type Test = (&'static str, fn());

/// The functions of a module as tests.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub const TESTS: &[crate::Test] = &[$((stringify!($name), $name)),*];
    };
}
use tests;
