//! The built-in Solo5 monitor: this process turns itself into a unikernel.
//!
//! [`prepare`] does everything that can fail; [`Ready::enter`] closes every other descriptor and starts the guest, behind
//! a filter of system calls. There is no second exec and no second thread.
//!
//! Target spt: the runtime is unmapped and the guest is the process, with nine system calls and its devices. Target hvt:
//! the guest is a virtual machine of KVM, and what is left of the runtime answers its hypercalls.
#![allow(unsafe_code)]

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the built-in Solo5 monitor knows x86_64 and aarch64 only");
#[cfg(not(target_os = "linux"))]
compile_error!("the built-in Solo5 monitor needs Linux");

mod boot;
mod caches;
mod devices;
mod error;
mod filter;
mod host;
mod hvt;
mod image;
mod load;
mod signals;
mod spt;
mod sys;
mod title;

pub use devices::Fds;
pub use error::TenderError;

use urunc_plan::launch::{Target, Tender};

/// A loaded guest: nothing is left that can fail.
pub struct Ready(Guest);

enum Guest {
    Spt(spt::Ready),
    Hvt(hvt::Ready),
}

/// Checks the image again, loads it and makes everything the guest needs. Of the process it changes no_new_privs,
/// speculation controls, signal handlers and, for target spt, the mapping of guest addresses; call it with the final
/// identity, in the only thread.
pub fn prepare(plan: &Tender, fds: Fds) -> Result<Ready, TenderError> {
    Ok(Ready(match plan.target {
        Target::Spt => Guest::Spt(spt::prepare(plan, fds)?),
        Target::Hvt => Guest::Hvt(hvt::prepare(plan, fds)?),
    }))
}

impl Ready {
    /// Becomes the guest. `ready` is called when nothing can fail any more and everything is still open and mapped;
    /// afterwards every descriptor but 0, 1, 2 and the guest's own is closed.
    pub fn enter(self, ready: impl FnOnce()) -> ! {
        match self.0 {
            Guest::Spt(guest) => guest.enter(ready),
            Guest::Hvt(guest) => guest.enter(ready),
        }
    }
}
