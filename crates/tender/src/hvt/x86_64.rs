//! The guest's first state (`hvt_cpu_x86_64.c`, `hvt_kvm_x86_64.c` of Solo5): long mode, all memory mapped to itself, no
//! interrupts.

use super::cpuid;
use super::kvm::{Device, Processor, exchange, named};
use crate::TenderError;
use crate::boot::HVT_BOOT_INFO;
use crate::load::Memory;

const GET_SREGS: u64 = 0x8138_ae83;
const SET_SREGS: u64 = 0x4138_ae84;
const SET_REGS: u64 = 0x4090_ae82;

// Guest addresses of what the processor is told.
const GDT: u64 = 0x1000;
const PML4: u64 = 0x2000;
const PDPT: u64 = 0x3000;
/// Four of them, each for 1 GiB.
const PD: u64 = 0x4000;
/// For the first 2 MiB.
const PT: u64 = 0x8000;

const PAGE: u64 = 0x1000;
const LARGE_PAGE: u64 = 0x20_0000;
const GIB: u64 = 1 << 30;
/// First page that the guest has.
const LOWEST: u64 = 0x1_0000;
/// End of what the tender leaves for the guest to read.
const READ_ONLY_END: u64 = 0x10_0000;

// Bits of page table entries.
const PRESENT: u64 = 1;
const WRITABLE: u64 = 2;
const LARGE: u64 = 0x80;

/// `struct kvm_regs`.
#[repr(C)]
#[derive(Default)]
struct Regs {
    /// rax rbx rcx rdx rsi
    rax_to_rsi: [u64; 5],
    rdi: u64,
    rsp: u64,
    /// rbp r8 … r15
    rbp_to_r15: [u64; 9],
    rip: u64,
    rflags: u64,
}

/// `struct kvm_segment`.
#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Segment {
    base: u64,
    limit: u32,
    selector: u16,
    kind: u8,
    present: u8,
    dpl: u8,
    db: u8,
    s: u8,
    l: u8,
    g: u8,
    avl: u8,
    unusable: u8,
    padding: u8,
}

/// `struct kvm_dtable`.
#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Table {
    base: u64,
    limit: u16,
    padding: [u16; 3],
}

/// `struct kvm_sregs`.
#[repr(C)]
#[derive(Default)]
struct Sregs {
    cs: Segment,
    /// ds es fs gs ss
    data: [Segment; 5],
    tr: Segment,
    ldt: Segment,
    gdt: Table,
    idt: Table,
    cr0: u64,
    cr2: u64,
    cr3: u64,
    cr4: u64,
    cr8: u64,
    efer: u64,
    apic_base: u64,
    interrupts: [u64; 4],
}

/// This architecture can be a guest's.
pub(super) const IS_BUILT: bool = true;

/// Makes the processor ready for the first instruction at `entry`.
pub(super) fn prepare(
    device: &Device,
    processor: &Processor,
    memory: &mut Memory,
    entry: u64,
) -> Result<(), TenderError> {
    write_tables(memory)?;
    cpuid::set(device, processor)?;
    set_registers(processor, memory, entry)
}

/// Leaves segment descriptors and page tables in guest memory, whose size is a multiple of 2 MiB up to 4 GiB.
fn write_tables(memory: &mut Memory) -> Result<(), TenderError> {
    let end = memory.end();
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    // Null, 64-bit code, data.
    memory.write(GDT, &words(&[0, 0x00af_9900_0000_ffff, 0x00cf_9300_0000_ffff]))?;
    memory.write(PML4, &words(&[PDPT | PRESENT | WRITABLE]))?;
    let directories: Vec<u64> =
        (0..end.div_ceil(GIB)).map(|n| (PD + n * PAGE) | PRESENT | WRITABLE).collect();
    memory.write(PDPT, &words(&directories))?;
    let large = (1..end / LARGE_PAGE).map(|n| (n * LARGE_PAGE) | PRESENT | WRITABLE | LARGE);
    let pages: Vec<u64> = std::iter::once(PT | PRESENT | WRITABLE).chain(large).collect();
    memory.write(PD, &words(&pages))?;
    let small: Vec<u64> = (0..LARGE_PAGE / PAGE).map(|n| small_page(n * PAGE)).collect();
    memory.write(PT, &words(&small))
}

fn small_page(address: u64) -> u64 {
    match address {
        ..LOWEST => 0,
        LOWEST..READ_ONLY_END => address | PRESENT,
        _ => address | PRESENT | WRITABLE,
    }
}

fn set_registers(processor: &Processor, memory: &Memory, entry: u64) -> Result<(), TenderError> {
    // What the guest has no use for stays as KVM resets it.
    let mut sregs = Sregs::default();
    exchange(&processor.fd, GET_SREGS, &mut sregs).map_err(named("KVM_GET_SREGS"))?;
    let data = Segment {
        limit: u32::MAX,
        selector: 0x10,
        kind: 3,
        present: 1,
        db: 1,
        s: 1,
        g: 1,
        ..Segment::default()
    };
    sregs.cs = Segment { selector: 8, kind: 9, db: 0, l: 1, ..data };
    sregs.data = [data; 5];
    // A processor in long mode must have a task register; nothing is ever read from there.
    sregs.tr = Segment { kind: 11, present: 1, ..Segment::default() };
    sregs.ldt = Segment { unusable: 1, ..Segment::default() };
    sregs.gdt = Table { base: GDT, limit: 23, ..Table::default() };
    sregs.cr0 = 0x8001_0021; // PG, WP, NE, PE
    sregs.cr3 = PML4;
    sregs.cr4 = 0x620; // OSXMMEXCPT, OSFXSR, PAE
    sregs.efer = 0x500; // LMA, LME
    exchange(&processor.fd, SET_SREGS, &mut sregs).map_err(named("KVM_SET_SREGS"))?;
    let (rip, rsp) = (entry, memory.end() - 8);
    let mut regs = Regs { rip, rsp, rdi: HVT_BOOT_INFO, rflags: 2, ..Regs::default() };
    exchange(&processor.fd, SET_REGS, &mut regs).map_err(named("KVM_SET_REGS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_sizes_their_requests_encode() {
        let encoded = |request: u64| usize::try_from(request >> 16 & 0x3fff).unwrap();
        assert_eq!(size_of::<Regs>(), encoded(SET_REGS));
        assert_eq!((size_of::<Sregs>(), size_of::<Sregs>()), (encoded(GET_SREGS), encoded(SET_SREGS)));
    }

    /// Walks the tables as a processor does.
    #[test]
    fn memory_is_mapped_to_itself_and_nothing_else_is() {
        for mib in [2, 4, 1022, 1024, 1026, 4096] {
            let mut memory = Memory::of_machine(mib).unwrap();
            write_tables(&mut memory).unwrap();
            let entry = |table: u64, address: u64, shift: u32| {
                u64::from_le_bytes(memory.read(table + (address >> shift & 511) * 8).unwrap())
            };
            let walk = |address: u64| {
                let mut at = PML4;
                for shift in [39, 30, 21, 12] {
                    let found = entry(at, address, shift);
                    if found & PRESENT == 0 {
                        return None;
                    }
                    at = found & !0xfff;
                    if shift == 12 || found & LARGE != 0 {
                        let inside = address & ((1 << shift) - 1);
                        return Some((at + inside, found & WRITABLE != 0));
                    }
                }
                None
            };
            let end = mib << 20;
            for address in [0, 0xfff, 0x1000, 0x8000, 0xffff, end, end + 4096, 1 << 32, 1 << 39, 1 << 47] {
                assert_eq!(walk(address), None, "{address:#x} of {mib} MiB");
            }
            for address in [0x1_0000, 0xf_ffff] {
                assert_eq!(walk(address), Some((address, false)));
            }
            for address in [0x10_0000, 0x1f_ffff, end - 1, (end / 2) | 0x10_0000] {
                assert_eq!(walk(address), Some((address, true)), "{address:#x} of {mib} MiB");
            }
        }
    }
}
