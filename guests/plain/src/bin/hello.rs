//! Prints a banner and its command line.
#![no_std]
#![no_main]

use solo5::{BootInfo, println};

solo5::guest!(main);

fn main(info: &'static BootInfo) -> u8 {
    println!("hello from a solo5 guest");
    println!("cmdline: <{}>", info.cmdline());
    0
}
