//! What init knows while the monitor runs.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use urunc_plan::launch::{Stop, Voice};
use urunc_plan::supervision::{Fate, Text};
use urunc_sys::process;

use super::Means;
use super::api::Api;
use super::console::Copied;
use super::link::Control;
use super::words::Words;

/// Plain data.
#[derive(Clone, Copy)]
pub(super) struct Watch {
    /// The monitor, by pidfd and by number.
    pub(super) monitor: BorrowedFd<'static>,
    pub(super) pid: i32,
    /// What comes to the container's process.
    pub(super) signals: BorrowedFd<'static>,
    /// Where READY or FAILED goes, until one of them went there.
    pub(super) start: Option<BorrowedFd<'static>>,
    /// Where the record goes.
    pub(super) record: Option<BorrowedFd<'static>>,
    /// Counter of kills for memory.
    pub(super) oom: Option<BorrowedFd<'static>>,
    /// The monitor's log.
    pub(super) log: Option<BorrowedFd<'static>>,
    /// Its API.
    pub(super) api: Option<Api>,
    /// What it can say to `start`.
    pub(super) words: Words,
    /// Seconds that the monitor gets for its greeting.
    pub(super) patience: u64,
    pub(super) stop: Stop,
    pub(super) voice: Voice,
    pub(super) statuses: [Option<u8>; 256],
    pub(super) control: Control,
    pub(super) copied: Copied,
    pub(super) phase: Phase,
    pub(super) deadline: Option<Duration>,
    pub(super) asked: Option<u8>,
    pub(super) shutdown: Option<Text<32>>,
    pub(super) panicked: bool,
    pub(super) broken: bool,
    /// The monitor's end; the last of the console is still on its way.
    pub(super) fate: Option<Fate>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The greeting is to come.
    Silent,
    /// It is still making the machine; commands are not answered.
    Greeted,
    /// It takes commands.
    Running,
    /// A stop was asked for; does the guest listen?
    Looking,
    /// The button was pressed: the rest is the guest's, and the engine's patience.
    Pressed,
    /// SIGTERM was sent.
    Ending,
    /// SIGKILL was sent.
    Killed,
}

impl Watch {
    /// Of these channels; the rest is to be filled in.
    pub(super) fn new(
        control: BorrowedFd<'static>,
        (console, out): (BorrowedFd<'static>, Option<BorrowedFd<'static>>),
        means: Means<'_>,
    ) -> Self {
        Self {
            monitor: control,
            pid: 0,
            signals: control,
            start: None,
            record: None,
            oom: None,
            log: None,
            api: None,
            words: Words::default(),
            patience: 0,
            control: Control::new(control, means.voice),
            copied: Copied::new(console, out),
            stop: means.stop,
            voice: means.voice,
            statuses: means.statuses.table(),
            phase: Phase::Silent,
            deadline: None,
            asked: None,
            shutdown: None,
            panicked: false,
            broken: false,
            fate: None,
        }
    }

    /// No greeting: it runs, and `start` has its READY from the exec.
    pub(super) fn expect_nothing(&mut self) {
        self.phase = Phase::Running;
    }

    /// What is open.
    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'static>> {
        let api = self.api.as_ref().and_then(Api::fd);
        let channels = [self.control.fd(), self.start, self.record, self.oom, self.log, api];
        let channels = channels.into_iter().chain(self.copied.fds()).flatten();
        channels.chain([self.monitor, self.signals]).collect()
    }

    /// Nobody but poll(2) waits.
    pub(super) fn never_block(&self) -> urunc_sys::Result<()> {
        let [console, _] = self.copied.fds();
        [self.control.fd(), console].into_iter().flatten().try_for_each(process::never_block)
    }
}
