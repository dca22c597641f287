//! Writes every page but those of the image, the stack and the tender's first ones, reads all back and prints the size
//! of memory.
#![no_std]
#![no_main]

use solo5::{BootInfo, FREE_BELOW_IMAGE, image_end, println};

solo5::guest!(main);

const PAGE: u64 = 4096;

fn main(info: &'static BootInfo) -> u8 {
    let here = 0u64;
    let stack = (&raw const here).addr() as u64;
    let above = image_end().next_multiple_of(PAGE)..stack - 4 * PAGE;
    let pages = || FREE_BELOW_IMAGE.chain(above.clone()).step_by(PAGE as usize);
    for address in pages() {
        let page = core::ptr::with_exposed_provenance_mut::<u64>(address as usize);
        // SAFETY: the memory between image and stack is the guest's, and nobody else uses it.
        unsafe { page.write_volatile(address) };
    }
    for address in pages() {
        let page = core::ptr::with_exposed_provenance::<u64>(address as usize);
        // SAFETY: as above.
        if unsafe { page.read_volatile() } != address {
            println!("wrong data at {address:#x}");
            return 1;
        }
    }
    println!("touched {} MiB", info.mem_size >> 20);
    0
}
