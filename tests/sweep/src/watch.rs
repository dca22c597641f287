//! Watches the processes of one container: numbers their calls, and disturbs one of them.

use crate::case::{ERRNOS, Point, Shot, TARGETS, beyond_doubt, unswept};
use crate::kernel::{self, Answer, Call, Event, Program, Unseen};
use crate::object;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, waitid};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use urunc_plan::syscalls::Abi;

/// A command that takes longer hangs: urunc itself gives up on a process after 10 s, at start (as configured here) after 5.
const HANG: Duration = Duration::from_secs(25);

/// Bytes of an answer that was cut: a header of netlink(7) and the beginning of what follows, in which nothing is written.
const CUT: i64 = 20;

/// Where the one shot goes.
#[derive(Debug, Clone)]
pub(crate) struct Aim {
    /// Process.
    pub(crate) role: String,
    /// Its call.
    pub(crate) n: u32,
    /// What happens there.
    pub(crate) shot: Shot,
}

/// A process that makes calls.
struct Process {
    pid: i32,
    role: String,
    /// Calls since the command under test began.
    count: u32,
    /// It has become another program: its calls are not ours.
    foreign: bool,
}

/// Everything below one filter: a command, and what it cloned.
struct Tree {
    listener: OwnedFd,
    /// The command is the first one, which clones init.
    creates: bool,
    processes: Vec<Process>,
}

/// The watch over one container.
pub(crate) struct Watch {
    unseen: Unseen,
    abi: Abi,
    trees: Vec<Tree>,
    /// A command has been watched.
    created: bool,
    /// The command under test runs, or what it set going.
    open: bool,
    aim: Option<Aim>,
    /// All points seen since the command under test began.
    pub(crate) points: Vec<Point>,
    /// The call that was hit.
    pub(crate) hit: Option<String>,
    /// Init's last own call: `execve` or, for a built-in monitor, `seccomp`.
    last: &'static str,
    runtime: i32,
    begun: bool,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Exit code.
    Code(i32),
    /// Signal.
    Signal(i32),
    /// It did not end and was killed.
    Hang,
}

impl Watch {
    /// A watch over a container whose init makes `last` as its last own call.
    pub(crate) fn new(last: &'static str) -> Self {
        let abi = Abi::native(std::env::consts::ARCH).expect("a known machine");
        let calls = unswept("never");
        let calls = calls.map(|name| abi.number(name).unwrap_or_else(|| panic!("{name}: no such call")));
        let number = |name| abi.number(name).expect("a call of every machine");
        let unseen = Unseen { calls: calls.collect(), mmap: number("mmap"), sendmsg: number("sendmsg") };
        let (trees, created, open, aim, points, hit) = Default::default();
        Self { unseen, abi, trees, created, open, aim, points, hit, last, runtime: 0, begun: false }
    }

    /// From here on calls are numbered anew, and the one that `aim` names is disturbed.
    pub(crate) fn begin(&mut self, aim: Option<Aim>) {
        self.trees.iter_mut().flat_map(|tree| &mut tree.processes).for_each(|process| process.count = 0);
        (self.aim, self.hit, self.open, self.begun) = (aim, None, true, false);
        self.points.clear();
    }

    /// Calls are no longer numbered.
    pub(crate) fn end(&mut self) {
        (self.open, self.aim) = (false, None);
    }

    /// Runs a program to its end, and answers everybody meanwhile; `watched`: its calls are seen, too.
    pub(crate) fn run(
        &mut self,
        program: &Program,
        stdio: [BorrowedFd<'_>; 3],
        watched: bool,
    ) -> (End, Duration) {
        let begin = Instant::now();
        let unseen = watched.then_some(&self.unseen);
        let (raw, listener) = kernel::spawn(program, stdio, unseen).expect("spawn");
        if watched {
            self.runtime = raw;
            let creates = !std::mem::replace(&mut self.created, true);
            self.trees.extend(listener.map(|listener| Tree { listener, creates, processes: Vec::new() }));
        }
        let pid = Pid::from_raw(raw).expect("a pid");
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("pidfd");
        let mut hang = false;
        while !self.pump(Some(pidfd.as_fd()), 100) {
            if begin.elapsed() > HANG && !hang {
                hang = true;
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let took = begin.elapsed();
        let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).expect("wait");
        let status = status.expect("an end");
        if hang {
            return (End::Hang, took);
        }
        let signal = status.terminating_signal().unwrap_or_default();
        (status.exit_status().map_or(End::Signal(signal), End::Code), took)
    }

    /// Answers the calls that wait; true when there is none and `pidfd` has ended.
    fn pump(&mut self, pidfd: Option<BorrowedFd<'_>>, milliseconds: u32) -> bool {
        let fds: Vec<BorrowedFd<'_>> =
            self.trees.iter().map(|tree| tree.listener.as_fd()).chain(pidfd).collect();
        let ready = kernel::poll(&fds, milliseconds);
        let trees = self.trees.len();
        let mut closed = Vec::new();
        for index in (0..trees).filter(|index| ready[*index]) {
            match kernel::next(self.trees[index].listener.as_fd()) {
                Event::Call(call) => self.take(index, &call),
                Event::Closed => closed.push(index),
                Event::Gone => {}
            }
        }
        for index in closed.into_iter().rev() {
            self.trees.remove(index);
        }
        !ready[..trees].contains(&true) && ready.get(trees) == Some(&true)
    }

    /// Answers until every process sleeps in a call that was let through.
    pub(crate) fn quiesce(&mut self) {
        let end = Instant::now() + HANG;
        while Instant::now() < end {
            let fds: Vec<BorrowedFd<'_>> = self.trees.iter().map(|tree| tree.listener.as_fd()).collect();
            if kernel::poll(&fds, 0).contains(&true) {
                self.pump(None, 0);
            } else if self.all_sleep() && !kernel::poll(&fds, 0).contains(&true) {
                return;
            } else {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
    }

    fn all_sleep(&self) -> bool {
        let mut pids = self.trees.iter().flat_map(|tree| &tree.processes).map(|process| process.pid);
        pids.all(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['S', 'Z', 'X']))
        })
    }

    fn take(&mut self, index: usize, call: &Call) {
        let at = self.process(index, call.pid);
        let name = self.describe(call);
        let init = self.init();
        let tree = &mut self.trees[index];
        let process = &mut tree.processes[at];
        let mut answer = None;
        if self.open && !process.foreign {
            process.count += 1;
            let (role, n) = (process.role.clone(), process.count);
            // Descriptors of the caller are the first thing that `main` closes; before, only the C library and std run.
            self.begun |= role != "runtime" || name == "close_range";
            let aimed = self.aim.as_ref().is_some_and(|aim| aim.n == n && aim.role == role);
            // Another call than the one that was seen here without a fault may be one that cannot fail.
            let fails = !unswept("killed").any(|call| call == name);
            let object = if aimed { object::of(&name, call) } else { String::new() };
            let may = |shot: Shot| {
                matches!(shot, Shot::Kill(_))
                    || fails && shot.fits(&name) && !beyond_doubt(&name, &object, shot)
            };
            if let Some(aim) = self.aim.take_if(|aim| aimed && may(aim.shot)) {
                self.hit = Some(format!("{name}@{object}"));
                match aim.shot {
                    Shot::Errno(number) => answer = Some(Answer::Errno(ERRNOS[number].1)),
                    Shot::Cut => answer = Some(Answer::Value(CUT)),
                    Shot::Kill(target) => self.kill(TARGETS[target]),
                }
            }
            let begun = self.begun;
            // It goes on as itself from a read-only view of its file (`create` of a program of the image).
            self.begun &= role != "runtime" || name != "execve";
            self.points.push(Point { role, n, call: name.clone(), begun, init: init.is_some() });
        }
        let last = self.is_last(&name, call, &self.trees[index].processes[at].role);
        let tree = &mut self.trees[index];
        tree.processes[at].foreign |= last && answer.is_none();
        kernel::answer(tree.listener.as_fd(), call, answer);
    }

    /// Does the process become another program with this call?
    fn is_last(&self, name: &str, call: &Call, role: &str) -> bool {
        match role {
            // The first call that is seen of a command is the exec of itself.
            "runtime" => false,
            "init" if self.last == "seccomp" => name == "seccomp" && call.args[0] == 1,
            _ => name == "execve",
        }
    }

    fn process(&mut self, index: usize, pid: i32) -> usize {
        let Tree { creates, processes, .. } = &mut self.trees[index];
        if let Some(at) = processes.iter().position(|process| process.pid == pid) {
            return at;
        }
        let role = match processes.len() {
            0 => "runtime".to_owned(),
            1 if *creates => "init".to_owned(),
            number => format!("hook{number}"),
        };
        processes.push(Process { pid, role, count: 0, foreign: false });
        processes.len() - 1
    }

    /// Name, with the first argument or the command where one call is many.
    fn describe(&self, call: &Call) -> String {
        let name = self.abi.name(call.number).unwrap_or("unknown");
        match name {
            "prctl" => format!("prctl:{}", call.args[0]),
            "fcntl" => format!("fcntl:{}", call.args[1]),
            "ioctl" => format!("ioctl:{:#x}", call.args[1] & 0xffff_ffff),
            _ => name.to_owned(),
        }
    }

    /// Init, or what it has become.
    pub(crate) fn init(&self) -> Option<i32> {
        let creator = self.trees.iter().find(|tree| tree.creates)?;
        let known =
            creator.processes.iter().find(|process| process.role == "init").map(|process| process.pid);
        known.or_else(|| {
            // Cloned, but it has not made a call yet.
            let runtime = creator.processes.first()?.pid;
            let children = fs::read_to_string(format!("/proc/{runtime}/task/{runtime}/children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })
    }

    fn kill(&self, target: &str) {
        let init = self.init();
        let victims: BTreeSet<i32> = match target {
            "runtime" => [self.runtime].into(),
            "init" => init.into_iter().collect(),
            _ => init.into_iter().chain([self.runtime]).collect(),
        };
        for pid in victims.into_iter().filter(|pid| *pid > 1) {
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}
