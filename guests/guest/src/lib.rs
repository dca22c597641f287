//! What guests have in common, whatever they run on.
#![no_std]

mod once;
mod port;

pub use once::Once;
pub use port::Port;
