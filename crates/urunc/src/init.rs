//! Init: the clone that becomes the monitor. It interprets the plan; it decides nothing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, bail};
use urunc_plan::bpf::Insn;
use urunc_plan::launch::{Exec, FdSource, Namespaces, Program, Stderr, Tender};
use urunc_plan::{LaunchPlan, MONITOR_LOG, seccomp};
use urunc_sys::{fdpass, identity, process, root};

use crate::bundle::Hooks;
use crate::handshake::{self, Message};
use crate::hooks;
use crate::jail::{self, Materials};
use crate::namespaces;

/// What init takes over from `create` through the clone.
#[derive(Debug)]
pub struct Init {
    /// The plan of create.
    pub plan: LaunchPlan,
    /// Hooks of config.json.
    pub hooks: Hooks,
    /// Opened parts of the jail.
    pub materials: Materials,
    /// Namespaces to join, opened by `create`.
    pub joins: Vec<namespaces::Join>,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// Socket to `create`.
    pub create: OwnedFd,
    /// Listener for `start`.
    pub listener: OwnedFd,
}

/// A failed step.
struct Failure {
    step: &'static str,
    error: anyhow::Error,
}

trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure { step, error: error.into() })
    }
}

/// Runs init to its end; never returns to the code of `create`.
pub fn run(mut init: Init) -> ! {
    if let Err(failure) = prepare(&mut init) {
        fail(init.create.as_fd(), &failure);
    }
    let (socket, plan, fds, state) = park(&mut init);
    match launch(&mut init, &socket, &plan, fds, &state) {
        Ok(never) => match never {},
        Err(failure) => fail(socket.as_fd(), &failure),
    }
}

fn fail(socket: BorrowedFd<'_>, failure: &Failure) -> ! {
    let message = format!("{:#}", failure.error).replace('\n', " ");
    let _ = handshake::send(socket, &Message::Failed { step: failure.step.into(), message }, &[]);
    process::exit_now(1)
}

/// Steps 6 and 7 of ARCHITECTURE.md.
fn prepare(init: &mut Init) -> Result<(), Failure> {
    process::set_name("urunc:[init]");
    rustix::process::setsid().step("session")?;
    let create = init.create.as_fd();
    expect(create, "create", |m| matches!(m, Message::Begin)).step("begin")?;
    enter_namespaces(&init.plan.namespaces, &init.joins, &init.plan.root.propagation).step("namespaces")?;
    handshake::send(create, &Message::Namespaces, &[]).step("namespaces")?;
    let Message::Jail { state } =
        expect(create, "create", |m| matches!(m, Message::Jail { .. })).step("hooks")?
    else {
        return Err(anyhow::anyhow!("unexpected message")).step("hooks");
    };
    hooks::run("createContainer", &init.hooks.create_container, &state).step("hooks")?;
    jail::set_limits(&init.plan).step("limits")?;
    jail::enter(&init.plan, &mut init.materials, init.no_pivot).step("private root")?;
    prepare_files(&init.plan).step("private root")?;
    process::reset_signals();
    // From here on a stop signal must end even pid 1: it is read from a descriptor while parked.
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

fn enter_namespaces(plan: &Namespaces, joins: &[namespaces::Join], propagation: &str) -> anyhow::Result<()> {
    namespaces::enter(plan, joins)?;
    root::set_propagation(if propagation.is_empty() { "rslave" } else { propagation })?;
    namespaces::set_names(plan)
}

/// The monitor's log, made before the uid switch on the private tmpfs and owned by the user.
fn prepare_files(plan: &LaunchPlan) -> anyhow::Result<()> {
    let Exec::Program(Program { stderr: Stderr::Log, .. }) = &plan.exec else { return Ok(()) };
    let root = root_dir()?;
    root::make_file(root.as_fd(), MONITOR_LOG, 0o600, "")?;
    Ok(root::give(root.as_fd(), MONITOR_LOG, plan.identity.uid, plan.identity.gid)?)
}

fn root_dir() -> anyhow::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    Ok(rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

type Order = (OwnedFd, LaunchPlan, Vec<OwnedFd>, String);

/// Says CREATED and waits for one complete START. A connection that ends early changes nothing.
fn park(init: &mut Init) -> Order {
    let signals = process::signals_as_fd();
    let _ = handshake::send(init.create.as_fd(), &Message::Created, &[]);
    let mut keep = vec![init.listener.as_fd()];
    keep.extend(init.materials.files.iter().map(|(_, fd)| fd.as_fd()));
    keep.extend(signals.iter().map(AsFd::as_fd));
    process::close_all_but(&keep);
    loop {
        let mut fds = vec![init.listener.as_fd()];
        fds.extend(signals.iter().map(AsFd::as_fd));
        let Ok(ready) = process::wait_readable(&fds, None) else { process::exit_now(1) };
        if ready.get(1) == Some(&true)
            && let Some(number) = signals.iter().find_map(|fd| process::next_signal(fd.as_fd()))
            && ends_a_process(number)
        {
            process::exit_now(128 + number);
        }
        if ready.first() == Some(&true)
            && let Some(order) = take_order(init.listener.as_fd())
        {
            process::reset_signals();
            return order;
        }
    }
}

/// SIGCHLD, SIGCONT, SIGURG, SIGWINCH and the stop signals do not end a process by default (signal(7)).
fn ends_a_process(number: i32) -> bool {
    !matches!(number, 17..=23 | 28)
}

fn take_order(listener: BorrowedFd<'_>) -> Option<Order> {
    let socket = fdpass::accept(listener).ok()?;
    match handshake::receive(socket.as_fd()) {
        Ok(Some((Message::Start { plan, state }, fds))) => Some((socket, *plan, fds, state)),
        _ => None,
    }
}

enum Never {}

/// Step 9: becomes the monitor.
fn launch(
    init: &mut Init,
    socket: &OwnedFd,
    plan: &LaunchPlan,
    mut fds: Vec<OwnedFd>,
    state: &str,
) -> Result<Never, Failure> {
    hooks::run("startContainer", &init.hooks.start_container, state).step("hooks")?;
    let tap = if plan.net.is_some() && !fds.is_empty() { Some(fds.remove(0)) } else { None };
    process::reset_signals();
    match &plan.exec {
        Exec::Program(program) => exec(plan, program, socket, tap),
        Exec::Tender(tender) => become_tender(init, tender, socket, tap),
    }
}

fn exec(
    plan: &LaunchPlan,
    program: &Program,
    socket: &OwnedFd,
    tap: Option<OwnedFd>,
) -> Result<Never, Failure> {
    let mut tap = tap;
    let mut inherited = Vec::new();
    for source in &program.fds {
        inherited.push(match source {
            FdSource::Tap => tap.take().context("the tap did not arrive").step("descriptors")?,
            FdSource::Listener(path) => listener(path).step("descriptors")?,
        });
    }
    rustix::process::chdir(program.cwd.as_str()).step("working directory")?;
    let programs = filters(plan).step("seccomp")?;
    let socket = above(socket, inherited.len()).step("descriptors")?;
    let borrowed: Vec<BorrowedFd<'_>> = inherited.iter().map(AsFd::as_fd).collect();
    redirect_stderr(program).step("standard error")?;
    process::place_fds(&borrowed).step("descriptors")?;
    handshake::send(socket.as_fd(), &Message::Ready, &[]).step("ready")?;
    for (program, flags) in &programs {
        urunc_sys::seccomp::install(program, *flags).step("seccomp")?;
    }
    Err(process::exec(&program.path, &program.args, &program.env)).step("exec")
}

/// The handshake socket must survive the placing of descriptors at 3, 4, …
fn above(socket: &OwnedFd, count: usize) -> anyhow::Result<OwnedFd> {
    let mut copies = vec![root::duplicate(socket.as_fd())?];
    for _ in 0..count {
        copies.push(root::duplicate(socket.as_fd())?);
    }
    copies.pop().context("descriptor table")
}

/// Compiled before the first one is installed: a filter may forbid what compiling needs.
fn filters(plan: &LaunchPlan) -> anyhow::Result<Vec<(Vec<Insn>, u32)>> {
    let compile =
        |filter| anyhow::Ok((seccomp::compile(filter, std::env::consts::ARCH)?, seccomp::flags(filter)?));
    plan.seccomp.iter().map(compile).collect()
}

/// A listening socket in the private root, as the container's user.
fn listener(path: &str) -> anyhow::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(0o600))?;
    rustix::net::bind(&fd, &SocketAddrUnix::new(path)?).with_context(|| path.to_owned())?;
    rustix::net::listen(&fd, 4)?;
    Ok(fd)
}

fn redirect_stderr(program: &Program) -> anyhow::Result<()> {
    use rustix::fs::{Mode, OFlags};
    if program.stderr == Stderr::Log {
        let log =
            rustix::fs::open(MONITOR_LOG, OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC, Mode::empty())?;
        process::redirect(log.as_fd(), 2)?;
    }
    Ok(())
}

/// Prepares the built-in monitor as the final user; its last fallible act sends READY.
fn become_tender(
    init: &mut Init,
    tender: &Tender,
    socket: &OwnedFd,
    tap: Option<OwnedFd>,
) -> Result<Never, Failure> {
    let mut files = std::mem::take(&mut init.materials.files);
    let kernel =
        files.iter().position(|(target, _)| target == "kernel").context("no kernel").step("tender")?;
    let kernel = files.swap_remove(kernel).1;
    let mut block = Vec::new();
    for attach in &tender.attach {
        if let urunc_plan::launch::Device::Block { file, .. } = &attach.device {
            let at = files
                .iter()
                .position(|(target, _)| target == file)
                .context("no block file")
                .step("tender")?;
            block.push(files.swap_remove(at).1);
        }
    }
    let net: Vec<OwnedFd> = tap.into_iter().collect();
    let ready = urunc_tender::prepare(tender, urunc_tender::Fds { kernel, net, block }).step("tender")?;
    process::set_name("solo5-spt");
    ready.enter(|| {
        let _ = handshake::send(socket.as_fd(), &Message::Ready, &[]);
    })
}
