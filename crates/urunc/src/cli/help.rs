//! Help, laid out as runc's.

use super::{
    PROGRAM,
    flags::{ANYWHERE, Flag, GLOBAL, VERSION},
    table::{COMMANDS, CommandSpec},
};
use std::fmt::Write;

/// One line: what the program is.
pub(super) const SUMMARY: &str = "OCI runtime whose containers are unikernels and single-application VMs";

/// A flag as help shows it: `--bundle DIR, -b DIR`.
pub(super) fn spelled(flag: &Flag) -> String {
    let value = flag.value.map_or(String::new(), |v| format!(" {v}"));
    let short = flag.short.map_or(String::new(), |c| format!(", -{c}{value}"));
    format!("--{}{value}{short}", flag.long)
}

/// Two columns, indented.
fn columns(text: &mut String, rows: &[(String, &str)]) {
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0);
    for (left, right) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "   {left:width$}  {right}");
    }
}

fn rows<'a>(flags: impl Iterator<Item = &'a Flag>) -> Vec<(String, &'a str)> {
    flags.map(|f| (spelled(f), f.help)).collect()
}

/// Help of the program.
pub(super) fn program() -> String {
    let mut text = format!(
        "NAME:\n   {PROGRAM} - {SUMMARY}\n\nUSAGE:\n   {PROGRAM} [global options] command [command options] \
         [arguments...]\n\nVERSION:\n   {}\n\nCOMMANDS:\n",
        env!("CARGO_PKG_VERSION")
    );
    columns(&mut text, &COMMANDS.iter().map(|c| (c.name.to_owned(), c.summary)).collect::<Vec<_>>());
    text.push_str("\nGLOBAL OPTIONS:\n");
    columns(&mut text, &rows(GLOBAL.iter().chain(ANYWHERE).chain(VERSION)));
    text
}

/// Help of one command.
pub(super) fn command(spec: &CommandSpec) -> String {
    let mut text =
        format!("NAME:\n   {PROGRAM} {} - {}\n\nUSAGE:\n   {}\n", spec.name, spec.summary, usage(spec));
    text.push_str("\nOPTIONS:\n");
    columns(&mut text, &rows(spec.flags().chain(ANYWHERE)));
    text
}

/// `urunc kill [command options] <container-id> [signal]`.
pub(super) fn usage(spec: &CommandSpec) -> String {
    let options = if spec.flags.is_empty() { "" } else { " [command options]" };
    let words = if spec.usage.is_empty() { String::new() } else { format!(" {}", spec.usage) };
    format!("{PROGRAM} {}{options}{words}", spec.name)
}
