//! The processor's instructions that no language has.

use core::arch::asm;

/// Reads a byte from a port.
pub(crate) fn in8(port: u16) -> u8 {
    let value: u8;
    // SAFETY: a port is a device's, not the program's memory.
    unsafe { asm!("in al, dx", out("al") value, in("dx") port, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes a byte to a port.
pub(crate) fn out8(port: u16, value: u8) {
    // SAFETY: a port is a device's, not the program's memory.
    unsafe { asm!("out dx, al", in("al") value, in("dx") port, options(nomem, nostack, preserves_flags)) };
}

/// Writes two bytes to a port.
pub(crate) fn out16(port: u16, value: u16) {
    // SAFETY: a port is a device's, not the program's memory.
    unsafe { asm!("out dx, ax", in("ax") value, in("dx") port, options(nomem, nostack, preserves_flags)) };
}

/// Reads two bytes from a port.
pub(crate) fn in16(port: u16) -> u16 {
    let value: u16;
    // SAFETY: a port is a device's, not the program's memory.
    unsafe { asm!("in ax, dx", out("ax") value, in("dx") port, options(nomem, nostack, preserves_flags)) };
    value
}

/// Reads four bytes from a port.
pub(crate) fn in32(port: u16) -> u32 {
    let value: u32;
    // SAFETY: a port is a device's, not the program's memory.
    unsafe { asm!("in eax, dx", out("eax") value, in("dx") port, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes four bytes to a port.
pub(crate) fn out32(port: u16, value: u32) {
    // SAFETY: a port is a device's, not the program's memory.
    unsafe { asm!("out dx, eax", in("eax") value, in("dx") port, options(nomem, nostack, preserves_flags)) };
}

/// The time stamp counter.
pub(crate) fn ticks() -> u64 {
    // SAFETY: every x86_64 has it, and only a kernel can forbid it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Reads a model-specific register that the processor says it has.
pub(crate) fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: it reads a register.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The processor has it, and memory that the value names is given to it.
pub(crate) unsafe fn write_msr(register: u32, value: u64) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: as the caller promises.
    unsafe { asm!("wrmsr", in("ecx") register, in("eax") low, in("edx") high, options(nostack)) };
}

/// Sleeps until an interrupt has come; none comes while the program runs.
pub(crate) fn wait_for_interrupt() {
    // SAFETY: the handlers change nothing that the program has, and `sti` waits for the next instruction.
    unsafe { asm!("sti", "hlt", "cli") };
}

/// Sleeps for good.
pub(crate) fn halt() -> ! {
    loop {
        // SAFETY: nothing happens any more.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Installs an interrupt table: its last byte's offset and its address.
///
/// # Safety
/// What the table names are handlers, and both stay; or nothing shall come after the next interrupt.
pub(crate) unsafe fn set_interrupts(limit: u16, table: u64) {
    #[repr(C, packed)]
    struct Pointer(u16, u64);
    let pointer = Pointer(limit, table);
    // SAFETY: as the caller promises.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(readonly, nostack, preserves_flags)) };
}

/// Raises the exception of an undefined instruction.
pub(crate) fn undefined() -> ! {
    // SAFETY: nothing comes after it.
    unsafe { asm!("ud2", options(noreturn)) };
}
