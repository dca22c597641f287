//! `create`: steps 1 to 7 of ARCHITECTURE.md, and the way back when one of them fails.

mod build;
mod check;

use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;

use anyhow::{Context, bail};
use urunc_plan::LaunchPlan;
use urunc_plan::launch::Base;
use urunc_sys::process::Child;
use urunc_sys::{cgroup, root};

use self::build::build;
use self::check::{Checked, check, check_console, refuse_unbuilt};
use super::delete;
use crate::cli::{Global, Launch};
use crate::state::{Container, Store};
use crate::{bundle, delegate, undo};

pub use self::check::plan_inputs;

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
        Err(verdict) => {
            bundle::read(&args.bundle)?.hand_over()?;
            return Ok(Outcome::Delegated(verdict));
        }
    };
    refuse_unbuilt(global, args)?;
    check_console(&checked.record.request, args, terminal.is_some())?;
    if checked.plan.root.base != Base::Tmpfs {
        guard_program()?;
    }
    checked.plan.notices.iter().for_each(crate::log::notice);
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
