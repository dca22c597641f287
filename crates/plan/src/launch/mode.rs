//! Who is the process of the container: the monitor itself, or our init beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::MONITOR_LOG;

/// Firecracker's `--log-path`.
pub(crate) const FIRECRACKER_LOG: &str = "/run/firecracker/log";

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
        /// How the monitor and init talk.
        #[serde(default)]
        voice: Voice,
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
    /// By its power button, or the keys that restart it; as [`Stop::Signal`] where the monitor refuses, or knows that
    /// nobody listens.
    PowerButton,
}

/// How a monitor tells of its guest, and is told to stop it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Voice {
    /// Its exit status alone.
    #[default]
    Status,
    /// QMP on [`FdSource::Control`](super::FdSource::Control), and a copy of the console.
    Qmp,
    /// Its API, its log, and the console, which is its standard output.
    Firecracker,
    /// Its API, events on [`FdSource::Control`](super::FdSource::Control), its log, and the console, which is its standard
    /// output.
    CloudHypervisor,
    /// The guest's status is its own, except where it complains on standard error.
    Solo5,
}

impl Voice {
    /// It has something to ask a guest by.
    #[must_use]
    pub fn asks(self) -> bool {
        self.requests().is_some() || self == Self::Qmp
    }

    /// The request to its API by which a guest is asked to end (Firecracker's `SendCtrlAltDel`, x86_64 only; Cloud
    /// Hypervisor's `vm.power-button`).
    #[must_use]
    pub fn requests(self) -> Option<&'static [u8]> {
        match self {
            Self::Firecracker => Some(
                b"PUT /actions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                  Content-Length: 32\r\n\r\n{\"action_type\":\"SendCtrlAltDel\"}",
            ),
            Self::CloudHypervisor => {
                Some(b"PUT /api/v1/vm.power-button HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            }
            _ => None,
        }
    }

    /// The file of the private root that tells how a processor of its guest failed.
    #[must_use]
    pub fn log(self) -> Option<&'static str> {
        match self {
            Self::Firecracker => Some(FIRECRACKER_LOG),
            Self::CloudHypervisor | Self::Solo5 => Some(MONITOR_LOG),
            Self::Qmp | Self::Status => None,
        }
    }

    /// The guest's console is its standard output, and has no second place to go: init hands it on.
    #[must_use]
    pub fn prints_console(self) -> bool {
        self.requests().is_some()
    }
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

    #[test]
    fn requests_are_as_long_as_they_say() {
        let requests: Vec<&str> = [Voice::Firecracker, Voice::CloudHypervisor]
            .iter()
            .map(|voice| str::from_utf8(voice.requests().unwrap()).unwrap())
            .collect();
        for request in requests {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{request}");
        }
    }
}
