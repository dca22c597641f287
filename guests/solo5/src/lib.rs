//! What a guest needs to run on a Solo5 tender: notes, boot information, and nine system calls (`spt`) or eight
//! hypercalls (`hvt`). The feature `hvt` chooses between them; everything else is the same.
#![no_std]

#[cfg_attr(feature = "hvt", path = "hypercall.rs")]
mod call;
pub mod manifest;
mod wire;

use core::ffi::{CStr, c_char};
use core::fmt;

#[cfg(feature = "hvt")]
pub use call::hypercall;
pub use call::{FREE_BELOW_IMAGE, sleep_until};
#[cfg(not(feature = "hvt"))]
pub use call::{raw, raw_with};
pub use guest::Once;
use manifest::Entry;
pub use wire::Wire;

// The linker script.
unsafe extern "C" {
    static _end: u8;
}

/// Boot information as the tender leaves it (`spt_abi.h`, `hvt_abi.h`).
#[repr(C)]
pub struct BootInfo {
    /// Size of guest memory, bytes.
    pub mem_size: u64,
    /// End of the loaded image.
    pub kernel_end: u64,
    /// Ticks of the time stamp counter in a second.
    #[cfg(feature = "hvt")]
    pub cycle_freq: u64,
    cmdline: *const c_char,
    manifest: *const manifest::Header,
    /// Epoll set of timer and network devices.
    #[cfg(not(feature = "hvt"))]
    pub epoll_fd: i32,
    /// CLOCK_MONOTONIC timer.
    #[cfg(not(feature = "hvt"))]
    pub timer_fd: i32,
}

impl BootInfo {
    /// The command line; empty when it is not UTF-8.
    pub fn cmdline(&self) -> &str {
        // SAFETY: the tender ends the command line with NUL and never changes it.
        unsafe { CStr::from_ptr(self.cmdline) }.to_str().unwrap_or("")
    }

    /// The attached device of that name.
    pub fn device(&self, name: &str) -> Option<&Entry> {
        // SAFETY: the tender puts as many entries behind the header as it says.
        let entries = unsafe {
            let header = &*self.manifest;
            core::slice::from_raw_parts(self.manifest.add(1).cast::<Entry>(), header.entries as usize)
        };
        entries.iter().find(|entry| entry.attached != 0 && entry.name() == name.as_bytes())
    }
}

/// First free address: the end of the image, .bss included.
pub fn image_end() -> u64 {
    (&raw const _end).addr() as u64
}

/// A line of console output, written at once when it ends or the buffer is full.
#[derive(Default)]
pub struct Line {
    bytes: Buffer,
    len: usize,
}

struct Buffer([u8; 256]);

impl Default for Buffer {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.len == self.bytes.0.len() {
                self.flush();
            }
            self.bytes.0[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}

impl Line {
    fn flush(&mut self) {
        call::write_console(&self.bytes.0[..self.len]);
        self.len = 0;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Prints a line.
#[macro_export]
macro_rules! println {
    ($($part:tt)*) => {{
        use core::fmt::Write as _;
        let _ = core::writeln!($crate::Line::default(), $($part)*);
    }};
}

/// Ends the guest.
pub fn exit(status: u8) -> ! {
    call::exit(status)
}

/// Ends the guest as an abnormal one.
pub fn abort() -> ! {
    call::exit(255)
}

/// CLOCK_REALTIME (0) or CLOCK_MONOTONIC (1), nanoseconds.
pub fn clock(id: u64) -> u64 {
    call::clock(id)
}

/// Makes `main: fn(&BootInfo) -> u8` the guest's entry, and writes its notes. Devices: `block "name"`, `net "name"`.
#[macro_export]
macro_rules! guest {
    ($main:path $(, $kind:ident $name:literal)*) => {
        const DEVICES: &[$crate::manifest::Entry] =
            &[$crate::manifest::Entry::FIRST $(, $crate::manifest::Entry::$kind($name))*];

        #[used]
        #[unsafe(link_section = ".note.solo5.abi")]
        static ABI: $crate::manifest::AbiNote = $crate::manifest::AbiNote::OWN;

        #[used]
        #[unsafe(link_section = ".note.solo5.manifest")]
        static MANIFEST: $crate::manifest::Note<{ DEVICES.len() }> = $crate::manifest::Note::new(DEVICES);

        /// Called by the tender; the stack is aligned as after a call.
        #[unsafe(no_mangle)]
        extern "C" fn _start(info: &'static $crate::BootInfo) -> ! {
            $crate::start(info, $main)
        }
    };
}

/// What [`guest!`] calls.
pub fn start(info: &'static BootInfo, main: fn(&'static BootInfo) -> u8) -> ! {
    call::begin(info);
    call::exit(main(info))
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("panic: {}", info.message());
    abort()
}
