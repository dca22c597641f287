//! Prints what the processor says of itself: for every leaf of `cpuid` that there is, up to the 16th subleaf, a line of leaf,
//! subleaf, eax, ebx, ecx and edx in hexadecimal digits.
#![no_std]
#![no_main]

use core::arch::x86_64::{__cpuid_count, CpuidResult};
use solo5::{BootInfo, println};

solo5::guest!(main);

/// First leaves of the ranges: basic, hypervisor's, extended.
const RANGES: [u32; 3] = [0, 0x4000_0000, 0x8000_0000];
/// Leaves of a range at most, whatever the processor says.
const MOST: u32 = 64;
/// Leaves that have subleaves: caches, features, topology, extended states, SGX, and newer ones.
const WITH_SUBLEAVES: [u32; 8] = [0x4, 0x7, 0xb, 0xd, 0x12, 0x14, 0x8000_001d, 0x8000_0026];

fn main(_: &'static BootInfo) -> u8 {
    for first in RANGES {
        let last = __cpuid_count(first, 0).eax.clamp(first, first + MOST);
        for leaf in first..=last {
            let subleaves = if WITH_SUBLEAVES.contains(&leaf) { 16 } else { 1 };
            for subleaf in 0..subleaves {
                let CpuidResult { eax, ebx, ecx, edx } = __cpuid_count(leaf, subleaf);
                println!("{leaf:08x} {subleaf:08x} {eax:08x} {ebx:08x} {ecx:08x} {edx:08x}");
            }
        }
    }
    0
}
