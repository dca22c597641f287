//! What a supervising init hears from a monitor and its guest, and what that says about the end: bytes in, facts out.
//!
//! Nothing here allocates: init has no heap any more by then. All of it is foreign, so that every line, text and tail
//! has a bound.

mod console;
mod ending;
mod events;
mod http;
mod judge;
mod lines;
mod log;
mod qmp;

pub use console::Console;
pub use ending::{Cause, Ending, Evidence, Fate, Note, REBOOTING};
pub use events::Events;
pub use http::Answer;
pub use lines::{Lines, Text};
pub use log::Log;
pub use qmp::{BUTTON_ENABLED, Said, hear};
