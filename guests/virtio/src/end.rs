//! All the ways in which a virtual machine ends.

use core::hint;

use crate::machine::{self, in8, out8, out16, set_interrupts, ticks, undefined};
use crate::pci;
use crate::registers::Registers;

/// QEMU's `isa-debug-exit` at its usual port, and where the runtime puts it for Mewz.
const DEBUG_EXIT: [u16; 2] = [0xf4, 0x501];
/// QEMU's `pvpanic`; bit 0: the guest has panicked.
const PANIC_EVENT: u16 = 0x505;
/// PM1a control of QEMU's pc and q35, as its firmware sets it up: sleep type 0, sleep enable.
const PM_CONTROL: u16 = 0x604;
const PM_OFF: u16 = 1 << 13;
/// ACPI's sleep control register where hardware is reduced: sleep type 5, sleep enable.
const SLEEP_OFF: u8 = 5 << 2 | 1 << 5;
/// That register of Cloud Hypervisor.
const SLEEP_CONTROL: u16 = 0x600;
/// That register of QEMU's microvm (generic event device).
const GED_SLEEP_CONTROL: u64 = 0xfea0_0200;
/// Vendor and device of Cloud Hypervisor's host bridge.
const CLOUD_HYPERVISOR: u32 = 0x0d57_8086;
/// Keyboard controller: pulses the reset line.
const KEYBOARD: u16 = 0x64;
const PULSE_RESET: u8 = 0xfe;
/// What a port without a device reads as.
const NOTHING: u8 = 0xff;
/// About a second.
const SECOND: u64 = 1 << 31;

/// Powers the machine off. One that has no such switch is reset: Firecracker ends then.
pub fn power_off() -> ! {
    match pci::host_bridge() {
        Some(CLOUD_HYPERVISOR) => out8(SLEEP_CONTROL, SLEEP_OFF),
        Some(_) => out16(PM_CONTROL, PM_OFF),
        None if has(KEYBOARD) => reset(),
        None => Registers::map(GED_SLEEP_CONTROL, 1).write8(0, SLEEP_OFF),
    }
    wait();
    reset()
}

/// Ends the guest with a status, where the monitor has a device for it; powers off otherwise.
pub fn exit(status: u8) -> ! {
    for port in DEBUG_EXIT {
        out8(port, status);
    }
    power_off()
}

/// Says that the guest has panicked, where the monitor has a device for it; resets otherwise, as Linux does with
/// `panic=-1`.
pub fn panic() -> ! {
    if has(PANIC_EVENT) {
        out8(PANIC_EVENT, 1);
        wait();
    }
    reset()
}

/// Resets the machine.
pub fn reset() -> ! {
    if has(KEYBOARD) {
        out8(KEYBOARD, PULSE_RESET);
        wait();
    }
    triple_fault()
}

/// Raises an exception that nobody handles, nor what comes of it.
pub fn triple_fault() -> ! {
    // SAFETY: that is the point.
    unsafe { set_interrupts(0, 0) };
    undefined()
}

/// Works for ever, and listens to nobody.
pub fn hang() -> ! {
    loop {
        hint::spin_loop();
    }
}

/// Sleeps for ever, and listens to nobody.
pub fn halt() -> ! {
    machine::halt()
}

fn has(port: u16) -> bool {
    in8(port) != NOTHING
}

/// What was asked for takes a monitor's other threads a moment.
fn wait() {
    let start = ticks();
    while ticks().wrapping_sub(start) < SECOND {
        hint::spin_loop();
    }
}
