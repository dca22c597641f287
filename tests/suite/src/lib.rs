//! Black-box tests of an OCI runtime named by `RUNTIME`: each case is a process of its own with its own state root,
//! cgroup and temporary directory, and ends with a look at what is left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]
// `launch().ok()` is a whole step of a case: what it returns is a convenience.
#![allow(clippy::return_self_not_must_use)]

pub mod bad_input;
pub mod bundle;
pub mod bystander;
pub mod catalogue;
pub mod chaos;
pub mod command;
pub mod container;
pub mod crash;
pub mod delegation;
pub mod differences;
pub mod exits;
pub mod faults;
pub mod harness;
pub mod hostile;
pub mod hostile_guest;
pub mod hvt_guest;
pub mod image;
pub mod kernel_log;
pub mod lifecycle;
pub mod machine;
pub mod memory;
pub mod nameserver;
pub mod net_guest;
pub mod net_linux;
pub mod probe;
pub mod real_vmm;
pub mod reality;
pub mod review;
pub mod sandbox;
pub mod storm;
mod urunit;
pub mod usage;
pub mod virtio_guest;
