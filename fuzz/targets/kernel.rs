//! Kernel files of any kind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc_fuzz::refused;
use urunc_plan::kernel::{KernelFormat, inspect};

fuzz_target!(|bytes: &[u8]| {
    let facts = inspect(&bytes);
    assert_eq!(facts.bytes, bytes.len() as u64);
    assert!(facts.solo5.is_none() || facts.format == KernelFormat::Elf64);
    assert!(facts.machine.is_empty() || facts.format != KernelFormat::Unknown);
    if let Some(why) = facts.broken {
        refused(why);
    }
});
