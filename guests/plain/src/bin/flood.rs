//! Writes to the console for ever, whether anybody reads or not.
#![no_std]
#![no_main]

use solo5::{BootInfo, println};

solo5::guest!(main);

fn main(_: &'static BootInfo) -> u8 {
    loop {
        println!("a line of sixty-four bytes, again and again and again and again");
    }
}
