//! Linux mechanisms: knows no guest and no monitor.
// Raw numbers of the kernel's ABI are cast as its headers do; every cast of a foreign value is checked where it enters.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::similar_names
)]

pub mod alone;
pub mod atomic;
pub mod capabilities;
pub mod cgroup;
#[cfg(test)]
mod child;
pub mod cover;
mod dbus;
pub mod error;
pub mod fdpass;
pub mod identity;
pub mod inroot;
pub mod kvm;
pub mod measures;
pub mod namespace;
pub mod net;
pub mod process;
pub mod pty;
pub mod root;
pub mod seccomp;
pub mod systemd;

pub use error::{Result, SysError};
