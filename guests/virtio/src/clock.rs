//! Time: the time stamp counter, and the timer of the local APIC to sleep.

use core::arch::x86_64::__cpuid;
use core::cell::UnsafeCell;
use core::hint;

use crate::interrupt::{SPURIOUS, TIMER};
use crate::machine::{in8, out8, read_msr, ticks, wait_for_interrupt, write_msr};
use crate::registers::Registers;

/// Of the counter, when nobody tells, kHz.
const USUAL: u64 = 2_000_000;
const NANOSECONDS: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
/// Timer of a PC: its third channel, its control and its gate; its frequency in Hz.
const CHANNEL: u16 = 0x42;
const CONTROL: u16 = 0x43;
const GATE: u16 = 0x61;
const FREQUENCY: u64 = 1_193_182;
/// How often a rate is measured.
const SAMPLES: u32 = 5;
/// Counts that are waited for: 2 ms. Looks before the timer is taken for missing.
const COUNTS: u16 = 2386;
const LOOKS: u32 = 100_000;
/// Leaves of the processor's identification, and bits in them.
const FEATURES: u32 = 1;
const HAS_APIC: u32 = 1 << 9;
const HYPERVISOR: u32 = 0x4000_0000;
const HAS_CLOCK: u32 = 1 << 3;
/// `MSR_KVM_SYSTEM_TIME_NEW`.
const CLOCK: u32 = 0x4b56_4d01;
/// Local APIC (Intel SDM 3A, chapter 11).
const APIC_BASE: u32 = 0x1b;
const IS_ENABLED: u64 = 1 << 11;
const APIC: u64 = 0xfee0_0000;
const SPURIOUS_VECTOR: u64 = 0xf0;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const LOCAL_TIMER: u64 = 0x320;
const PERIODIC: u32 = 1 << 17;
const INITIAL: u64 = 0x380;
const CURRENT: u64 = 0x390;
const DIVIDE: u64 = 0x3e0;
const BY_16: u32 = 3;

/// The clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: u64,
    /// Nanoseconds of a tick, 32 bits of it behind the point.
    scale: u64,
    apic: Option<Apic>,
}

/// The local APIC, and counts of its timer in a millisecond.
#[derive(Debug, Clone, Copy)]
struct Apic {
    registers: Registers,
    rate: u64,
}

impl Clock {
    /// Finds out how fast it goes.
    pub fn start() -> Self {
        let start = ticks();
        let rate = kvm().or_else(timer).unwrap_or(USUAL);
        let apic = Apic::find(rate);
        Self { start, scale: (NANOSECONDS << 32) / rate, apic }
    }

    /// The counter itself: another number at every start.
    pub fn ticks() -> u64 {
        ticks()
    }

    /// Nanoseconds since the start.
    pub fn now(&self) -> u64 {
        let passed = u128::from(ticks().wrapping_sub(self.start));
        ((passed * u128::from(self.scale)) >> 32) as u64
    }

    /// Sleeps for so many nanoseconds, or less.
    pub fn sleep(&self, duration: u64) {
        match self.apic {
            Some(apic) => apic.sleep(duration.min(SECOND)),
            None => hint::spin_loop(),
        }
    }
}

/// What KVM says (kernel documentation, `virt/kvm/x86/msr.rst`), kHz.
fn kvm() -> Option<u64> {
    #[repr(C, align(32))]
    struct Time {
        version: u32,
        padding: u32,
        at: [u64; 2],
        scale: u32,
        shift: i8,
        flags: [u8; 3],
    }
    struct Page(UnsafeCell<Time>);
    // SAFETY: it is read here alone, once.
    unsafe impl Sync for Page {}
    static PAGE: Page =
        Page(UnsafeCell::new(Time { version: 0, padding: 0, at: [0; 2], scale: 0, shift: 0, flags: [0; 3] }));
    let name = __cpuid(HYPERVISOR);
    let is_kvm = [name.ebx, name.ecx, name.edx].map(u32::to_le_bytes) == [*b"KVMK", *b"VMKV", *b"M\0\0\0"];
    if !is_kvm || __cpuid(HYPERVISOR + 1).eax & HAS_CLOCK == 0 {
        return None;
    }
    // SAFETY: KVM has this register, and writes the page before it goes on; then it is told to stop.
    let time = unsafe {
        write_msr(CLOCK, PAGE.0.get().expose_provenance() as u64 | 1);
        let time = PAGE.0.get().read_volatile();
        write_msr(CLOCK, 0);
        time
    };
    rate(time.scale, time.shift)
}

/// Ticks in a millisecond where one is `scale * 2^shift / 2^32` ns.
fn rate(scale: u32, shift: i8) -> Option<u64> {
    let rate = (NANOSECONDS << 32).checked_div(scale.into())?;
    let by = u32::from(shift.unsigned_abs());
    let rate = if shift < 0 { rate.checked_shl(by) } else { rate.checked_shr(by) };
    rate.filter(|rate| *rate > 0)
}

/// Measured with the timer of a PC, kHz. A host that is busy stops the processor anywhere, and the timer goes on: what took
/// the least was stopped the least.
fn timer() -> Option<u64> {
    const MODE_0: u8 = 0b1011_0000;
    // The gate is on, the loudspeaker off.
    out8(GATE, in8(GATE) & !2 | 1);
    let sample = |_| {
        out8(CONTROL, MODE_0);
        out8(CHANNEL, 0xff);
        out8(CHANNEL, 0xff);
        let start = ticks();
        let first = count();
        for _ in 0..LOOKS {
            let passed = first.wrapping_sub(count());
            if passed >= COUNTS {
                return Some((ticks() - start, passed));
            }
        }
        None
    };
    let (took, passed) = (0..SAMPLES).map_while(sample).min()?;
    Some(took * FREQUENCY / (u64::from(passed) * 1000)).filter(|rate| *rate > 0)
}

fn count() -> u16 {
    const LATCH: u8 = 0b1000_0000;
    out8(CONTROL, LATCH);
    let low = in8(CHANNEL);
    u16::from_le_bytes([low, in8(CHANNEL)])
}

impl Apic {
    /// The one at its usual place, whose speed is measured with the counter (kHz).
    fn find(ticks_rate: u64) -> Option<Self> {
        if __cpuid(FEATURES).edx & HAS_APIC == 0 || read_msr(APIC_BASE) & IS_ENABLED == 0 {
            return None;
        }
        let registers = Registers::map(APIC, 0x1000);
        registers.write32(SPURIOUS_VECTOR, SOFTWARE_ENABLE | SPURIOUS as u32);
        // Periodic: KVM on a processor that QEMU emulates delivers an interrupt between `sti` and `hlt` (its SVM forgets the
        // shadow of `sti`), and nothing else would end that sleep.
        registers.write32(LOCAL_TIMER, PERIODIC | TIMER as u32);
        registers.write32(DIVIDE, BY_16);
        let sample = |_| {
            registers.write32(INITIAL, u32::MAX);
            let start = ticks();
            while ticks().wrapping_sub(start) < ticks_rate {
                hint::spin_loop();
            }
            u32::MAX - registers.read32(CURRENT)
        };
        // As with the timer.
        let passed = (0..SAMPLES).map(sample).min().unwrap_or(0);
        registers.write32(INITIAL, 0);
        (passed > 0).then_some(Self { registers, rate: passed.into() })
    }

    fn sleep(self, duration: u64) {
        let counts = (duration * self.rate / NANOSECONDS).clamp(1, u32::MAX.into());
        self.registers.write32(INITIAL, counts as u32);
        wait_for_interrupt();
    }
}
