//! Hardware virtualized tender: the guest is a virtual machine of KVM, this process answers its hypercalls.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod arch;
mod calls;
#[cfg(target_arch = "x86_64")]
mod cpuid;
mod exit;
pub(crate) mod filter;
mod host;
mod kvm;

use std::fmt::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd};

use urunc_plan::launch::Tender;
use urunc_plan::solo5::Segment;

use calls::{Calls, Next};
use exit::{Cause, Exit};
use filter::Own;
use kvm::{Device, Processor};

use crate::boot::{self, Abi, BootInfo};
use crate::devices::{Devices, Events, Fds};
use crate::filter::{ABI, in_place};
use crate::load::Memory;
use crate::sys::File;
use crate::{TenderError, image, signals, title};

/// Exit status of a guest that does not end by its own word.
const FAILED: u8 = 1;

/// A loaded guest: nothing is left that can fail.
pub(crate) struct Ready {
    processor: Processor,
    calls: Calls,
    program: Vec<u8>,
    title: Vec<u8>,
    open: Vec<u32>,
}

/// See [`crate::prepare`].
pub(crate) fn prepare(plan: &Tender, fds: Fds) -> Result<Ready, TenderError> {
    if !arch::IS_BUILT {
        return Err(TenderError::Host("hvt guests run on x86_64 only so far".to_owned()));
    }
    crate::host::check()?;
    let device = Device::new(fds.kvm)?;
    let file = File::new(fds.kernel.as_fd(), "kernel")?;
    let (image, load) = image::read(&file, plan)?;
    let devices = Devices::attach(&image.devices, plan, fds.net, fds.block)?;
    let events = Events::watch(&devices)?;
    let mut memory = Memory::of_machine(size(plan)?)?;
    memory.load(&file, &load, protection)?;
    let processor = device.processor(&memory)?;
    let abi = Abi::Hvt { cycle_freq: processor.cycle_freq()? };
    let info = BootInfo { mem_size: memory.end(), kernel_end: load.kernel_end, abi };
    memory.write(info.address(), &boot::encode(&info, &devices.attached, &plan.cmdline)?)?;
    arch::prepare(&device, &processor, &mut memory, load.entry)?;
    let own = Own {
        processor: processor.fd.as_raw_fd(),
        epoll: events.epoll.as_raw_fd(),
        timer: events.timer.as_raw_fd(),
    };
    let program = in_place(&filter::program(ABI, own, &devices.attached));
    let open = crate::host::kept(devices.fds.iter().chain([&events.epoll, &events.timer, &processor.fd]))?;
    crate::host::forgo_privileges()?;
    signals::install(host::end as extern "C" fn(i32) -> ! as usize as u64, None)?;
    let title = title::text(plan.target, &plan.cmdline);
    Ok(Ready { processor, calls: Calls { memory, devices, events }, program, title, open })
}

/// Memory in MiB: the page tables of the ABI map pages of 2 MiB below 4 GiB.
fn size(plan: &Tender) -> Result<u64, TenderError> {
    let mib = plan.memory_mib;
    if !mib.is_multiple_of(2) || mib > 4096 {
        return Err(TenderError::Memory { mib, why: "not a multiple of 2 MiB up to 4096".to_owned() });
    }
    Ok(mib)
}

/// In this process nothing of the guest is code, and what the image does not write stays as it is: KVM obeys this
/// process's page tables, whatever the guest's own say.
fn protection(segment: &Segment) -> i32 {
    if segment.flags & 2 != 0 { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ }
}

impl Ready {
    /// Runs the guest to its end. `ready` is called when nothing can fail any more and everything is still open.
    pub(crate) fn enter(mut self, ready: impl FnOnce()) -> ! {
        ready();
        crate::host::close_all_but(&self.open);
        let argv = self.title.as_ptr().expose_provenance() as u64;
        title::set(self.calls.memory.host_range(), argv..argv + self.title.len() as u64);
        signals::unblock();
        if !host::install(&self.program) {
            host::exit(FAILED);
        }
        let status = self.run().unwrap_or_else(|cause| {
            self.report(cause);
            FAILED
        });
        host::exit(status)
    }

    fn run(&mut self) -> Result<u8, Cause> {
        loop {
            match host::run(&self.processor.fd) {
                Ok(()) => {}
                // Stopped and resumed.
                Err(libc::EINTR) => continue,
                Err(libc::EFAULT) => return Err(self.processor.page.fault()),
                Err(errno) => return Err(Cause::Run(errno)),
            }
            match self.processor.page.exit() {
                Exit::Out { port, value } => {
                    if let Next::Exit(status) = self.calls.answer(port, value)? {
                        return Ok(status);
                    }
                }
                Exit::End(cause) => return Err(cause),
            }
        }
    }

    /// One line on standard error. Nothing may be allocated any more.
    fn report(&self, cause: Cause) {
        let mut line = Line { bytes: [0; 256], len: 0 };
        // A line takes as much as it has room for.
        let _ = write!(line, "solo5-hvt: {cause}");
        if let Some(address) = self.processor.page.instruction() {
            let _ = write!(line, ", at instruction {address:#x}");
        }
        let _ = line.write_str("\n");
        host::write_all(2, line.bytes.as_ptr().expose_provenance() as u64, line.len as u64);
    }
}

/// Text in a place of its own.
struct Line {
    bytes: [u8; 256],
    len: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(text.bytes()) {
            *to = from;
            self.len += 1;
        }
        Ok(())
    }
}
