//! Interrupts: only the processor's own timer comes, and it does nothing but end a sleep.

use core::cell::UnsafeCell;

use crate::machine::{out8, set_interrupts};

/// Vector of the timer.
pub(crate) const TIMER: usize = 32;
/// Vector of interrupts that are none.
pub(crate) const SPURIOUS: usize = 255;
const VECTORS: usize = 256;
/// Masks of the two interrupt controllers of a PC.
const MASKS: [u16; 2] = [0x21, 0xa1];
/// Present, interrupt gate; selector of code.
const GATE: u64 = 0x8e00 << 32 | 8 << 16;

#[repr(align(16))]
struct Table(UnsafeCell<[[u64; 2]; VECTORS]>);

// SAFETY: `prepare` alone writes it, before anything else runs.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([[0; 2]; VECTORS]));

// In `boot.s`.
unsafe extern "C" {
    fn exception();
    fn timer_interrupt();
    fn spurious_interrupt();
}

/// Makes the processor ready for interrupts, and keeps those of devices away.
pub(crate) fn prepare() {
    for port in MASKS {
        out8(port, 0xff);
    }
    // SAFETY: nobody has the table yet, and it stays.
    unsafe {
        let table = &mut *TABLE.0.get();
        for gate in &mut table[..TIMER] {
            *gate = gate_of(exception);
        }
        table[TIMER] = gate_of(timer_interrupt);
        table[SPURIOUS] = gate_of(spurious_interrupt);
        set_interrupts((size_of_val(table) - 1) as u16, TABLE.0.get().expose_provenance() as u64);
    }
}

fn gate_of(handler: unsafe extern "C" fn()) -> [u64; 2] {
    let address = handler as *const () as u64;
    [address & 0xffff | GATE | (address & 0xffff_0000) << 32, address >> 32]
}
