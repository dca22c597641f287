//! Ends as solo5_abort does: 255.
#![no_std]
#![no_main]

use solo5::{BootInfo, println};

solo5::guest!(main);

fn main(_: &'static BootInfo) -> u8 {
    println!("abort");
    solo5::abort()
}
