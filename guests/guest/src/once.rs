//! Memory that is part of the image, so that whoever plans the guest's memory counts it.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A static value that somebody takes for good.
#[derive(Debug)]
pub struct Once<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `take` only, which gives it to one caller.
unsafe impl<T: Send> Sync for Once<T> {}

impl<T> Once<T> {
    /// The value, not yet taken.
    pub const fn new(value: T) -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The value; `None` when it is taken already.
    // Once only: the flag makes it unique.
    #[allow(clippy::mut_from_ref)]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: nobody else got it, and nobody will.
        Some(unsafe { &mut *self.value.get() })
    }
}
