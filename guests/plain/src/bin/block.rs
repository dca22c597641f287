//! Writes a pattern to the first and last sector of its device `storage`, reads it back and prints the result.
#![no_std]
#![no_main]

use solo5::{BootInfo, println};

solo5::guest!(main, block "storage");

const SECTOR: usize = 512;

fn main(info: &'static BootInfo) -> u8 {
    let Some(device) = info.device("storage") else { return 1 };
    let (size, sector) = (device.capacity(), device.sector_size());
    println!("storage of {size} bytes, sectors of {sector}");
    if sector != SECTOR as u64 {
        println!("cannot use this sector size");
        return 1;
    }
    let mut first = [0; SECTOR];
    if !device.read_sector(0, &mut first) {
        println!("cannot read");
        return 1;
    }
    println!("first byte {:#04x}", first[0]);
    for (offset, fill) in [(0, 0xa5), (size - sector, 0x5a)] {
        let mut back = [0; SECTOR];
        if !device.write_sector(offset, &[fill; SECTOR]) {
            println!("read-only at {offset}");
            return 2;
        }
        if !device.read_sector(offset, &mut back) || back != [fill; SECTOR] {
            println!("wrong data at {offset}");
            return 1;
        }
    }
    println!("block ok");
    0
}
