//! Prints both clocks and sleeps a tenth of a second by poll.
#![no_std]
#![no_main]

use solo5::{BootInfo, clock, println, sleep_until};

solo5::guest!(main);

const SLEEP: u64 = 100_000_000;

fn main(info: &'static BootInfo) -> u8 {
    let (wall, before) = (clock(0), clock(1));
    println!("wall {}.{:09}", wall / 1_000_000_000, wall % 1_000_000_000);
    println!("monotonic {}.{:09}", before / 1_000_000_000, before % 1_000_000_000);
    sleep_until(info, before + SLEEP);
    let slept = clock(1) - before;
    println!("slept {}", if slept >= SLEEP { "long enough" } else { "too short" });
    u8::from(slept < SLEEP)
}
