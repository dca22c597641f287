//! Calls its data: dies of SIGSEGV (139).
#![no_std]
#![no_main]

use core::sync::atomic::AtomicU64;

use solo5::{BootInfo, println};

solo5::guest!(main);

/// Eight times `ret`, in a writable page.
static CODE: AtomicU64 = AtomicU64::new(0xc3c3_c3c3_c3c3_c3c3);

fn main(_: &'static BootInfo) -> u8 {
    println!("exec-data");
    // SAFETY: the call faults, which is the purpose.
    unsafe { core::mem::transmute::<*mut u64, extern "C" fn()>(CODE.as_ptr())() };
    println!("still alive");
    0
}
