//! Init beside the monitor: it starts it as its child, and goes on as a small process that stops the guest when it is
//! told to, and tells how it ended.
//!
//! From [`events::watch`] on there is no heap: what is kept is plain data, and everything foreign has a bound.

mod events;
mod link;

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};

use urunc_plan::input::Rlimit;
use urunc_plan::launch::{Filter, Program, Ready, StatusMap, Stop};
use urunc_plan::seccomp;
use urunc_sys::alone::{self, Stack};
use urunc_sys::process::{self, Child, Fork};
use urunc_sys::{fdpass, identity};

use self::events::{Watch, Words};
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

/// A step that ends here only when it fails.
type Kept = Result<Infallible, Failure>;

/// Starts the monitor and watches it. Returns only on failure, and in the child as well.
pub(super) fn supervise(order: &Order, program: &Program, means: (Stop, &StatusMap)) -> Kept {
    let (control, theirs) = fdpass::pair().step("descriptors")?;
    let (console, copy) = process::pipe().step("descriptors")?;
    // Of others the channels end with the exec, and `start` asks whether they run.
    let talks = program.ready == Ready::Qmp;
    match process::clone3(0, None).step("monitor")? {
        Fork::Child => {
            drop((control, console));
            process::reset_signals().step("signals")?;
            let shared = Inherited { control: talks.then_some(theirs), console: talks.then_some(copy) };
            launch::exec(order, program, shared)
        }
        Fork::Parent(child) => {
            drop((theirs, copy));
            let mut watch = Watch::new(alone::keep(control), alone::keep(console), means);
            if !talks {
                watch.expect_nothing();
            }
            go_on(order, child, watch)
        }
    }
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
    let most = exit::LONGEST as u64;
    let limit = Rlimit { kind: "RLIMIT_FSIZE".to_owned(), soft: most, hard: most };
    identity::set_rlimits(&[limit]).step("limits")?;
    let stack = Stack::new().step("memory")?;
    let allowed = Filter::Allow(ALLOWED.iter().map(|name| (*name).to_owned()).collect());
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
