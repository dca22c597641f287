//! The first serial line (16550), written byte by byte.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::machine::{in8, out8};

const DATA: u16 = 0x3f8;
const LINE_STATUS: u16 = DATA + 5;
const IS_EMPTY: u8 = 1 << 5;
/// Looks at a line that takes nothing, before a byte is lost.
const PATIENCE: u32 = 1 << 20;

/// The line has taken its last byte.
static IS_ALIVE: AtomicBool = AtomicBool::new(true);

/// The console.
#[derive(Debug, Clone, Copy)]
pub struct Console;

impl Console {
    /// Writes bytes. What a line does not take in time is lost, so that nobody's end of it can stop the guest.
    pub fn write(self, bytes: &[u8]) {
        for byte in bytes {
            put(*byte);
        }
    }
}

fn put(byte: u8) {
    let looks = if IS_ALIVE.load(Ordering::Relaxed) { PATIENCE } else { 1 };
    let is_alive = (0..looks).any(|_| in8(LINE_STATUS) & IS_EMPTY != 0);
    IS_ALIVE.store(is_alive, Ordering::Relaxed);
    if is_alive {
        out8(DATA, byte);
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

/// Prints a line.
#[macro_export]
macro_rules! println {
    ($($part:tt)*) => {{
        use core::fmt::Write as _;
        let _ = core::writeln!($crate::serial::Console, $($part)*);
    }};
}
