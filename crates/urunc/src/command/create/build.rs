//! Steps 5 to 7 of ARCHITECTURE.md: init is cloned into its groups and namespaces, accompanied by hooks, until it waits for
//! `start`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, bail};
use urunc_plan::launch::Cgroup;
use urunc_sys::process::{self, Child, Fork};
use urunc_sys::{cgroup, fdpass, systemd};

use super::check::Checked;
use crate::cli::Launch;
use crate::handshake::{self, Message};
use crate::hooks::{self, Place};
use crate::init::{self, Init};
use crate::jail::Materials;
use crate::namespaces;
use crate::state::{self, Container, Life, Phase, Record, SOCKET, Status};
use crate::users;

/// Opens what init takes over, clones it and leads it to its parking place. If that fails, init is dead.
pub(super) fn build(
    container: &Container,
    args: &Launch,
    checked: &mut Checked,
    (terminal, group): (Option<OwnedFd>, Option<OwnedFd>),
) -> anyhow::Result<Child> {
    let Checked { record, image, plan } = checked;
    let mut materials = Materials::open(plan, image)?;
    materials.console = match &args.console_socket {
        Some(path) => Some(fdpass::connect_path(path).context("--console-socket")?),
        None => terminal.filter(|_| record.request.terminal),
    };
    materials.rootfs.clone_from(&record.rootfs);
    let joins = namespaces::open(&plan.namespaces)?;
    let listener = fdpass::listen(container.dir.as_fd(), SOCKET)?;
    let groups = cgroup::doors(&plan.cgroup).context("linux.cgroupsPath")?;
    let (ours, theirs) = fdpass::pair()?;
    namespaces::before_clone(&plan.namespaces, &joins)?;
    let flags = namespaces::clone_flags(&plan.namespaces);
    let child = match process::clone3(flags, group.as_ref().map(AsFd::as_fd)).context("create init")? {
        Fork::Child => {
            drop(ours);
            let init = Init {
                plan: plan.clone(),
                hooks: record.hooks.clone(),
                bundle: record.bundle.clone(),
                materials,
                joins,
                no_pivot: args.no_pivot,
                keep_keyring: args.no_new_keyring,
                preserve_fds: args.preserve_fds,
                groups,
                listener,
            };
            init::run(init, theirs)
        }
        Fork::Parent(child) => child,
    };
    drop((theirs, listener, materials, joins, groups));
    let finished = namespaces::after_clone(&plan.namespaces)
        .and_then(|()| enter_scope(&mut plan.cgroup, child.pid))
        .and_then(|()| users::settle(plan, child.pid))
        .and_then(|()| accompany(container, args, record, (&child, ours)));
    if finished.is_err() {
        // If even that fails: our end of the socket is closed, which ends init as well.
        let _ = process::kill(child.pidfd.as_fd());
        let _ = process::reap(child.pidfd.as_fd());
    }
    finished.map(|()| child)
}

/// systemd's driver: the scope is made around init, which has not begun yet.
fn enter_scope(plan: &mut Cgroup, pid: i32) -> anyhow::Result<()> {
    let Some(scope) = &plan.scope else { return Ok(()) };
    if let Err(error) = systemd::start_scope(scope, pid) {
        // A unit of that name may be another's: it is not ours to take back.
        *plan = Cgroup::default();
        return Err(error).context("linux.cgroupsPath");
    }
    cgroup::limit(plan, pid).context("linux.resources")
}

/// Leads init to its parking place.
fn accompany(
    container: &Container,
    args: &Launch,
    record: &Record,
    (child, socket): (&Child, OwnedFd),
) -> anyhow::Result<()> {
    let stat = process::stat(child.pid)?.context("init ended at once")?;
    let mut status = Status {
        phase: Phase::Creating,
        pid: child.pid,
        start_time: stat.start_time,
        boot_id: process::boot_id()?,
    };
    container.save_status(&status)?;
    handshake::send(socket.as_fd(), &Message::Begin, &[])?;
    expect(&socket, |m| matches!(m, Message::Namespaces))?;
    let state = state::oci_state(&container.id, record, Life::Creating, child.pid);
    let at = Place { state: &state, dir: &record.bundle };
    hooks::run("prestart", &record.hooks.prestart, at)?;
    hooks::run("createRuntime", &record.hooks.create_runtime, at)?;
    handshake::send(socket.as_fd(), &Message::Jail { state }, &[])?;
    expect(&socket, |m| matches!(m, Message::Created))?;
    status.phase = Phase::Created;
    container.save_status(&status)?;
    args.pid_file.as_deref().map_or(Ok(()), |file| write_pid_file(file, child.pid))
}

fn expect(socket: &OwnedFd, wanted: impl Fn(&Message) -> bool) -> anyhow::Result<()> {
    match handshake::receive(socket.as_fd())? {
        Some((message, _)) if wanted(&message) => Ok(()),
        Some((Message::Failed { step, message }, _)) => bail!("{step}: {message}"),
        Some(_) => bail!("init sent a message out of order"),
        None => bail!("init ended without a word"),
    }
}

/// The pid in decimal, by rename: a link that someone planted at the name is replaced, not followed.
fn write_pid_file(file: &Path, pid: i32) -> anyhow::Result<()> {
    let context = || format!("--pid-file {}", file.display());
    let name = file.file_name().and_then(|name| name.to_str()).with_context(context)?;
    let parent = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir: OwnedFd = std::fs::File::open(parent).with_context(context)?.into();
    urunc_sys::atomic::write(dir.as_fd(), name, pid.to_string().as_bytes()).with_context(context)
}
