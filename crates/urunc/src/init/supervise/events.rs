//! The loop: the monitor's words and end, signals to the container, and time.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use urunc_plan::launch::{StatusMap, Stop};
use urunc_plan::supervision::{BUTTON_ENABLED, Ending, Evidence, Fate, Said, Text};
use urunc_sys::{alone, cgroup, process};

use super::link::{Control, Copied};
use crate::handshake::{self, Message};
use crate::{exit, signals};

const SIGCHLD: i32 = 17;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// PM1_EN of the machine's power management block, where QEMU's firmware puts it: read by a command for people, as QMP
/// has none.
const LOOK: &[u8] =
    b"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"i/h 0x602\"}}\n";
const NEGOTIATE: &[u8] = b"{\"execute\":\"qmp_capabilities\"}\n";
const PRESS: &[u8] = b"{\"execute\":\"system_powerdown\"}\n";
const STATUS: &[u8] = b"{\"execute\":\"query-status\"}\n";
/// Ports that nobody answers read as ones.
const NOBODY: u16 = 0xffff;
/// How long the monitor gets to say whether the guest listens.
const ANSWER: Duration = Duration::from_millis(500);
/// How long it gets to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);

/// What init knows while the monitor runs: plain data.
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
    /// What it can say to `start`.
    pub(super) words: Words,
    /// Seconds that the monitor gets for its greeting.
    pub(super) patience: u64,
    stop: Stop,
    statuses: [Option<u8>; 256],
    control: Control,
    copied: Copied,
    phase: Phase,
    deadline: Option<Duration>,
    asked: Option<u8>,
    shutdown: Option<Text<32>>,
    panicked: bool,
    broken: bool,
}

/// Frames for `start`, made while they can be made.
#[derive(Clone, Copy, Default)]
pub(super) struct Words {
    ready: Text<32>,
    ended: Text<160>,
    no_greeting: Text<160>,
    too_late: Text<160>,
}

impl Words {
    /// Of the monitor with this name, which gets `patience` seconds.
    pub(super) fn new(monitor: &str, patience: u64) -> anyhow::Result<Self> {
        let failed = |why: &str| {
            let message = format!("{monitor} {why}");
            Ok::<_, anyhow::Error>(Text::cut(&handshake::frame(&Message::Failed {
                step: "monitor".into(),
                message,
            })?))
        };
        Ok(Self {
            ready: Text::cut(&handshake::frame(&Message::Ready)?),
            ended: failed("ended before its QMP greeting")?,
            no_greeting: failed("gave no QMP greeting")?,
            too_late: failed(&format!("gave no QMP greeting within {patience} s"))?,
        })
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
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
        console: BorrowedFd<'static>,
        (stop, statuses): (Stop, &StatusMap),
    ) -> Self {
        Self {
            monitor: control,
            pid: 0,
            signals: control,
            start: None,
            record: None,
            oom: None,
            words: Words::default(),
            patience: 0,
            stop,
            statuses: statuses.table(),
            control: Control::new(control),
            copied: Copied::new(console),
            phase: Phase::Silent,
            deadline: None,
            asked: None,
            shutdown: None,
            panicked: false,
            broken: false,
        }
    }

    /// The monitor says nothing over its channels: it runs, and `start` has its READY from the exec.
    pub(super) fn expect_nothing(&mut self) {
        self.phase = Phase::Running;
    }

    /// What is open.
    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'static>> {
        let channels = [self.control.fd(), self.copied.fd(), self.start, self.record, self.oom];
        channels.into_iter().flatten().chain([self.monitor, self.signals]).collect()
    }

    /// Nobody but poll(2) waits.
    pub(super) fn never_block(&self) -> urunc_sys::Result<()> {
        [self.control.fd(), self.copied.fd()].into_iter().flatten().try_for_each(process::never_block)
    }

    fn within(&mut self, time: Duration) {
        self.deadline = Some(alone::now() + time);
    }

    /// The monitor's end was asked for by `number`, for the first time or once more.
    fn stop(&mut self, number: i32) {
        if self.asked.is_some() {
            return self.kill();
        }
        self.asked = u8::try_from(number).ok();
        if self.phase == Phase::Running && self.stop == Stop::PowerButton {
            self.phase = Phase::Looking;
            let _ = self.control.say(LOOK);
            self.within(ANSWER);
        } else {
            self.end();
        }
    }

    fn end(&mut self) {
        self.phase = Phase::Ending;
        process::try_signal(self.monitor, SIGTERM);
        self.within(GRACE);
    }

    fn kill(&mut self) {
        self.phase = Phase::Killed;
        self.deadline = None;
        process::try_signal(self.monitor, SIGKILL);
    }

    fn late(&mut self) {
        match self.phase {
            Phase::Silent => self.refuse(self.words.too_late.bytes()),
            Phase::Looking => self.end(),
            _ => self.kill(),
        }
    }

    /// The end of a start that failed: `start` hears why, and kills what is left.
    fn refuse(&self, why: &[u8]) -> ! {
        let _ = self.start.map(|start| rustix::io::write(start, why));
        process::exit_now(1)
    }

    fn heard(&mut self, said: Said<'_>) {
        match (self.phase, said) {
            (Phase::Silent, Said::Greeting) => {
                (self.phase, self.deadline) = (Phase::Greeted, None);
                if !self.control.say(NEGOTIATE) {
                    self.refuse(self.words.ended.bytes());
                }
                if let Some(start) = self.start.take() {
                    let _ = rustix::io::write(start, self.words.ready.bytes());
                    alone::close(start);
                }
            }
            (Phase::Silent, _) => self.refuse(self.words.no_greeting.bytes()),
            (Phase::Greeted, Said::Done(_)) => self.phase = Phase::Running,
            (_, Said::Shutdown(reason)) => self.shutdown = Some(Text::cut(reason)),
            (_, Said::Panicked) => self.panicked = true,
            (Phase::Running, Said::Stopped) => drop(self.control.say(STATUS)),
            (_, Said::Status(b"internal-error")) => {
                self.broken = true;
                self.kill();
            }
            (Phase::Looking, said @ (Said::Done(_) | Said::Refused)) => {
                let listens = |enabled: u16| enabled != NOBODY && enabled & BUTTON_ENABLED != 0;
                if said.port().is_some_and(listens) {
                    (self.phase, self.deadline) = (Phase::Pressed, None);
                    let _ = self.control.say(PRESS);
                } else {
                    self.end();
                }
            }
            _ => {}
        }
    }

    /// Takes what the monitor has said. A line may lead to a command, so that it is copied out first.
    fn listen(&mut self) -> bool {
        let mut control = self.control;
        let heard = control.hear(|said| self.heard(said));
        self.control = control;
        if self.phase == Phase::Silent && self.control.fd().is_none() {
            self.refuse(self.words.ended.bytes());
        }
        heard
    }

    /// The monitor has ended: the rest of what it said, the judgement, the record.
    fn finish(&mut self, fate: Fate) -> ! {
        while self.listen() {}
        if self.start.is_some() && self.asked.is_none() {
            self.refuse(self.words.ended.bytes());
        }
        self.copied.fetch();
        let ending = Ending::of(&Evidence {
            fate,
            shutdown: self.shutdown.as_ref().map(Text::bytes),
            panicked: self.panicked,
            broken: self.broken,
            stop: self.asked,
            oom: self.oom.and_then(cgroup::oom_kills).is_some_and(|kills| kills > 0),
            console: &self.copied.console,
            statuses: &self.statuses,
        });
        let line = exit::record(&ending, self.copied.console.tail());
        let _ = self.record.map(|record| rustix::io::write(record, line.bytes()));
        process::exit_now(ending.status.into())
    }

    fn receive_signals(&mut self) {
        while let Some(number) = process::next_signal(self.signals) {
            match number {
                SIGCHLD => self.reap(),
                // What our own writes raise.
                SIGPIPE => {}
                number if signals::ends_a_process(number) => self.stop(number),
                _ => {}
            }
        }
    }

    /// Whatever became an orphan in this pid namespace is reaped here; the monitor's end is the container's.
    fn reap(&mut self) {
        while let Some((pid, fate)) = process::reap_any() {
            if pid == self.pid {
                self.finish(fate);
            }
        }
    }
}

/// Watches until the monitor has ended, and ends with what became of it.
pub(super) fn watch(watch: &mut Watch) -> ! {
    if watch.phase == Phase::Silent {
        watch.within(Duration::from_secs(watch.patience));
    } else if let Some(start) = watch.start.take() {
        alone::close(start);
    }
    loop {
        let left = watch.deadline.map(|deadline| deadline.saturating_sub(alone::now()));
        let timeout = [left, watch.copied.rest()].into_iter().flatten().min();
        let fds = [Some(watch.signals), watch.control.fd(), watch.copied.fd()];
        // Nothing that is read waits: when in doubt, all of it is read.
        let [signals, control, console] = process::wait_any(fds, timeout);
        if control {
            watch.listen();
        }
        if console {
            watch.copied.fetch();
        }
        if signals {
            watch.receive_signals();
        }
        if watch.deadline.is_some_and(|deadline| alone::now() >= deadline) {
            watch.late();
        }
    }
}
