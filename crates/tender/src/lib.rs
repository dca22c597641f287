//! The built-in Solo5 monitor: this process turns itself into a unikernel.
//!
//! [`prepare`] does everything that can fail; [`Ready::enter`] closes every other descriptor, unmaps the whole
//! runtime, installs the guest's system call filter and jumps. There is no second exec and no second thread. What
//! is left is a process that holds the guest's memory, nine system calls and the guest's devices.
#![allow(unsafe_code)]

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the built-in Solo5 monitor knows x86_64 and aarch64 only");
#[cfg(not(target_os = "linux"))]
compile_error!("the built-in Solo5 monitor needs Linux");

mod boot;
mod caches;
mod devices;
mod error;
mod load;
mod spt;
mod sys;

pub use devices::Fds;
pub use error::TenderError;
pub use spt::{Ready, prepare};
