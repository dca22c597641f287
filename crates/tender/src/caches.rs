//! Code that was written as data.

/// Makes code that was written as data visible to instruction fetch.
#[cfg(target_arch = "aarch64")]
pub(crate) fn publish_code(start: u64, end: u64) {
    let types: u64;
    // SAFETY: reads a register that Linux lets user space read.
    unsafe { std::arch::asm!("mrs {}, ctr_el0", out(reg) types, options(nomem, nostack)) };
    let (data, code) = (4u64 << ((types >> 16) & 15), 4u64 << (types & 15));
    let step = |line: u64| usize::try_from(line).unwrap_or(4);
    // SAFETY: cache maintenance by address changes no content; the pages are readable.
    unsafe {
        for line in (start & !(data - 1)..end).step_by(step(data)) {
            std::arch::asm!("dc cvau, {}", in(reg) line, options(nostack));
        }
        std::arch::asm!("dsb ish", options(nostack));
        for line in (start & !(code - 1)..end).step_by(step(code)) {
            std::arch::asm!("ic ivau, {}", in(reg) line, options(nostack));
        }
        std::arch::asm!("dsb ish", "isb", options(nostack));
    }
}

/// Nothing to do: instruction and data caches are coherent.
#[cfg(target_arch = "x86_64")]
pub(crate) fn publish_code(_start: u64, _end: u64) {}
