//! Reads address 0: dies of SIGSEGV (139).
#![no_std]
#![no_main]

use solo5::{BootInfo, println};

solo5::guest!(main);

fn main(_: &'static BootInfo) -> u8 {
    println!("segv");
    // SAFETY: the access faults, which is the purpose.
    unsafe { core::ptr::without_provenance::<u8>(0).read_volatile() };
    println!("still alive");
    0
}
