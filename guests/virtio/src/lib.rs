//! What a guest of virtual machines needs: two entries, a console, virtio devices, the time, and all ways to end.
//!
//! It is entered by the PVH note (QEMU, Cloud Hypervisor, Firecracker), by the 64-bit entry of Linux (Firecracker before
//! 1.12) or, once it is a 32-bit file, by multiboot (QEMU), and uses its devices without interrupts.
#![cfg_attr(not(test), no_std)]

#[cfg(target_os = "none")]
pub mod block;
#[cfg(target_os = "none")]
mod boot;
pub mod checksum;
#[cfg(target_os = "none")]
pub mod clock;
#[cfg(target_os = "none")]
pub mod end;
pub mod info;
#[cfg(target_os = "none")]
mod interrupt;
#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
pub mod net;
#[cfg(target_os = "none")]
mod pci;
#[cfg(target_os = "none")]
pub mod platform;
#[cfg(target_os = "none")]
mod queue;
#[cfg(target_os = "none")]
mod registers;
#[cfg(target_os = "none")]
pub mod serial;
#[cfg(target_os = "none")]
mod transport;
pub mod words;

#[cfg(target_os = "none")]
pub use transport::Error;
