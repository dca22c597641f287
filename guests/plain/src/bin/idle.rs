//! Prints a line and waits for ever.
#![no_std]
#![no_main]

use solo5::{BootInfo, clock, println, sleep_until};

solo5::guest!(main);

const DAY: u64 = 86_400_000_000_000;

fn main(info: &'static BootInfo) -> u8 {
    println!("idle");
    loop {
        sleep_until(info, clock(1) + DAY);
    }
}
