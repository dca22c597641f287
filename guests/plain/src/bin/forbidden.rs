//! Calls getpid: dies of SIGSYS (159).
#![no_std]
#![no_main]

use solo5::{BootInfo, println};

solo5::guest!(main);

fn main(_: &'static BootInfo) -> u8 {
    println!("forbidden");
    solo5::raw(39, [0; 4]);
    println!("still alive");
    0
}
