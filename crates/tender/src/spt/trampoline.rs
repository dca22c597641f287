//! The tender's part of guest memory, and the page of code there that outlives the runtime.
//!
//! Guest memory below 1 MiB belongs to the tender. Boot information begins at 0x11000 and takes at most 15 KiB.

/// What `ps` shows: name and command line.
pub(super) const TITLE: u64 = 0x1_5000;
/// `struct sock_fprog`, then at most 4096 instructions.
pub(super) const FILTER: u64 = 0x1_8000;
/// The page of code that unmaps the runtime and handles signals.
pub(super) const TRAMPOLINE: u64 = 0x2_4000;
/// The signal stack. The guest may scribble on it: handlers only exit.
pub(super) const ALTSTACK: u64 = 0x3_0000;
/// Bytes; frames with all vector registers are below 16 KiB.
pub(super) const ALTSTACK_BYTES: usize = 0x1_0000;

unsafe extern "C" {
    static urunc_spt_trampoline: u8;
    static urunc_spt_handler: u8;
    static urunc_spt_trampoline_end: u8;
}

/// The code to place at [`TRAMPOLINE`]; independent of its position.
pub(super) fn code() -> &'static [u8] {
    let start = &raw const urunc_spt_trampoline;
    let len = (&raw const urunc_spt_trampoline_end).addr() - start.addr();
    // SAFETY: the symbols delimit read-only data of this program.
    unsafe { std::slice::from_raw_parts(start, len) }
}

/// Guest address of the signal handler.
pub(super) fn handler() -> u64 {
    let offset = (&raw const urunc_spt_handler).addr() - (&raw const urunc_spt_trampoline).addr();
    TRAMPOLINE + offset as u64
}
