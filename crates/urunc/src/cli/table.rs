//! The command table. Parsing, help, completions and man pages all come from here and from nowhere else.

use super::flags::{self, Flag};

/// One command.
#[derive(Debug)]
pub struct CommandSpec {
    /// Its name.
    pub name: &'static str,
    /// One line: what it does.
    pub summary: &'static str,
    /// Its positional arguments, as help shows them.
    pub usage: &'static str,
    /// Fewest positional arguments.
    pub min: usize,
    /// Most positional arguments; `None`: any number.
    pub max: Option<usize>,
    /// Everything after the first positional argument is taken as it is, flags too (`exec ID ls -l`).
    pub verbatim: bool,
    /// Groups of flags.
    pub flags: &'static [&'static [Flag]],
}

impl CommandSpec {
    /// Every flag, in table order.
    pub fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.flags.iter().copied().flatten()
    }

    const fn flagged(mut self, flags: &'static [&'static [Flag]]) -> Self {
        self.flags = flags;
        self
    }

    const fn verbatim(mut self) -> Self {
        self.verbatim = true;
        self
    }
}

const ID: &str = "<container-id>";

const fn command(name: &'static str, arity: (usize, Option<usize>), summary: &'static str) -> CommandSpec {
    let usage = if arity.0 == 1 { ID } else { "" };
    CommandSpec { name, summary, usage, min: arity.0, max: arity.1, verbatim: false, flags: &[] }
}

const fn shown(mut spec: CommandSpec, usage: &'static str) -> CommandSpec {
    spec.usage = usage;
    spec
}

const NONE: (usize, Option<usize>) = (0, Some(0));
const ONE: (usize, Option<usize>) = (1, Some(1));

/// Every command, in the order of help.
pub static COMMANDS: &[CommandSpec] = &[
    command("create", ONE, "create a container").flagged(&[flags::CREATE]),
    command("start", ONE, "start the guest of a created container"),
    command("run", ONE, "create and start a container").flagged(&[flags::CREATE, flags::RUN]),
    command("state", ONE, "print the state of a container as JSON"),
    shown(
        command("kill", (1, Some(2)), "send a signal (default: TERM) to a container").flagged(&[flags::KILL]),
        "<container-id> [signal]",
    ),
    command("delete", ONE, "remove everything a container holds").flagged(&[flags::DELETE]),
    command("list", NONE, "list the containers of this root").flagged(&[flags::FORMAT, flags::QUIET]),
    shown(
        command("ps", (1, None), "list the processes of a container").flagged(&[flags::FORMAT]).verbatim(),
        "<container-id> [ps options]",
    ),
    shown(
        command("exec", (1, None), "run one more process in a container").flagged(&[flags::EXEC]).verbatim(),
        "<container-id> <command> [argument...]",
    ),
    command("features", NONE, "print what is supported, as JSON"),
    command("spec", NONE, "write a config.json to start from").flagged(&[flags::SPEC]),
    shown(
        command("plan", (0, Some(1)), "print what create and start would do, or did").flagged(&[flags::PLAN]),
        "[container-id]",
    ),
    command("doctor", NONE, "say what this host can run, what not, and the fix").flagged(&[flags::DOCTOR]),
    command("pause", ONE, "stop the clock of a container (not built yet)"),
    command("resume", ONE, "undo pause (not built yet)"),
    command("update", ONE, "change limits (not built yet)").flagged(&[flags::UPDATE]),
    command("events", ONE, "print statistics and events (not built yet)").flagged(&[flags::EVENTS]),
    command("checkpoint", ONE, "save a container (not built yet)")
        .flagged(&[flags::SNAPSHOT, flags::CHECKPOINT]),
    command("restore", ONE, "restore a container (not built yet)")
        .flagged(&[flags::SNAPSHOT, flags::RESTORE]),
    shown(command("completion", ONE, "print a completion script"), "bash|zsh|fish"),
    shown(command("man", (0, Some(1)), "print a manual page (roff)"), "[command]"),
    shown(command("help", (0, Some(1)), "show help"), "[command]"),
];

/// The command of this name; `h` is `help`, as in runc.
pub fn find(name: &str) -> Option<&'static CommandSpec> {
    let name = if name == "h" { "help" } else { name };
    COMMANDS.iter().find(|c| c.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = COMMANDS.iter().map(|c| c.name).collect();
        assert_eq!(names.len(), COMMANDS.len());
        for command in COMMANDS {
            let mut seen = BTreeSet::new();
            for flag in command.flags().chain(flags::ANYWHERE) {
                assert!(seen.insert(flag.long.to_owned()), "{} --{}", command.name, flag.long);
                if let Some(short) = flag.short {
                    assert!(seen.insert(short.to_string()), "{} -{short}", command.name);
                }
            }
        }
    }

    #[test]
    fn words_are_fit_for_every_output() {
        let all = COMMANDS.iter().flat_map(|c| c.flags().map(|f| f.help).chain([c.summary]));
        for text in all.chain(flags::GLOBAL.iter().map(|f| f.help)) {
            assert!(
                !text.is_empty() && !text.contains(['\n', '\'', '\\']) || text.contains("runc's"),
                "{text}"
            );
            assert!(!text.ends_with('.') && text.len() <= 72, "{text}");
        }
    }
}
