//! Reads two sectors at once from `storage`: dies of SIGSYS (159).
#![no_std]
#![no_main]

use solo5::{BootInfo, println};

solo5::guest!(main, block "storage");

fn main(info: &'static BootInfo) -> u8 {
    println!("oversized");
    let Some(device) = info.device("storage") else { return 1 };
    device.read_sector(0, &mut [0; 1024]);
    println!("still alive");
    0
}
