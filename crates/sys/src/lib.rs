//! Linux mechanisms: knows no guest and no monitor.

pub mod atomic;
pub mod cgroup;
pub mod error;
pub mod fdpass;
pub mod identity;
pub mod inroot;
pub mod kvm;
pub mod net;
pub mod process;
pub mod pty;
pub mod root;
pub mod seccomp;

pub use error::{Result, SysError};
