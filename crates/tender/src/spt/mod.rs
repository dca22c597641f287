//! Sandboxed process tender: the guest is this process, its memory this process's addresses.

#[cfg_attr(target_arch = "x86_64", path = "enter_x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "enter_aarch64.rs")]
mod arch;
pub(crate) mod filter;
mod trampoline;

use std::os::fd::{AsFd, AsRawFd};

use urunc_plan::launch::Tender;
use urunc_plan::solo5::{PAGE, Segment};

use trampoline::{ALTSTACK, ALTSTACK_BYTES, FILTER, TITLE, TRAMPOLINE};

use crate::TenderError;
use crate::boot::{self, Abi, BootInfo};
use crate::caches;
use crate::devices::{Devices, Events, Fds};
use crate::filter::{ABI, encode};
use crate::load::Memory;
use crate::signals::{self, Stack};
use crate::sys::File;
use crate::{host, image, title};

/// Operands of the trampoline.
struct Jump {
    unmap_from: u64,
    unmap_to: u64,
    /// Pages that may refuse to be unmapped: sealed vdso and vvar.
    sealed_from: u64,
    sealed_to: u64,
    entry: u64,
}

/// A loaded guest: nothing is left that can fail.
pub(crate) struct Ready {
    jump: Jump,
    title_end: u64,
    memory: Memory,
    /// Held to stay open.
    _fds: (Devices, Events),
    open: Vec<u32>,
}

/// See [`crate::prepare`].
pub(crate) fn prepare(plan: &Tender, fds: Fds) -> Result<Ready, TenderError> {
    host::check()?;
    let sealed = host::sealed_window()?;
    let file = File::new(fds.kernel.as_fd(), "kernel")?;
    let (image, load) = image::read(&file, plan)?;
    let devices = Devices::attach(&image.devices, plan, fds.net, fds.block)?;
    let events = Events::watch(&devices)?;
    let mut memory = Memory::of_process(plan.memory_mib)?;
    memory.load(&file, &load, protection)?;
    let (epoll_fd, timer_fd) = (events.epoll.as_raw_fd(), events.timer.as_raw_fd());
    let abi = Abi::Spt { epoll_fd, timer_fd };
    let info = BootInfo { mem_size: memory.end(), kernel_end: load.kernel_end, abi };
    memory.write(info.address(), &boot::encode(&info, &devices.attached, &plan.cmdline)?)?;
    let title = title::text(plan.target, &plan.cmdline);
    memory.write(TITLE, &title)?;
    let program = filter::program(ABI, epoll_fd, timer_fd, &devices.attached);
    memory.write(FILTER, &encode(&program, FILTER))?;
    memory.write(TRAMPOLINE, trampoline::code())?;
    caches::publish_code(TRAMPOLINE, TRAMPOLINE + PAGE);
    memory.protect(TRAMPOLINE..TRAMPOLINE + PAGE, libc::PROT_READ | libc::PROT_EXEC)?;
    let jump = Jump {
        unmap_from: memory.end(),
        unmap_to: arch::task_end(),
        sealed_from: sealed.start,
        sealed_to: sealed.end,
        entry: load.entry,
    };
    let open = host::kept(devices.fds.iter().chain([&events.epoll, &events.timer]))?;
    host::forgo_privileges()?;
    host::curb_speculation();
    signals::install(trampoline::handler(), Some(Stack { start: ALTSTACK, bytes: ALTSTACK_BYTES }))?;
    Ok(Ready { jump, title_end: TITLE + title.len() as u64, memory, _fds: (devices, events), open })
}

/// Exactly what the image says: its code runs here.
fn protection(segment: &Segment) -> i32 {
    [(4, libc::PROT_READ), (2, libc::PROT_WRITE), (1, libc::PROT_EXEC)]
        .iter()
        .filter(|(flag, _)| segment.flags & flag != 0)
        .fold(libc::PROT_NONE, |all, (_, bit)| all | bit)
}

impl Ready {
    /// Becomes the guest. `ready` is called when nothing can fail any more and everything is still open and mapped;
    /// afterwards every descriptor but 0, 1, 2 and the guest's own is closed, and the runtime unmapped.
    pub(crate) fn enter(self, ready: impl FnOnce()) -> ! {
        ready();
        host::close_all_but(&self.open);
        host::forget_libc();
        title::set(self.memory.host_range(), TITLE..self.title_end);
        signals::unblock();
        // SAFETY: `prepare` has filled and protected the trampoline page and the filter; its contract is that this
        // is the only thread. `self` is never dropped, so the memory stays mapped.
        unsafe { arch::jump(&self.jump) }
    }
}
