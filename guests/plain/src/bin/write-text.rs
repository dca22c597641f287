//! Writes to its own code: dies of SIGSEGV (139).
#![no_std]
#![no_main]

use solo5::{BootInfo, println};

solo5::guest!(main);

fn main(_: &'static BootInfo) -> u8 {
    println!("write-text");
    let code = main as fn(&'static BootInfo) -> u8 as usize;
    // SAFETY: the access faults, which is the purpose.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(code).write_volatile(0xcc) };
    println!("still alive");
    0
}
