//! The guest's line in `ps` and `docker top`, in the place of the runtime's own.

use std::mem::size_of;
use std::ops::Range;

use urunc_plan::launch::Target;

use crate::sys::pointer;

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
pub(crate) fn text(target: Target, cmdline: &str) -> Vec<u8> {
    [target.process_name().as_bytes(), cmdline.as_bytes(), b""].join(&0)
}

/// Names the process and points the kernel at `argv`, the addresses of [`text`], which begins with the name; `guest` is
/// where the guest's memory is. Best effort: without CONFIG_CHECKPOINT_RESTORE the line is `[solo5-spt]`. From here on
/// nobody may allocate: the heap is moved too.
pub(crate) fn set(guest: Range<u64>, argv: Range<u64>) {
    let map = MemoryMap {
        code: [guest.start, guest.end],
        data: [guest.start; 2],
        heap: [guest.end; 2],
        // Outside the guest, or /proc/PID/maps would call its memory `[stack]`.
        stack: guest.end + 4096,
        arguments: [argv.start, argv.end],
        environment: [argv.end; 2],
        auxv: 0,
        auxv_size: 0,
        exe_fd: u32::MAX,
    };
    // SAFETY: `argv` and `map` live across the calls; the addresses are only told to readers of /proc.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, pointer(argv.start));
        libc::prctl(libc::PR_SET_MM, PR_SET_MM_MAP, &raw const map, size_of::<MemoryMap>(), 0);
    }
}
