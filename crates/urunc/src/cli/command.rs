//! Typed commands, made from what was given.

use super::{
    PROGRAM, Refusal, completion,
    flags::{ANYWHERE, Flag},
    help, id, man,
    matches::{Matches, Stop},
    table::{self, CommandSpec},
    unknown_command,
};
use crate::signals;
use std::{ffi::OsString, path::PathBuf};

/// What to do. Every `id` is valid ([`id::valid`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Print this and exit 0: help, version, completions, man pages.
    Text(String),
    /// `create`.
    Create(Launch),
    /// `start`.
    Start {
        /// Container.
        id: String,
    },
    /// `run`.
    Run {
        /// As for create.
        launch: Launch,
        /// `--detach`.
        detach: bool,
        /// `--keep`.
        keep: bool,
        /// `--no-subreaper`.
        no_subreaper: bool,
    },
    /// `state`.
    State {
        /// Container.
        id: String,
    },
    /// `kill`.
    Kill {
        /// Container.
        id: String,
        /// Number, 1 to 64.
        signal: i32,
        /// `--all`.
        all: bool,
    },
    /// `delete`.
    Delete {
        /// Container.
        id: String,
        /// `--force`.
        force: bool,
    },
    /// `list`.
    List {
        /// `--format`.
        format: Format,
        /// `--quiet`.
        quiet: bool,
    },
    /// `ps`.
    Ps {
        /// Container.
        id: String,
        /// `--format`.
        format: Format,
        /// Arguments for ps(1).
        args: Vec<OsString>,
    },
    /// `exec`; the flags matter to a delegated container only, whose runtime gets argv as it is.
    Exec {
        /// Container.
        id: String,
        /// The command.
        args: Vec<OsString>,
    },
    /// `features`.
    Features,
    /// `spec`.
    Spec {
        /// `--bundle`, or `.`.
        bundle: PathBuf,
        /// `--rootless`.
        rootless: bool,
    },
    /// `plan`.
    Plan(Planned),
    /// `doctor`.
    Doctor {
        /// `--security`.
        security: bool,
    },
    /// A command of runc's that is not built yet: refused in words, but a delegated container's runtime may get it.
    Unbuilt {
        /// Which.
        name: &'static str,
        /// Container.
        id: String,
    },
}

/// Arguments of `create` and `run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Container.
    pub id: String,
    /// `--bundle`, or `.`.
    pub bundle: PathBuf,
    /// `--console-socket`.
    pub console_socket: Option<PathBuf>,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// `--pidfd-socket`.
    pub pidfd_socket: Option<PathBuf>,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
}

/// Arguments of `plan`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The stored plan of this container…
    pub id: Option<String>,
    /// … or a new one of this bundle (`--bundle`, or `.`).
    pub bundle: PathBuf,
    /// `--json`.
    pub json: bool,
    /// `--host`.
    pub host: Option<PathBuf>,
    /// `--net`.
    pub net: Option<PathBuf>,
    /// `--request`.
    pub request: Option<PathBuf>,
}

/// `--format` of `list` and `ps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Columns.
    Table,
    /// JSON.
    Json,
}

impl Command {
    /// The container this is about.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Create(launch) | Self::Run { launch, .. } => Some(&launch.id),
            Self::Start { id }
            | Self::State { id }
            | Self::Kill { id, .. }
            | Self::Delete { id, .. }
            | Self::Ps { id, .. }
            | Self::Exec { id, .. }
            | Self::Unbuilt { id, .. } => Some(id),
            Self::Plan(planned) => planned.id.as_deref(),
            Self::Text(_) | Self::List { .. } | Self::Features | Self::Spec { .. } | Self::Doctor { .. } => {
                None
            }
        }
    }
}

/// Reads the rest of argv for one command.
pub(super) fn read(parser: &mut lexopt::Parser, spec: &'static CommandSpec) -> Result<Command, Refusal> {
    let stop = if spec.verbatim { Stop::Verbatim } else { Stop::AtEnd };
    let groups: Vec<&[Flag]> = spec.flags.iter().copied().chain([ANYWHERE]).collect();
    let found = Matches::read(parser, &groups, stop)?;
    if found.on("help") {
        return Ok(Command::Text(help::command(spec)));
    }
    arity(spec, found.positional.len())?;
    typed(spec, found)
}

/// runc's words.
fn arity(spec: &CommandSpec, given: usize) -> Result<(), Refusal> {
    let (bound, count) = match spec.max {
        Some(max) if max == spec.min && given != max => ("exactly", max),
        _ if given < spec.min => ("a minimum of", spec.min),
        Some(max) if given > max => ("a maximum of", max),
        _ => return Ok(()),
    };
    Err(Refusal::shape(format!("{PROGRAM}: \"{}\" requires {bound} {count} argument(s)", spec.name)))
}

fn typed(spec: &'static CommandSpec, found: Matches) -> Result<Command, Refusal> {
    let id = || container(found.positional.first());
    Ok(match spec.name {
        "create" => Command::Create(launch(&found)?),
        "start" => Command::Start { id: id()? },
        "run" => Command::Run {
            launch: launch(&found)?,
            detach: found.on("detach"),
            keep: found.on("keep"),
            no_subreaper: found.on("no-subreaper"),
        },
        "state" => Command::State { id: id()? },
        "kill" => Command::Kill { id: id()?, signal: signal(found.positional.get(1))?, all: found.on("all") },
        "delete" => Command::Delete { id: id()?, force: found.on("force") },
        "list" => Command::List { format: format(&found)?, quiet: found.on("quiet") },
        "ps" => Command::Ps { id: id()?, format: format(&found)?, args: rest(found) },
        "exec" => Command::Exec { id: id()?, args: rest(found) },
        "features" => Command::Features,
        "spec" => Command::Spec { bundle: bundle(&found), rootless: found.on("rootless") },
        "plan" => Command::Plan(planned(&found)?),
        "doctor" => Command::Doctor { security: found.on("security") },
        "completion" => Command::Text(completion_script(&found)?),
        "man" => Command::Text(page(&found, man::program, man::command)?),
        "help" => Command::Text(page(&found, help::program, help::command)?),
        name => Command::Unbuilt { name, id: id()? },
    })
}

fn rest(mut found: Matches) -> Vec<OsString> {
    found.positional.split_off(1)
}

fn container(word: Option<&OsString>) -> Result<String, Refusal> {
    let word =
        word.filter(|w| !w.is_empty()).ok_or_else(|| Refusal::value("container id cannot be empty"))?;
    let valid = word.to_str().filter(|text| id::valid(text));
    let shown = || word.to_string_lossy().chars().take(80).collect::<String>();
    valid
        .map(str::to_owned)
        .ok_or_else(|| Refusal::value(format!("invalid container ID format: {:?}", shown())))
}

fn launch(found: &Matches) -> Result<Launch, Refusal> {
    let preserve_fds = match found.text("preserve-fds")? {
        None => 0,
        Some(text) => {
            text.parse().map_err(|_| Refusal::shape(format!("--preserve-fds: {text:?} is not a count")))?
        }
    };
    Ok(Launch {
        id: container(found.positional.first())?,
        bundle: bundle(found),
        console_socket: found.path("console-socket"),
        pid_file: found.path("pid-file"),
        pidfd_socket: found.path("pidfd-socket"),
        no_pivot: found.on("no-pivot"),
        no_new_keyring: found.on("no-new-keyring"),
        preserve_fds,
    })
}

fn bundle(found: &Matches) -> PathBuf {
    found.path("bundle").unwrap_or_else(|| ".".into())
}

fn planned(found: &Matches) -> Result<Planned, Refusal> {
    let id = found.positional.first().map(|word| container(Some(word))).transpose()?;
    if id.is_some() && ["bundle", "request"].iter().any(|f| found.path(f).is_some()) {
        return Err(Refusal::shape("plan: give a container id or a bundle or a request, not two of them"));
    }
    Ok(Planned {
        id,
        bundle: bundle(found),
        json: found.on("json"),
        host: found.path("host"),
        net: found.path("net"),
        request: found.path("request"),
    })
}

fn signal(word: Option<&OsString>) -> Result<i32, Refusal> {
    let Some(word) = word else { return Ok(15) };
    let number = word.to_str().and_then(signals::parse);
    number.ok_or_else(|| Refusal::value(format!("unknown signal {:?}", word.to_string_lossy())))
}

fn format(found: &Matches) -> Result<Format, Refusal> {
    match found.text("format")?.as_deref() {
        None | Some("table") => Ok(Format::Table),
        Some("json") => Ok(Format::Json),
        Some(other) => Err(Refusal::value(format!("invalid format option {other:?}, use table or json"))),
    }
}

fn completion_script(found: &Matches) -> Result<String, Refusal> {
    let shell = found.positional.first().and_then(|w| w.to_str()).unwrap_or_default();
    completion::script(shell).ok_or_else(|| Refusal::shape(format!("completion: no such shell {shell:?}")))
}

/// The page of the program, or of the command named.
fn page(
    found: &Matches,
    program: fn() -> String,
    command: fn(&CommandSpec) -> String,
) -> Result<String, Refusal> {
    let Some(word) = found.positional.first() else { return Ok(program()) };
    word.to_str().and_then(table::find).map(command).ok_or_else(|| unknown_command(word))
}
