//! What the guest's processor says it can do: what KVM supports, less what opens ways into KVM that no unikernel needs.
//!
//! Virtual machines of the guest's own (VMX, SVM, SKINIT), enclaves (SGX), bounds checks that are gone from newer
//! processors (MPX), transactions (HLE, RTM), the performance monitor, and KVM's own paravirtual interfaces.

use super::kvm::{Device, Processor, exchange, named};
use crate::TenderError;

const GET_SUPPORTED_CPUID: u64 = 0xc008_ae05;
const SET_CPUID2: u64 = 0x4008_ae90;
/// Room for more leaves than any processor has.
const ENTRIES: u16 = 256;

/// Performance monitor, SGX, PT, LBR, performance monitor again; SVM, encrypted memory, performance monitor.
const GONE: [u32; 8] = [0xa, 0x12, 0x14, 0x1c, 0x23, 0x8000_000a, 0x8000_001f, 0x8000_0022];

/// `struct kvm_cpuid_entry2`.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Entry {
    function: u32,
    index: u32,
    flags: u32,
    eax: u32,
    ebx: u32,
    ecx: u32,
    edx: u32,
    padding: [u32; 3],
}

/// `struct kvm_cpuid2` with its entries.
#[repr(C)]
struct Cpuid {
    count: u32,
    padding: u32,
    entries: [Entry; ENTRIES as usize],
}

/// Gives the processor its answers to `cpuid`.
pub(super) fn set(device: &Device, processor: &Processor) -> Result<(), TenderError> {
    let entries = [Entry::default(); ENTRIES as usize];
    let mut all = Box::new(Cpuid { count: ENTRIES.into(), padding: 0, entries });
    exchange(&device.0, GET_SUPPORTED_CPUID, &mut *all).map_err(named("KVM_GET_SUPPORTED_CPUID"))?;
    let supported = std::mem::replace(&mut all.entries, entries);
    let kept = supported.into_iter().zip(0..all.count).filter_map(|(entry, _)| reduced(entry));
    let mut count = 0;
    for (to, from) in all.entries.iter_mut().zip(kept) {
        *to = from;
        count += 1;
    }
    all.count = count;
    exchange(&processor.fd, SET_CPUID2, &mut *all).map_err(named("KVM_SET_CPUID2"))
}

/// A leaf without the bits that the guest does not get (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E); `None`
/// for a leaf that has nothing else: KVM answers zeroes there.
fn reduced(mut entry: Entry) -> Option<Entry> {
    let state_of_mpx = entry.function == 0xd && matches!(entry.index, 3 | 4);
    if GONE.contains(&entry.function) || state_of_mpx {
        return None;
    }
    match (entry.function, entry.index) {
        (1, _) => {
            entry.ecx &= !(1 << 2 | 1 << 5 | 1 << 6 | 1 << 15); // DTES64, VMX, SMX, PDCM
            entry.edx &= !(1 << 21); // DS
        }
        (7, 0) => {
            entry.ebx &= !(1 << 2 | 1 << 4 | 1 << 11 | 1 << 14 | 1 << 25); // SGX, HLE, RTM, MPX, PT
            entry.ecx &= !(1 << 30); // SGX_LC
            entry.edx &= !(1 << 19); // LBR
        }
        // MPX in XCR0.
        (0xd, 0) => entry.eax &= !(1 << 3 | 1 << 4),
        // The hypervisor's own. Beyond the last leaf of a range processors answer with another one.
        (function @ 0x4000_0000..=0x4fff_ffff, _) => return Some(Entry { function, ..Entry::default() }),
        // SVM, SKINIT, NodeId, performance counters (core, northbridge, last level cache).
        (0x8000_0001, _) => entry.ecx &= !(1 << 2 | 1 << 12 | 1 << 19 | 1 << 23 | 1 << 24 | 1 << 28),
        _ => {}
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_has_none_of_it() {
        let full = |function, index| {
            let [eax, ebx, ecx, edx] = [u32::MAX; 4];
            reduced(Entry { function, index, eax, ebx, ecx, edx, ..Entry::default() })
        };
        let one = full(1, 0).unwrap();
        assert_eq!((one.ecx, one.edx), (!0x8064, !0x20_0000));
        let seven = full(7, 0).unwrap();
        assert_eq!((seven.ebx, seven.ecx, seven.edx), (!0x0200_4814, !0x4000_0000, !0x8_0000));
        assert_eq!(full(0xd, 0).unwrap().eax, !0x18);
        assert_eq!(full(0x8000_0001, 0).unwrap().ecx, !0x1188_1004);
        for (gone, index) in
            [(0xa, 0), (0xd, 3), (0xd, 4), (0x12, 1), (0x14, 0), (0x8000_000a, 0), (0x8000_0022, 0)]
        {
            assert_eq!(full(gone, index), None, "{gone:#x}");
        }
        for function in [0x4000_0000, 0x4000_0001, 0x4000_0100] {
            assert_eq!(full(function, 0), Some(Entry { function, ..Entry::default() }));
        }
        for whole in [0, 2, 4, 0xb, 0x8000_0000, 0x8000_0008] {
            let entry = full(whole, 0).unwrap();
            assert_eq!([entry.eax, entry.ebx, entry.ecx, entry.edx], [u32::MAX; 4], "{whole:#x}");
        }
    }
}
