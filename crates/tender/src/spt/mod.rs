//! Sandboxed process tender: the guest is this process, its memory this process's addresses.

#[cfg_attr(target_arch = "x86_64", path = "enter_x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "enter_aarch64.rs")]
mod arch;
mod filter;
mod host;
mod signals;
mod title;
mod trampoline;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use urunc_plan::launch::{Target, Tender};
use urunc_plan::solo5::{self, Load, PAGE, Solo5Image, TARGET_SPT};

use trampoline::{FILTER, TITLE, TRAMPOLINE};

use crate::TenderError;
use crate::boot::{self, BOOT_INFO, BootInfo, Kind};
use crate::caches;
use crate::devices::{Devices, Fds};
use crate::load::Memory;
use crate::sys::{self, File};

/// epoll data of the timer (`SPT_INTERNAL_TIMERFD`); network devices have their manifest index.
const TIMER_EVENT: u64 = 0xffff_fffe;

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
pub struct Ready {
    jump: Jump,
    title_len: u64,
    /// Held for its mapping only.
    _memory: Memory,
    /// Open for the guest; ascending.
    keep: Vec<OwnedFd>,
}

/// Checks the image again, loads it and makes everything the guest needs. Of the process it changes no_new_privs,
/// speculation controls, signal handlers and the mapping of guest addresses; call it with the final identity, in the
/// only thread.
pub fn prepare(plan: &Tender, fds: Fds) -> Result<Ready, TenderError> {
    let Target::Spt = plan.target;
    host::check()?;
    let sealed = host::sealed_window()?;
    let file = File::new(fds.kernel.as_fd(), "kernel")?;
    let (image, load) = solo5::parse_load(&file)
        .map_err(TenderError::Image)?
        .ok_or_else(|| TenderError::Image("not a Solo5 image: no ABI note".to_owned()))?;
    check_image(&image, &load, plan)?;
    let devices = Devices::attach(&image.devices, plan, fds.net, fds.block)?;
    let (epoll, timer) = (sys::epoll()?, sys::timer()?);
    sys::watch(&epoll, &timer, TIMER_EVENT)?;
    for (index, (device, fd)) in devices.attached.iter().zip(&devices.fds).enumerate() {
        if let Kind::Net { .. } = device.kind {
            sys::watch(&epoll, fd, index as u64 + 1)?;
        }
    }
    let mut memory = Memory::map(plan.memory_mib)?;
    memory.load(&file, &load)?;
    let info = BootInfo {
        mem_size: memory.end(),
        kernel_end: load.kernel_end,
        epoll_fd: epoll.as_raw_fd(),
        timer_fd: timer.as_raw_fd(),
    };
    memory.write(BOOT_INFO, &boot::encode(&info, &devices.attached, &plan.cmdline)?)?;
    let title = title::text(&plan.cmdline);
    memory.write(TITLE, &title)?;
    let program = filter::program(filter::ABI, info.epoll_fd, info.timer_fd, &devices.attached);
    memory.write(FILTER, &filter::encode(&program, FILTER))?;
    memory.write(TRAMPOLINE, trampoline::code())?;
    caches::publish_code(TRAMPOLINE, TRAMPOLINE + PAGE);
    memory.protect(TRAMPOLINE, TRAMPOLINE + PAGE, libc::PROT_READ | libc::PROT_EXEC)?;
    let jump = Jump {
        unmap_from: memory.end(),
        unmap_to: arch::task_end(),
        sealed_from: sealed.start,
        sealed_to: sealed.end,
        entry: load.entry,
    };
    let mut keep: Vec<OwnedFd> = devices.fds.into_iter().chain([epoll, timer]).collect();
    keep.sort_by_key(AsRawFd::as_raw_fd);
    if keep.first().is_some_and(|fd| fd.as_raw_fd() <= 2) {
        return Err(TenderError::Host("descriptors 0, 1 and 2 must be open and not be devices".to_owned()));
    }
    host::confine()?;
    signals::install()?;
    Ok(Ready { jump, title_len: title.len() as u64, _memory: memory, keep })
}

fn check_image(image: &Solo5Image, load: &Load, plan: &Tender) -> Result<(), TenderError> {
    let bad = |why: String| Err(TenderError::Image(why));
    if image.machine != arch::ELF_MACHINE {
        return bad(format!("made for ELF machine {}, this host is {}", image.machine, arch::ELF_MACHINE));
    }
    if image.target != TARGET_SPT {
        return bad(format!("made for ABI target {}, not {TARGET_SPT} (spt)", image.target));
    }
    if !(1..=2).contains(&image.version) {
        return bad(format!("spt ABI version {}, not 1 or 2", image.version));
    }
    let size = plan.memory_mib.saturating_mul(1 << 20);
    let needed = image.end.max(load.kernel_end);
    if needed >= size {
        let why = format!("the image ends at {needed:#x} and needs a stack above");
        return Err(TenderError::Memory { mib: plan.memory_mib, why });
    }
    Ok(())
}

impl Ready {
    /// Becomes the guest. `ready` is called when nothing can fail any more and everything is still open and mapped;
    /// afterwards every descriptor but 0, 1, 2 and the guest's own is closed, and the runtime unmapped.
    pub fn enter(self, ready: impl FnOnce()) -> ! {
        ready();
        host::close_all_but(&self.keep);
        host::forget_libc();
        title::set(&self.jump, self.title_len);
        signals::unblock();
        // SAFETY: `prepare` has filled and protected the trampoline page and the filter; its contract is that this
        // is the only thread. `self` is never dropped, so the memory stays mapped.
        unsafe { arch::jump(&self.jump) }
    }
}
