//! Manual pages in the man(7) macros.

use super::{
    PROGRAM,
    flags::{ANYWHERE, Flag, GLOBAL, VERSION},
    help,
    table::{COMMANDS, CommandSpec},
};
use std::fmt::Write;

/// Text safe in roff: backslashes and hyphens are escaped, and no line begins with a control character.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn header(page: &str, summary: &str, synopsis: &str) -> String {
    format!(
        ".TH {} 8 \"\" \"{PROGRAM} {}\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.B {}\n",
        page.to_uppercase(),
        env!("CARGO_PKG_VERSION"),
        escape(page),
        escape(summary),
        escape(synopsis)
    )
}

fn entries<'a>(text: &mut String, rows: impl Iterator<Item = (String, &'a str)>) {
    for (left, right) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, ".TP\n.B {}\n{}", escape(&left), escape(right));
    }
}

fn options<'a>(text: &mut String, flags: impl Iterator<Item = &'a Flag>) {
    entries(text, flags.map(|f| (help::spelled(f), f.help)));
}

/// Page of the program: `urunc(8)`.
pub(super) fn program() -> String {
    let mut text =
        header(PROGRAM, help::SUMMARY, &format!("{PROGRAM} [global options] command [arguments...]"));
    text.push_str(".SH COMMANDS\n");
    entries(&mut text, COMMANDS.iter().map(|c| (c.name.to_owned(), c.summary)));
    text.push_str(".SH OPTIONS\n");
    options(&mut text, GLOBAL.iter().chain(ANYWHERE).chain(VERSION));
    text
}

/// Page of a command: `urunc-create(8)`.
pub(super) fn command(spec: &CommandSpec) -> String {
    let page = format!("{PROGRAM}-{}", spec.name);
    let mut text = header(&page, spec.summary, &help::usage(spec));
    text.push_str(".SH OPTIONS\n");
    options(&mut text, spec.flags().chain(ANYWHERE));
    let _ = writeln!(text, ".SH SEE ALSO\n.BR {PROGRAM} (8)");
    text
}
