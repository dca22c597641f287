//! All the ways in which a virtual machine ends.

use core::hint;

use crate::machine::{self, out8, set_interrupts, ticks, undefined};
use crate::platform::{Platform, has, pulse_reset};

/// QEMU's `isa-debug-exit` at its usual port, and where the runtime puts it for Mewz.
const DEBUG_EXIT: [u16; 2] = [0xf4, 0x501];
/// QEMU's `pvpanic`; bit 0: the guest has panicked.
const PANIC_EVENT: u16 = 0x505;
/// About a second.
const SECOND: u64 = 1 << 31;

/// Powers the machine off; one that stays is reset.
pub fn power_off() -> ! {
    Platform::find().power_off();
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
    if pulse_reset() {
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

/// What was asked for takes a monitor's other threads a moment.
fn wait() {
    let start = ticks();
    while ticks().wrapping_sub(start) < SECOND {
        hint::spin_loop();
    }
}
