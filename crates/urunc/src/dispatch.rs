//! From argv to a command, and from its result to the exit code.

use std::process::ExitCode;

use anyhow::bail;
use urunc_sys::process;

use crate::cli::{self, Command, Global, Invocation};
use crate::state::Store;
use crate::{command, delegate, features, log, settings, spec};

/// Exit code of every failed `exec`, as runc's: a code below could be the command's own.
const EXEC_IMPOSSIBLE: u8 = 255;

/// The program: one error line, one place where it is written.
pub fn main() -> ExitCode {
    let Invocation { global, command } = match cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(usage) => return refuse(&usage),
    };
    let closed = close_inherited(&command);
    process::survive_file_limit();
    let failure = if matches!(command, Command::Exec { .. }) { EXEC_IMPOSSIBLE } else { 1 };
    match log::init(&global).and(closed.map_err(Into::into)).and_then(|()| run(&global, command)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            log::fatal(&error);
            ExitCode::from(failure)
        }
    }
}

fn refuse(usage: &cli::Usage) -> ExitCode {
    let _ = command::print(&usage.help);
    let _ = log::init(&usage.global);
    log::fatal(&anyhow::anyhow!("{}", usage.message));
    ExitCode::from(usage.code)
}

/// Nothing of the caller's is inherited by accident (rule R6); `--preserve-fds` of a delegated container is kept.
fn close_inherited(command: &Command) -> urunc_sys::Result<()> {
    let preserved = match command {
        Command::Create(launch) | Command::Run { launch, .. } => launch.preserve_fds,
        // It reaches no container of ours, and the other runtime keeps what its own flag says.
        Command::Exec { .. } => return Ok(()),
        _ => 0,
    };
    process::close_from(3_u32.saturating_add(preserved))
}

fn run(global: &Global, command: Command) -> anyhow::Result<u8> {
    if let Some(code) = delegated(global, &command)? {
        return Ok(code);
    }
    match command {
        Command::Text(text) => command::print(&text).map(|()| 0),
        Command::Create(launch) => command::create::run(global, &launch),
        Command::Start { id } => command::start::run(global, &id),
        Command::Run { launch, detach, keep, .. } => command::run::run(global, &launch, detach, keep),
        Command::State { id } => command::state::run(global, &id),
        Command::Kill { id, signal, all } => command::kill::run(global, &id, signal, all),
        Command::Delete { id, force } => command::delete::run(global, &id, force),
        Command::List { format, quiet } => command::list::run(global, format, quiet),
        Command::Ps { id, format, args } => command::ps::run(global, &id, format, &args),
        Command::Exec { id, .. } => exec(global, &id),
        Command::Features => command::print(&features::json()).map(|()| 0),
        Command::Spec { bundle, rootless } => spec::run(&bundle, rootless).map(|()| 0),
        Command::Plan(planned) => command::plan::run(global, &planned),
        Command::Doctor { security } => command::doctor::run(&global.root, security),
        Command::Unbuilt { name, .. } => bail!("{name}: not built yet"),
    }
}

fn exec(global: &Global, id: &str) -> anyhow::Result<u8> {
    command::existing(global, id)?;
    bail!("container {id} has no agent: exec is not possible in a unikernel")
}

/// Every command on a container that was given to another runtime goes there with identical argv. `None` when the
/// container is ours or unknown.
fn delegated(global: &Global, command: &Command) -> anyhow::Result<Option<u8>> {
    let id = command.id().filter(|_| !matches!(command, Command::Create(_) | Command::Run { .. }));
    let Some((id, store)) = id.zip(Store::open(&global.root)?) else { return Ok(None) };
    if store.find(id)?.is_some() {
        return Ok(None);
    }
    let default = settings::active().map(|loaded| loaded.settings.delegate).unwrap_or_default();
    let Some(verdict) = delegate::recall(&store, id, &default)? else { return Ok(None) };
    if !matches!(command, Command::Delete { .. }) {
        return Err(delegate::exec(&verdict.runtime));
    }
    // The verdict lives as long as the container: the other runtime may refuse.
    let code = delegate::spawn(&verdict.runtime)?;
    if code == 0 {
        delegate::forget(&store, id);
    }
    Ok(Some(code))
}
