//! From the monitor's first instruction to `main`.

use core::arch::global_asm;
use core::slice;

use crate::info::{BootInfo, Protocol};
use crate::{end, interrupt, println};

global_asm!(include_str!("boot.s"), options(att_syntax));

/// End of the memory that is mapped where it is.
const MAPPED: u64 = 4 << 30;

// The guest's, made by `guest!`.
unsafe extern "Rust" {
    safe fn virtio_main(info: &BootInfo) -> !;
}

/// Called by both entries.
#[unsafe(no_mangle)]
extern "C" fn virtio_start(told: u32, address: u64) -> ! {
    interrupt::prepare();
    let protocol = Protocol::of(told, address, &memory);
    virtio_main(&BootInfo::read(protocol, address, &memory))
}

/// What the monitor has left for the guest.
fn memory(address: u64, len: usize) -> Option<&'static [u8]> {
    let end = address.checked_add(len as u64)?;
    if address == 0 || end > MAPPED {
        return None;
    }
    // SAFETY: it is mapped, and nothing writes where the monitor has put its information.
    Some(unsafe { slice::from_raw_parts(core::ptr::with_exposed_provenance(address as usize), len) })
}

/// Called with what the processor has pushed: an error code perhaps, then rip.
#[unsafe(no_mangle)]
extern "C" fn virtio_exception(frame: &[u64; 3]) -> ! {
    println!("exception: {:#x} {:#x} {:#x}", frame[0], frame[1], frame[2]);
    end::panic()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("panic: {}", info.message());
    end::panic()
}

/// Makes `main: fn(&BootInfo) -> !` the guest's.
#[macro_export]
macro_rules! guest {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn virtio_main(info: &$crate::info::BootInfo) -> ! {
            $main(info)
        }
    };
}
