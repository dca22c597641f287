//! Init beside the monitor: it starts it as its child, and goes on as a small process that stops the guest when it is
//! told to, and tells how it ended.
//!
//! From [`events::watch`] on there is no heap: what is kept is plain data, and everything foreign has a bound.

mod api;
mod console;
mod events;
mod link;
mod watch;
mod words;

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Context;
use urunc_plan::input::Rlimit;
use urunc_plan::launch::{FdSource, Filter, Program, Ready, StatusMap, Stop, Voice};
use urunc_plan::seccomp;
use urunc_sys::alone::{self, Stack};
use urunc_sys::process::{self, Child, Fork};
use urunc_sys::{fdpass, identity};

use self::api::Api;
use self::watch::Watch;
use self::words::Words;
use super::launch::{self, Inherited};
use super::park::Order;
use super::step::{Failure, Step};
use crate::exit;

/// All that init calls once it watches: it reads what it has open, waits, signals its child, and ends.
const ALLOWED: &[&str] = &[
    "clock_gettime",
    "close",
    "exit_group",
    "madvise",
    "munmap",
    "pidfd_send_signal",
    "poll",
    "ppoll",
    "pread64",
    "read",
    "restart_syscall",
    "rt_sigreturn",
    "wait4",
    "waitid",
    "write",
    "writev",
];

/// And to ask a monitor that has an API.
const ASKS: &str = "connect";

/// A step that ends here only when it fails.
type Kept = Result<Infallible, Failure>;

/// What the plan says about the watch.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    /// What a stop signal becomes.
    pub(super) stop: Stop,
    /// How the monitor talks.
    pub(super) voice: Voice,
    /// What its exit status says.
    pub(super) statuses: &'a StatusMap,
}

/// Starts the monitor and watches it. Returns only on failure, and in the child as well.
pub(super) fn supervise(order: &Order, program: &Program, means: Means<'_>) -> Kept {
    let (control, theirs) = fdpass::pair().step("descriptors")?;
    let (console, copy) = process::pipe().step("descriptors")?;
    // A terminal is the monitor's own: it changes its modes.
    let hands_on = means.voice.prints_console() && order.plan.console.is_none();
    // Of others the channels end with the exec, and `start` asks whether they run.
    let wants = |source| program.fds.contains(&source);
    match process::clone3(0, None).step("monitor")? {
        Fork::Child => {
            drop((control, console));
            process::reset_signals().step("signals")?;
            let control = wants(FdSource::Control).then_some(theirs);
            let (console, output) = if hands_on { (None, Some(copy)) } else { (Some(copy), None) };
            let console = console.filter(|_| wants(FdSource::ConsoleCopy));
            launch::exec(order, program, Inherited { control, console, output })
        }
        Fork::Parent(child) => {
            drop((theirs, copy));
            let out = hands_on.then(|| process::duplicate(rustix::stdio::stdout())).transpose();
            let out = out.step("descriptors")?.map(alone::keep);
            let mut watch = Watch::new(alone::keep(control), (alone::keep(console), out), means);
            watch.api = Api::of(means.voice, &program.ready).step("descriptors")?;
            watch.log = means.voice.log().map(open_log).transpose().step("descriptors")?;
            if program.ready != Ready::Qmp {
                watch.expect_nothing();
            }
            go_on(order, child, watch)
        }
    }
}

/// The monitor's log, to be read at its end.
fn open_log(path: &str) -> anyhow::Result<BorrowedFd<'static>> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(alone::keep(rustix::fs::open(path, flags, Mode::empty()).context(path.to_owned())?))
}

/// Becomes the small process. The monitor ends with this one, which is process 1 of their pid namespace.
fn go_on(order: &Order, child: Child, mut watch: Watch) -> Kept {
    let kept = |fd: &OwnedFd| process::duplicate(fd.as_fd()).map(alone::keep);
    let given = |fd: &Option<OwnedFd>| fd.as_ref().map(kept).transpose();
    let start = kept(&order.socket).step("descriptors")?;
    (watch.monitor, watch.pid) = (alone::keep(child.pidfd), child.pid);
    watch.signals = kept(&order.signals.0).step("descriptors")?;
    watch.start = Some(start);
    watch.record = given(&order.record).step("descriptors")?;
    watch.oom = given(&order.oom).step("descriptors")?;
    // From here on the socket has another number.
    process::close_all_but(&watch.descriptors(), 0).step("descriptors")?;
    let Err(failure) = settle(order, watch);
    super::fail(start, &failure)
}

/// Nothing is left of the container's and of `create`'s but what the watch needs, and next to no system call.
fn settle(order: &Order, mut watch: Watch) -> Kept {
    leave_streams().step("standard streams")?;
    watch.never_block().step("descriptors")?;
    let name = &order.plan.monitor;
    watch.words = Words::new(name, order.patience).step("ready")?;
    watch.patience = order.patience;
    // What ps shows, and what tells a second `start` that this is no parked init.
    process::set_name(&format!("urunc:[{name:.7}]")).step("name")?;
    if !watch.copied.fills_file() {
        let most = exit::LONGEST as u64;
        let limit = Rlimit { kind: "RLIMIT_FSIZE".to_owned(), soft: most, hard: most };
        identity::set_rlimits(&[limit]).step("limits")?;
    }
    let stack = Stack::new().step("memory")?;
    let asks = watch.api.is_some().then_some(&ASKS);
    let allowed = Filter::Allow(ALLOWED.iter().chain(asks).map(|name| (*name).to_owned()).collect());
    let filter = seccomp::compile(&allowed, std::env::consts::ARCH).step("seccomp")?;
    urunc_sys::seccomp::install(&filter, 0).step("seccomp")?;
    stack.go_on(watch, events::watch)
}

/// The container's streams are the monitor's alone: who reads them must see its end.
fn leave_streams() -> anyhow::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    for stream in 0..=2 {
        process::redirect(null.as_fd(), stream)?;
    }
    Ok(())
}
