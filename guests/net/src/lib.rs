//! Guests with a network device: an HTTP server and a UDP echo, on smoltcp.
//!
//! Addresses come on the command line, as `MirageOS` takes them. What needs no device is built for the host as well,
//! where it is tested: `cargo test --package net --lib --target x86_64-unknown-linux-musl`.
#![cfg_attr(not(test), no_std)]

pub mod arp;
pub mod dialects;
pub mod http;
#[cfg(target_os = "none")]
pub mod link;
pub mod options;
#[cfg(target_os = "none")]
pub mod server;
#[cfg(target_os = "none")]
pub mod stack;
mod text;

pub use text::Text;
