//! The command line: one declarative table ([`table`]), and argv against it.

pub mod command;
mod completion;
pub mod flags;
mod help;
pub mod id;
mod man;
mod matches;
pub mod table;

pub use command::{Command, Format, Launch, Planned};
use flags::Flag;
use matches::Matches;
use std::{
    ffi::{OsStr, OsString},
    path::{Component, Path, PathBuf},
};

/// Name of the program in messages and pages.
pub const PROGRAM: &str = "urunc";
/// Where state is kept without `--root`.
pub const DEFAULT_ROOT: &str = "/run/urunc";
/// Version of the OCI runtime specification that `--version` and `features` name.
pub const SPEC_VERSION: &str = "1.3.0";

/// The flags before the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// `--root`, absolute.
    pub root: PathBuf,
    /// `--log`; `None`: stderr.
    pub log: Option<PathBuf>,
    /// `--log-format`.
    pub log_format: LogFormat,
    /// `--debug`.
    pub debug: bool,
    /// `--systemd-cgroup`.
    pub systemd_cgroup: bool,
    /// `--rootless`: `true`, `false` or `auto`.
    pub rootless: String,
    /// `--cgroup-manager`.
    pub cgroup_manager: Option<String>,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            root: DEFAULT_ROOT.into(),
            log: None,
            log_format: LogFormat::Text,
            debug: false,
            systemd_cgroup: false,
            rootless: "auto".into(),
            cgroup_manager: None,
        }
    }
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `time="…" level=info msg="…"`.
    #[default]
    Text,
    /// `{"level":"info","msg":"…","time":"…"}`.
    Json,
}

/// A command line that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Flags before the command.
    pub global: Global,
    /// The command and its flags.
    pub command: Command,
}

/// A command line that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// One line: what is wrong.
    pub message: String,
    /// Exit code: 3 for an unknown command (engines probe for it), else 1.
    pub code: u8,
    /// For standard output, may be empty: the help that runc prints there.
    pub help: String,
    /// The global flags seen so far: the message goes to `--log` too.
    pub global: Global,
}

/// What a part of the parser says; [`parse`] adds the rest of [`Usage`].
#[derive(Debug)]
struct Refusal {
    message: String,
    code: u8,
    /// Print the help of the command.
    help: bool,
}

impl Refusal {
    /// A value that is wrong: no help, the message says it all.
    fn value(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1, help: false }
    }
    /// A shape that is wrong: help on standard output, as runc does.
    fn shape(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1, help: true }
    }
}

/// Reads a whole argv, the program's name first.
///
/// # Errors
/// [`Usage`]: what to print and the exit code.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Invocation, Box<Usage>> {
    let mut parser = lexopt::Parser::from_iter(args);
    let mut global = Global::default();
    let groups: [&[Flag]; 3] = [flags::GLOBAL, flags::ANYWHERE, flags::VERSION];
    let read = Matches::read(&mut parser, &groups, matches::Stop::AtWord).and_then(|found| {
        global = read_global(&found)?;
        Ok(found)
    });
    let refuse = |refusal: Refusal, help: String, global: Global| {
        let help = if refusal.help {
            format!("Incorrect Usage: {}\n\n{help}", refusal.message)
        } else {
            String::new()
        };
        Box::new(Usage { message: refusal.message, code: refusal.code, help, global })
    };
    let found = match read {
        Ok(found) => found,
        Err(refusal) => return Err(refuse(refusal, help::program(), global)),
    };
    let text = |text| Ok(Invocation { global: Global::default(), command: Command::Text(text) });
    if found.on("version") {
        return text(version());
    }
    let Some(word) = found.positional.first().filter(|_| !found.on("help")) else {
        return text(help::program());
    };
    let Some(spec) = word.to_str().and_then(table::find) else {
        return Err(refuse(unknown_command(word), String::new(), global));
    };
    match command::read(&mut parser, spec) {
        Ok(command) => Ok(Invocation { global, command }),
        Err(refusal) => Err(refuse(refusal, help::command(spec), global)),
    }
}

/// runc's words and exit code.
fn unknown_command(word: &OsStr) -> Refusal {
    let word = word.to_string_lossy().escape_debug().to_string();
    Refusal { message: format!("No help topic for '{word}'"), code: 3, help: false }
}

fn read_global(found: &Matches) -> Result<Global, Refusal> {
    let log_format = match found.text("log-format")?.as_deref() {
        None | Some("text") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        Some(other) => {
            return Err(Refusal::value(format!("invalid log-format: {other:?}, use text or json")));
        }
    };
    let rootless = found.text("rootless")?.unwrap_or_else(|| "auto".into());
    if !["true", "false", "auto"].contains(&rootless.as_str()) {
        return Err(Refusal::value(format!("--rootless: {rootless:?} is none of true, false, auto")));
    }
    Ok(Global {
        root: found.path("root").map_or(Ok(DEFAULT_ROOT.into()), |root| absolute_root(&root))?,
        log: found.path("log"),
        log_format,
        debug: found.on("debug"),
        systemd_cgroup: found.on("systemd-cgroup"),
        rootless,
        cgroup_manager: found.text("cgroup-manager")?,
    })
}

/// `/` itself would make every directory of the host a container.
fn absolute_root(root: &Path) -> Result<PathBuf, Refusal> {
    let root = std::path::absolute(root).map_err(|e| Refusal::value(format!("--root: {e}")))?;
    if root.components().any(|c| matches!(c, Component::Normal(_))) {
        Ok(root)
    } else {
        Err(Refusal::value("--root: / cannot hold the state of containers"))
    }
}

/// Three lines, as runc prints them; engines look for `spec:`.
fn version() -> String {
    let commit = option_env!("URUNC_COMMIT").unwrap_or("unknown");
    format!("{PROGRAM} version {}\ncommit: {commit}\nspec: {SPEC_VERSION}\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests;
