//! The guest's line in `ps` and `docker top`: the memory that held the runtime's argv is unmapped.

use std::mem::size_of;

use super::Jump;

/// Name of the process.
const NAME: &str = "solo5-spt";
const PR_SET_MM_MAP: libc::c_ulong = 14;

/// `struct prctl_mm_map` (prctl(2), PR_SET_MM_MAP).
#[repr(C)]
struct MemoryMap {
    code: [u64; 2],
    data: [u64; 2],
    heap: [u64; 2],
    stack: u64,
    arguments: [u64; 2],
    environment: [u64; 2],
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

/// The argv that others read: name and command line.
pub(super) fn text(cmdline: &str) -> Vec<u8> {
    [NAME.as_bytes(), cmdline.as_bytes(), b""].join(&0)
}

/// Points the kernel at `len` bytes of argv at [`super::trampoline::TITLE`]. Best effort: without
/// CONFIG_CHECKPOINT_RESTORE the line is `[solo5-spt]`. From here on nobody may allocate: the heap is moved too.
pub(super) fn set(jump: &Jump, len: u64) {
    let start = super::trampoline::TITLE;
    let guest = [start, jump.unmap_from];
    let map = MemoryMap {
        code: guest,
        data: [start; 2],
        heap: [jump.unmap_from; 2],
        // Outside the guest, or /proc/PID/maps would call its memory `[stack]`.
        stack: jump.unmap_from + 4096,
        arguments: [start, start + len],
        environment: [start + len; 2],
        auxv: 0,
        auxv_size: 0,
        exe_fd: u32::MAX,
    };
    let name = c"solo5-spt";
    // SAFETY: `name` and `map` live across the calls; the addresses are only told to readers of /proc.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, name.as_ptr());
        libc::prctl(libc::PR_SET_MM, PR_SET_MM_MAP, &raw const map, size_of::<MemoryMap>(), 0);
    }
}
