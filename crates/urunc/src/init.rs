//! Init: the clone that becomes the monitor, or stays beside it. It interprets the plan; it decides nothing.

mod launch;
mod park;
mod step;
mod supervise;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use anyhow::bail;
use urunc_plan::launch::{Base, Exec, Stderr};
use urunc_plan::{LaunchPlan, MONITOR_LOG};
use urunc_sys::{cgroup, fdpass, identity, process, root};

use self::park::{Signals, park};
use self::step::{Failure, Step};
use crate::bundle::Hooks;
use crate::handshake::{self, Message};
use crate::hooks::{self, Place, seen_inside};
use crate::jail::{self, Materials};
use crate::namespaces;

/// Name of the process until it is the monitor.
pub const NAME: &str = "urunc:[init]";

/// What init takes over from `create` through the clone.
#[derive(Debug)]
pub struct Init {
    /// The plan of create.
    pub plan: LaunchPlan,
    /// Hooks of config.json.
    pub hooks: Hooks,
    /// The bundle, where createContainer hooks run.
    pub bundle: PathBuf,
    /// Opened parts of the jail.
    pub materials: Materials,
    /// Namespaces to join, opened by `create`.
    pub joins: Vec<namespaces::Join>,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub keep_keyring: bool,
    /// `--preserve-fds`: the caller's descriptors from 3 on that a program without planned ones inherits.
    pub preserve_fds: u32,
    /// The cgroups that init itself enters.
    pub groups: Vec<OwnedFd>,
    /// Listener for `start`.
    pub listener: OwnedFd,
}

/// Runs init to its end, with a socket to `create`; never returns to the code of `create`.
pub fn run(mut init: Init, create: OwnedFd) -> ! {
    let settled = prepare(&mut init, create.as_fd()).and_then(|()| settle(&init, create.as_fd()));
    let (signals, creator) = match settled {
        Ok((signals, creator)) => (Signals(signals), creator),
        Err(failure) => fail(create.as_fd(), &failure),
    };
    drop(create);
    let order = park(init.listener.as_fd(), creator, signals);
    // By reference: most descriptors of `init` are closed already, and their numbers may be in use again.
    let files = &mut init.materials.files;
    let Err(failure) = launch::become_monitor(&order, &init.hooks.start_container, files);
    fail(order.socket.as_fd(), &failure)
}

fn fail(socket: BorrowedFd<'_>, failure: &Failure) -> ! {
    let message = format!("{:#}", failure.error).replace('\n', " ");
    let _ = handshake::send(socket, &Message::Failed { step: failure.step.into(), message }, &[]);
    process::exit_now(1)
}

/// Steps 6 and 7 of ARCHITECTURE.md.
fn prepare(init: &mut Init, create: BorrowedFd<'_>) -> Result<(), Failure> {
    process::set_name(NAME).step("session")?;
    // Neighbours in a joined pid namespace must not reach our memory, our descriptors or the host's program file.
    process::hide().step("session")?;
    rustix::process::setsid().step("session")?;
    if !init.keep_keyring {
        identity::new_session_keyring().step("session keyring")?;
    }
    expect(create, "create", |m| matches!(m, Message::Begin)).step("begin")?;
    cgroup::enter(&init.groups).step("cgroup")?;
    enter_namespaces(&init.plan, &init.joins).step("namespaces")?;
    handshake::send(create, &Message::Namespaces, &[]).step("namespaces")?;
    let Message::Jail { state } =
        expect(create, "create", |m| matches!(m, Message::Jail { .. })).step("hooks")?
    else {
        return Err(anyhow::anyhow!("unexpected message")).step("hooks");
    };
    let at = Place { state: &seen_inside(&state).step("hooks")?, dir: &init.bundle };
    hooks::run("createContainer", &init.hooks.create_container, at).step("hooks")?;
    let proc = jail::set_limits(&init.plan).step("limits")?;
    jail::enter(&init.plan, &mut init.materials, init.no_pivot).step("private root")?;
    jail::confine(&init.plan, proc.as_ref()).step("apparmor")?;
    prepare_log(&init.plan).step("private root")?;
    process::reset_signals().step("signals")?;
    identity::become_user(&init.plan.identity).step("identity")
}

fn expect(socket: BorrowedFd<'_>, who: &str, wanted: impl Fn(&Message) -> bool) -> anyhow::Result<Message> {
    match handshake::receive(socket)? {
        Some((message, _)) if wanted(&message) => Ok(message),
        Some(_) => bail!("{who} sent a message out of order"),
        // The command was killed: there is nobody to report to.
        None => process::exit_now(1),
    }
}

fn enter_namespaces(plan: &LaunchPlan, joins: &[namespaces::Join]) -> anyhow::Result<()> {
    if !plan.namespaces.uid_map.is_empty() {
        identity::become_first_user()?;
    }
    namespaces::enter(&plan.namespaces, joins)?;
    // The mounts of others are not ours to change.
    if plan.root.base != Base::Chroot {
        root::set_propagation(root::propagation_of_host_tree(&plan.root.propagation))?;
    }
    namespaces::set_names(&plan.namespaces)
}

/// The monitor's log, made before the uid switch and owned by the user.
fn prepare_log(plan: &LaunchPlan) -> anyhow::Result<()> {
    let logs = matches!(&plan.exec, Exec::Program(program) if program.stderr == Stderr::Log);
    if logs {
        let (root, who) = (root_dir()?, &plan.identity);
        root::make_file(root.as_fd(), MONITOR_LOG, 0o600, b"")?;
        root::give(root.as_fd(), MONITOR_LOG, who.uid, who.gid)?;
    }
    Ok(())
}

fn root_dir() -> anyhow::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    Ok(rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Keeps what a parked init needs, as the last thing that can fail, and says CREATED: signals, and who `create` is here,
/// for in a user namespace it is not root.
fn settle(init: &Init, create: BorrowedFd<'_>) -> Result<(OwnedFd, u32), Failure> {
    let signals = process::signals_as_fd().step("signals")?;
    let creator = fdpass::peer_uid(create).step("created")?;
    let mut keep = vec![init.listener.as_fd(), create, signals.as_fd()];
    keep.extend(init.materials.files.iter().map(|(_, fd)| fd.as_fd()));
    let preserved = match &init.plan.exec {
        // What an engine hands to a container is for its program, not for a monitor.
        Exec::Program(program) if program.stderr == Stderr::Container => init.preserve_fds,
        _ => 0,
    };
    process::close_all_but(&keep, preserved).step("descriptors")?;
    handshake::send(create, &Message::Created, &[]).step("created")?;
    Ok((signals, creator))
}
