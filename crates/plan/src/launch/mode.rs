//! Who is the process of the container: the monitor itself, or our init beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Who is the process of the container (ARCHITECTURE.md, "Two ways to run a monitor").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Init becomes the monitor; nothing of ours is left.
    Direct {
        /// Reason.
        why: String,
    },
    /// Init starts the monitor and stays: it stops the guest, and tells how it ended.
    Supervised {
        /// Reason.
        why: String,
        /// What a stop signal becomes.
        stop: Stop,
        /// What the monitor's exit status says about the guest.
        status: StatusMap,
    },
}

/// How a guest is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It is not asked: the monitor ends.
    Signal,
    /// By the ACPI power button, if it listens; else as [`Stop::Signal`].
    PowerButton,
}

/// Exit status of the monitor to that of the guest, where the guest has a way to set the former.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusMap {
    /// These first: success of some guests is not 0.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exact: BTreeMap<u8, u8>,
    /// `isa-debug-exit`: the guest's value `v` ends QEMU with `(v << 1) | 1`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub debug_exit: bool,
}

impl StatusMap {
    /// The guest's status; `None` when the monitor's says nothing about it.
    pub fn guest(&self, monitor: u8) -> Option<u8> {
        let odd = (self.debug_exit && monitor & 1 == 1).then_some(monitor >> 1);
        self.exact.get(&monitor).copied().or(odd)
    }

    /// The map as a table, for a place without a heap.
    pub fn table(&self) -> [Option<u8>; 256] {
        let mut table = [None; 256];
        for (status, place) in (0..=u8::MAX).zip(&mut table) {
            *place = self.guest(status);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_its_own_precedes_the_port() {
        let hermit = StatusMap { exact: BTreeMap::from([(3, 0)]), debug_exit: true };
        assert_eq!(
            [0, 1, 3, 5, 85, 255].map(|code| hermit.guest(code)),
            [None, Some(0), Some(0), Some(2), Some(42), Some(127)]
        );
        assert!(StatusMap::default().table().iter().all(Option::is_none));
    }
}
