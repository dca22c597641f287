//! `create`: steps 1 to 7 of ARCHITECTURE.md.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, bail};
use urunc_plan::annotations::{self, Verdict};
use urunc_plan::input::ImageKeys;
use urunc_plan::launch::{Base, Cgroup};
use urunc_plan::{HostFacts, LaunchPlan, Request, decide};
use urunc_sys::process::{self, Child, Fork};
use urunc_sys::{cgroup, fdpass, root, systemd};

use super::delete;
use crate::bundle::{self, Bundle, Config};
use crate::cli::{Global, Launch};
use crate::facts::{self, Image};
use crate::handshake::{self, Message};
use crate::hooks::{self, Place};
use crate::init::{self, Init};
use crate::jail::Materials;
use crate::state::{self, Container, Life, Phase, Record, SOCKET, Status, Store};
use crate::{delegate, namespaces, settings, time, undo};

/// What became of a `create`.
#[derive(Debug)]
pub enum Outcome {
    /// A container of ours, waiting for `start`.
    Created(Box<Created>),
    /// An ordinary container for this runtime.
    Delegated(delegate::Verdict),
}

/// A created container.
#[derive(Debug)]
pub struct Created {
    /// The state root.
    pub store: Store,
    /// The container, locked.
    pub container: Container,
    /// Init.
    pub child: Child,
}

/// A request that passed the check.
struct Checked {
    record: Record,
    image: Image,
    plan: LaunchPlan,
}

/// The command.
///
/// # Errors
/// The step that failed; the host is as before.
pub fn run(global: &Global, args: &Launch) -> anyhow::Result<u8> {
    match create(global, args, None)? {
        Outcome::Created(_) => Ok(0),
        Outcome::Delegated(verdict) => delegated(global, &args.id, &verdict),
    }
}

/// Runs the other runtime's `create` (or `run --detach`) and keeps the verdict if it succeeds.
pub(super) fn delegated(global: &Global, id: &str, verdict: &delegate::Verdict) -> anyhow::Result<u8> {
    let store = Store::make(&global.root)?;
    // A second container of this id will be refused; the verdict about the first one stays.
    let known = delegate::recall(&store, id, "")?.is_some();
    if !known {
        delegate::remember(&store, id, verdict)?;
    }
    let code = delegate::spawn(&verdict.runtime);
    if !known && !matches!(code, Ok(0)) {
        delegate::forget(&store, id);
    }
    code
}

/// Creates the container; `terminal` is where a caller that stays attached (`run`) wants the terminal sent.
///
/// # Errors
/// The step that failed; the host is as before.
pub fn create(global: &Global, args: &Launch, terminal: Option<OwnedFd>) -> anyhow::Result<Outcome> {
    let checked = match check(global, &args.bundle, &args.id)? {
        Ok(checked) => checked,
        Err(verdict) => return Ok(Outcome::Delegated(verdict)),
    };
    refuse_unbuilt(global, args)?;
    check_console(&checked.record.request, args, terminal.is_some())?;
    if checked.plan.root.base == Base::Image {
        guard_program()?;
    }
    for notice in &checked.plan.notices {
        log::log!(if notice.warn { log::Level::Warn } else { log::Level::Info }, "{}", notice.text);
    }
    let store = Store::make(&global.root)?;
    let mut checked = checked;
    let container = store.reserve(&args.id)?;
    let prepared = vacant(&checked.plan)
        .and_then(|()| store.write_intent(&container, &checked.record, &checked.plan))
        .and_then(|()| cgroup::prepare(&checked.plan.cgroup).context("linux.resources"))
        // Another `create` may have found the same groups vacant.
        .and_then(|group| Ok((group, cgroup::claim(&checked.plan.cgroup).context("linux.cgroupsPath")?)));
    let (group, _claim) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            // Nothing of the groups is ours yet: only the intent is taken back.
            undo::intent(&store, &container);
            return Err(error);
        }
    };
    match build(&container, args, &mut checked, (terminal, group)) {
        Ok(child) => Ok(Outcome::Created(Box::new(Created { store, container, child }))),
        Err(error) => {
            take_back(&store, &container, &checked);
            Err(error)
        }
    }
}

/// Goes on as a process that runs from a read-only view of our program: an ordinary container has a /proc, and can make
/// init execute `/proc/self/exe`.
fn guard_program() -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt;
    let Some(view) = root::own_program()? else { return Ok(()) };
    let mut words = std::env::args_os();
    let mut program = Command::new(format!("/proc/self/fd/{}", view.as_raw_fd()));
    program.arg0(words.next().unwrap_or_default()).args(words);
    Err(program.exec()).context("cannot execute a read-only view of this program")
}

/// Asked when the id is ours and before the intent is written: from then on `delete` kills what is in the groups.
fn vacant(plan: &LaunchPlan) -> anyhow::Result<()> {
    match cgroup::occupied(&plan.cgroup).context("linux.cgroupsPath")? {
        Some(group) => bail!("linux.cgroupsPath: {} has processes of others", group.display()),
        None => Ok(()),
    }
}

/// Options whose meaning we know and cannot keep.
fn refuse_unbuilt(global: &Global, args: &Launch) -> anyhow::Result<()> {
    if global.rootless == "true" {
        bail!("--rootless: containers without root are not built yet");
    }
    if args.pidfd_socket.is_some() {
        bail!("--pidfd-socket: not built yet");
    }
    Ok(())
}

/// After a failed create init is dead already; the rest goes as `delete` would do it, with its hooks (OCI spec,
/// lifecycle: a failed hook continues with the undoing and the poststop hooks).
fn take_back(store: &Store, container: &Container, checked: &Checked) {
    match undo::apply(&checked.plan, None) {
        Ok(()) => {
            delete::poststop(container, &checked.record, &container.status().unwrap_or_default());
            undo::intent(store, container);
        }
        Err(error) => log::warn!("not undone: {error:#}"),
    }
}

/// Steps 1 to 3: everything that can be refused before the first side effect.
fn check(global: &Global, bundle: &Path, id: &str) -> anyhow::Result<Result<Checked, delegate::Verdict>> {
    let config = bundle::read(bundle)?;
    let loaded = settings::active()?;
    if let Some(level) = loaded.log_level {
        crate::log::configure(level);
    }
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let keys = match classify(&config)? {
        Verdict::Unikernel { keys, notices } => {
            for notice in notices {
                log::info!("{}", notice.text);
            }
            keys
        }
        // No keys: the planner takes the operator's `process` monitor.
        Verdict::Container { .. } if loaded.settings.delegate == "process" => ImageKeys::default(),
        Verdict::Container { reason } => {
            let runtime = delegate::program(&loaded.settings.delegate);
            log::debug!("ordinary container for {}: {reason}", runtime.display());
            return Ok(Err(delegate::Verdict { runtime, reason }));
        }
    };
    let mut bundle = config.bundle()?;
    let mut image = Image::open(&bundle.rootfs)?;
    id.clone_into(&mut bundle.request.id);
    bundle.request.systemd_cgroup =
        global.systemd_cgroup || global.cgroup_manager.as_deref() == Some("systemd");
    bundle.request.settings = loaded.settings;
    facts::read_image(&mut image, keys, &mut bundle.request)?;
    facts::mark_host_namespaces(&mut bundle.request)?;
    let host = facts::gather(&bundle.request, &bundle.request.settings)?;
    let plan = decide::plan(&bundle.request, &host, None)?;
    Ok(Ok(Checked { record: record(bundle, host, loaded.start_timeout), image, plan }))
}

/// Annotations first, then `/urunc.json`; an image that is not there yet can only be an ordinary container's.
fn classify(config: &Config) -> anyhow::Result<Verdict> {
    let image = config.rootfs().map(|rootfs| Image::open_if_any(&rootfs)).transpose()?.flatten();
    let file = image.map(|image| image.urunc_json()).transpose()?.flatten();
    Ok(annotations::classify(config.annotations(), file.as_deref())?)
}

/// The plan of a bundle, for `urunc plan`: what `create` would check, without a side effect.
///
/// # Errors
/// What `create` would say.
pub fn plan_inputs(global: &Global, bundle: &Path, id: &str) -> anyhow::Result<(Request, HostFacts)> {
    match check(global, bundle, id)? {
        Ok(checked) => Ok((checked.record.request, checked.record.host)),
        Err(verdict) => bail!("ordinary container for {}: {}", verdict.runtime.display(), verdict.reason),
    }
}

fn check_console(request: &Request, args: &Launch, attached: bool) -> anyhow::Result<()> {
    match (request.terminal, &args.console_socket) {
        (true, None) if !attached => bail!("process.terminal needs --console-socket"),
        (false, Some(_)) => bail!("--console-socket needs process.terminal"),
        _ => Ok(()),
    }
}

fn record(bundle: Bundle, host: HostFacts, start_timeout: u32) -> Record {
    Record {
        version: state::VERSION,
        oci_version: bundle.oci_version,
        bundle: bundle.dir,
        rootfs: bundle.rootfs,
        created: time::nanoseconds(SystemTime::now()),
        annotations: bundle.annotations,
        hooks: bundle.hooks,
        has_process: bundle.has_process,
        start_timeout,
        request: bundle.request,
        host,
    }
}

/// Steps 5 to 7: cgroups, init, hooks, jail.
fn build(
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
                sockets: Vec::new(),
                listener,
            };
            init::run(init, theirs)
        }
        Fork::Parent(child) => child,
    };
    drop((theirs, listener, materials, joins, groups));
    let finished = namespaces::after_clone(&plan.namespaces)
        .and_then(|()| enter_scope(&mut plan.cgroup, child.pid))
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
