//! Ends with the number on its command line; 255 when there is none.
#![no_std]
#![no_main]

use solo5::{BootInfo, println};

solo5::guest!(main);

fn main(info: &'static BootInfo) -> u8 {
    let status = info.cmdline().trim().parse().unwrap_or(255);
    println!("exit {status}");
    status
}
