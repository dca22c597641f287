//! Step 9: init becomes the monitor, by exec or by turning itself into it; or it starts the monitor and stays.

use std::convert::Infallible;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, anyhow};
use urunc_plan::bpf::Insn;
use urunc_plan::launch::{Device, Exec, FdSource, Mode, Program, Ready, Stderr, Target, Tender};
use urunc_plan::{LaunchPlan, MONITOR_LOG, seccomp};
use urunc_sys::{capabilities, identity, process};

use super::park::Order;
use super::step::{Failure, Step};
use super::supervise::{Means, supervise};
use crate::bundle::Hook;
use crate::handshake::{self, Message};
use crate::hooks::{self, Place, seen_inside};
use crate::jail::KVM;

/// Descriptors by name: what the tender calls the file.
type Named = Vec<(String, OwnedFd)>;

/// What an exec'ed monitor shares with an init that stays.
#[derive(Default)]
pub(super) struct Inherited {
    pub(super) control: Option<OwnedFd>,
    pub(super) console: Option<OwnedFd>,
    /// Its standard output.
    pub(super) output: Option<OwnedFd>,
}

/// Runs startContainer hooks in the private root and becomes the monitor, which gets `files` of the image, or supervises
/// it. Returns only on failure.
pub(super) fn become_monitor(
    order: &Order,
    start_container: &[Hook],
    files: &mut Named,
) -> Result<Infallible, Failure> {
    let at = Place { state: &seen_inside(&order.state).step("hooks")?, dir: Path::new("/") };
    hooks::run("startContainer", start_container, at).step("hooks")?;
    order.signals.obey();
    write_files(&order.plan).step("private root")?;
    match (&order.plan.exec, &order.plan.mode) {
        (Exec::Program(program), Mode::Supervised { stop, voice, status, .. }) => {
            supervise(order, program, Means { stop: *stop, voice: *voice, statuses: status })
        }
        (Exec::Program(program), Mode::Direct { .. }) => {
            process::reset_signals().step("signals")?;
            exec(order, program, Inherited::default())
        }
        (Exec::Tender(tender), _) => {
            process::reset_signals().step("signals")?;
            become_tender(order, tender, files)
        }
    }
}

/// The files that are the user's to write, as the final plan has them: `create` knew no network yet. The others do not
/// depend on it.
fn write_files(plan: &LaunchPlan) -> anyhow::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for file in plan.root.files.iter().filter(|file| file.owned && file.mode & 0o200 != 0) {
        let fd = rustix::fs::open(file.path.as_str(), flags, Mode::empty()).context(file.path.clone())?;
        std::fs::File::from(fd).write_all(file.content.as_bytes()).context(file.path.clone())?;
    }
    Ok(())
}

fn copy_of(tap: Option<&OwnedFd>) -> anyhow::Result<OwnedFd> {
    Ok(process::duplicate(tap.context("the tap did not arrive")?.as_fd())?)
}

/// Executes the monitor. Where it does not greet nobody else says READY.
pub(super) fn exec(order: &Order, program: &Program, mut shared: Inherited) -> Result<Infallible, Failure> {
    let output = shared.output.take();
    let inherited = inherited(order, program, shared).step("descriptors")?;
    rustix::process::chdir(program.cwd.as_str()).step("working directory")?;
    let path = find(program).step("exec")?;
    let filters = filters(&order.plan).step("seccomp")?;
    let socket = above(&order.socket, inherited.len()).step("descriptors")?;
    let borrowed: Vec<BorrowedFd<'_>> = inherited.iter().map(AsFd::as_fd).collect();
    redirect(program, output.as_ref()).step("standard streams")?;
    process::place_fds(&borrowed).step("descriptors")?;
    identity::set_rlimits(&order.plan.identity.rlimits).step("limits")?;
    // The last word before the filters, which may forbid to say more; a failed exec still says FAILED if it can.
    if program.ready != Ready::Qmp {
        handshake::send(socket.as_fd(), &Message::Ready, &[]).step("ready")?;
    }
    if !filters.is_empty() && !order.plan.identity.no_new_privs {
        capabilities::allow_filters().step("seccomp")?;
    }
    for (filter, flags) in &filters {
        urunc_sys::seccomp::install(filter, *flags).step("seccomp")?;
    }
    Err(process::exec(&path, &program.args, &program.env)).step("exec")
}

fn inherited(order: &Order, program: &Program, mut shared: Inherited) -> anyhow::Result<Vec<OwnedFd>> {
    let mut fds = Vec::new();
    for source in &program.fds {
        fds.push(match source {
            FdSource::Tap => copy_of(order.tap.as_ref())?,
            FdSource::Control => shared.control.take().context("the monitor has no control socket")?,
            FdSource::ConsoleCopy => {
                shared.console.take().context("the monitor has no pipe for its console")?
            }
        });
    }
    Ok(fds)
}

/// The program's path; a bare name (of the `process` monitor's bundle) is looked for in its PATH.
fn find(program: &Program) -> anyhow::Result<String> {
    if program.path.contains('/') {
        return Ok(program.path.clone());
    }
    let path = program.env.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or("/bin:/usr/bin");
    let candidates = path.split(':').map(|dir| format!("{dir}/{}", program.path));
    let mut found = candidates.filter(|path| rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok());
    found.next().ok_or_else(|| anyhow!("{}: executable file not found in $PATH", program.path))
}

/// The handshake socket must survive the placing of descriptors at 3, 4, …
fn above(socket: &OwnedFd, count: usize) -> anyhow::Result<OwnedFd> {
    let mut copies = vec![process::duplicate(socket.as_fd())?];
    for _ in 0..count {
        copies.push(process::duplicate(socket.as_fd())?);
    }
    copies.pop().context("descriptor table")
}

/// Compiled before the first one is installed: a filter may forbid what compiling needs.
fn filters(plan: &LaunchPlan) -> anyhow::Result<Vec<(Vec<Insn>, u32)>> {
    let compile =
        |filter| anyhow::Ok((seccomp::compile(filter, std::env::consts::ARCH)?, seccomp::flags(filter)?));
    plan.seccomp.iter().map(compile).collect()
}

fn redirect(program: &Program, output: Option<&OwnedFd>) -> anyhow::Result<()> {
    use rustix::fs::{Mode, OFlags};
    if let Some(output) = output {
        process::redirect(output.as_fd(), 1)?;
    }
    if program.stderr == Stderr::Log {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
        let log = rustix::fs::open(MONITOR_LOG, flags, Mode::empty())?;
        process::redirect(log.as_fd(), 2)?;
    }
    Ok(())
}

/// Prepares the built-in monitor as the final user; its last fallible act sends READY.
fn become_tender(order: &Order, tender: &Tender, files: &mut Named) -> Result<Infallible, Failure> {
    let fds = tender_fds(order, tender, files).step("descriptors")?;
    identity::set_rlimits(&order.plan.identity.rlimits).step("limits")?;
    let ready = urunc_tender::prepare(tender, fds).step("tender")?;
    // Its name comes after READY: whoever sees by it that the container runs sees a start that succeeds.
    ready.enter(|| {
        let _ = handshake::send(order.socket.as_fd(), &Message::Ready, &[]);
    })
}

fn tender_fds(order: &Order, tender: &Tender, files: &mut Named) -> anyhow::Result<urunc_tender::Fds> {
    let mut take = |name: &str| {
        let at = files.iter().position(|(target, _)| target == name);
        at.map(|at| files.swap_remove(at).1).with_context(|| format!("image file {name} is not open"))
    };
    let kvm = (tender.target == Target::Hvt).then(|| take(KVM)).transpose()?;
    let mut fds = urunc_tender::Fds { kernel: take("kernel")?, kvm, net: Vec::new(), block: Vec::new() };
    for attach in &tender.attach {
        match &attach.device {
            Device::Net { .. } => fds.net.push(copy_of(order.tap.as_ref())?),
            Device::Block { file, .. } => fds.block.push(take(file)?),
        }
    }
    Ok(fds)
}
