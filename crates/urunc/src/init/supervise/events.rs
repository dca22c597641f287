//! The loop: the monitor's words and end, signals to the container, and time.

use std::time::Duration;

use urunc_plan::launch::Stop;
use urunc_plan::supervision::{BUTTON_ENABLED, Ending, Evidence, Fate, REBOOTING, Said, Text};
use urunc_sys::process::{self, Until};
use urunc_sys::{alone, cgroup};

use super::api::Api;
use super::link;
use super::watch::{Phase, Watch};
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
/// How long the container's reader gets for what the guest has said, once the monitor has ended by itself.
const DRAIN: Duration = Duration::from_secs(5);

impl Watch {
    fn within(&mut self, time: Duration) {
        self.deadline = Some(alone::now() + time);
    }

    /// The monitor's end was asked for by `number`, for the first time or once more.
    fn stop(&mut self, number: i32) {
        if let Some(fate) = self.fate {
            self.finish(fate);
        }
        if self.asked.is_some() {
            return self.kill();
        }
        self.asked = u8::try_from(number).ok();
        if self.phase == Phase::Running && self.stop == Stop::PowerButton && self.ask() {
            self.phase = Phase::Looking;
            self.within(ANSWER);
        } else {
            self.end();
        }
    }

    /// Where the monitor has an API, it presses at once, or refuses; QEMU is asked first.
    fn ask(&mut self) -> bool {
        match &mut self.api {
            Some(api) => api.ask(),
            None => self.control.say(LOOK),
        }
    }

    fn pressed(&mut self) {
        (self.phase, self.deadline) = (Phase::Pressed, None);
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
        match (self.fate, self.phase) {
            (Some(fate), _) => self.finish(fate),
            (None, Phase::Silent) => self.refuse(self.words.too_late.bytes()),
            (None, Phase::Looking) => self.end(),
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
            (_, Said::Rebooting) => {
                self.shutdown = Some(Text::cut(REBOOTING));
                self.kill();
            }
            (Phase::Running, Said::Stopped) => drop(self.control.say(STATUS)),
            (_, Said::Status(b"internal-error")) => {
                self.broken = true;
                self.kill();
            }
            (Phase::Looking, said @ (Said::Done(_) | Said::Refused)) => {
                let listens = |enabled: u16| enabled != NOBODY && enabled & BUTTON_ENABLED != 0;
                if said.port().is_some_and(listens) {
                    self.pressed();
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

    /// Takes the answer of its API; one that came too late changes nothing.
    fn hear_answer(&mut self) {
        let accepted = self.api.as_mut().and_then(Api::answered);
        match accepted.filter(|_| self.phase == Phase::Looking) {
            Some(true) => self.pressed(),
            Some(false) => self.end(),
            None => {}
        }
    }

    /// The monitor has ended. What its guest has said goes to its reader first, if that takes it.
    fn depart(&mut self, fate: Fate) {
        if !self.copied.hands_on() {
            self.finish(fate);
        }
        self.fate = Some(fate);
        self.within(if self.asked.is_some() { GRACE } else { DRAIN });
    }

    /// The rest of what it said, the judgement, the record.
    fn finish(&mut self, fate: Fate) -> ! {
        while self.listen() {}
        if self.start.is_some() && self.asked.is_none() {
            self.refuse(self.words.ended.bytes());
        }
        self.copied.fetch();
        let log = self.log.and_then(link::read);
        let ending = Ending::of(&Evidence {
            voice: self.voice,
            fate,
            shutdown: self.shutdown.as_ref().map(Text::bytes),
            panicked: self.panicked,
            broken: self.broken,
            stop: self.asked,
            oom: self.oom.and_then(cgroup::oom_kills).is_some_and(|kills| kills > 0),
            console: &self.copied.console,
            log: log.as_ref(),
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
                self.depart(fate);
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
        let (control, answer) = (watch.control.fd(), watch.api.as_ref().and_then(Api::awaited));
        let [signals, control, answer] = [Some(watch.signals), control, answer].map(Until::readable);
        // Nothing that is read waits: when in doubt, all of it is read.
        let fds = [signals, control, answer, watch.copied.awaited()];
        let [signals, control, answer, console] = process::wait_any(fds, timeout);
        if control {
            watch.listen();
        }
        if answer {
            watch.hear_answer();
        }
        if console {
            watch.copied.fetch();
        }
        if let Some(fate) = watch.fate.filter(|_| !watch.copied.hands_on()) {
            watch.finish(fate);
        }
        if signals {
            watch.receive_signals();
        }
        if watch.deadline.is_some_and(|deadline| alone::now() >= deadline) {
            watch.late();
        }
    }
}
