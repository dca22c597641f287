//! Random numbers and addresses for guests that try what their tender and its kernel stand.
#![no_std]

use core::arch::asm;

use solo5::{BootInfo, image_end};

/// Numbers that depend on their seed only (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next one, any 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// What the guest's addresses are.
pub struct Memory {
    free: u64,
    end: u64,
    text: u64,
}

/// Memory of the tender below the image. The guest may write it, but for the page of the trampoline.
const LOW: u64 = 0x1_0000;
const IMAGE: u64 = 0x10_0000;

impl Memory {
    /// Of this guest, whose `text` is the address of a function.
    pub fn new(info: &BootInfo, text: u64) -> Self {
        Self { free: image_end().next_multiple_of(4096), end: info.mem_size, text: text & !4095 }
    }

    /// Anything but the guest's own variables: free memory most often; else its code, what the tender left, edges,
    /// holes, the kernel, or any number.
    pub fn address(&self, random: &mut Random) -> u64 {
        match random.below(16) {
            0 => LOW + random.below(IMAGE - LOW),
            1 => self.text + random.below(4096),
            2 => self.edge(random),
            3 => random.below(LOW),
            4 => 0x7fff_ffff_f000 - 4096 + random.below(8192),
            5 => random.number() | 1 << 63,
            6 => 0xffff_ffff_ff60_0000 + random.below(4096),
            7 => random.number(),
            _ => self.inside(random),
        }
    }

    /// Free memory.
    pub fn inside(&self, random: &mut Random) -> u64 {
        self.free + random.below(self.end - self.free - 4096)
    }

    /// Just below a place where the memory ends or cannot be written.
    pub fn edge(&self, random: &mut Random) -> u64 {
        let distance = random.below(1024);
        [self.end, IMAGE, 0x2_4000][random.below(3) as usize].wrapping_sub(distance)
    }
}

#[repr(align(16))]
struct Stack(#[expect(dead_code, reason = "only its address is used")] [u8; 0x8000]);

/// Goes on in `then` with a stack among the guest's variables, so that all memory above the image is free.
pub fn on_own_stack(then: extern "C" fn(&'static BootInfo) -> !, info: &'static BootInfo) -> ! {
    static mut STACK: Stack = Stack([0; 0x8000]);
    let top = (&raw const STACK).addr() + size_of::<Stack>();
    // SAFETY: nobody comes back to the old stack, and nobody else uses the new one.
    unsafe {
        asm!("mov rsp, {top}", "call {then}", "ud2", top = in(reg) top, then = in(reg) then, in("rdi") info,
             options(noreturn));
    }
}
