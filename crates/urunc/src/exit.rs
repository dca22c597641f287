//! How a container ended: the record that init leaves behind, and what can be seen without one.

use std::fmt::Write as _;
use std::os::fd::AsFd;

use anyhow::Context as _;
use serde::Deserialize;
use urunc_plan::LaunchPlan;
use urunc_plan::launch::{Exec, Mode};
use urunc_plan::supervision::{Ending, Text};
use urunc_sys::cgroup;
use urunc_sys::process::Stat;

use crate::signals;
use crate::state::Container;

/// Longest record, bytes: what init may write at most, and what is read of it.
pub const LONGEST: usize = 4096;
const SIGKILL: i32 = 9;
const SIGSYS: i32 = 31;

/// What is known of an end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Exit {
    /// `power-off`, `panic`, … ([`urunc_plan::supervision::Cause`]).
    pub cause: String,
    /// Exit status of the container's process.
    pub status: u8,
    /// What else there is to say; foreign.
    pub detail: String,
    /// The last that the guest wrote on its console; foreign.
    pub console: String,
}

impl Exit {
    /// Reads a record. Init may have been taken over: what is too long, no record or no word of ours is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let exit: Self = serde_json::from_slice(bytes).ok()?;
        let word = exit.cause.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        (word && (1..=16).contains(&exit.cause.len())).then_some(exit)
    }

    fn new(cause: &str, status: u8, detail: impl Into<String>) -> Self {
        Self { cause: cause.to_owned(), status, detail: detail.into(), console: String::new() }
    }
}

/// The record as one line of JSON. Allocates nothing; of the console, the end is kept.
pub fn record(ending: &Ending, console: [&[u8]; 2]) -> Text<LONGEST> {
    let mut line = Text::default();
    // Writing to a text cannot fail.
    let _ =
        write!(line, "{{\"cause\":\"{}\",\"status\":{},\"detail\":\"", ending.cause.name(), ending.status);
    ending.note.bytes().iter().for_each(|byte| escape(&mut line, *byte));
    let _ = line.write_str("\",\"console\":\"");
    // An escaped byte takes six at most, and the end has to fit.
    let room = LONGEST - 8 - line.bytes().len();
    let size = |byte: &u8| if plain(*byte) { 1 } else { 6 };
    let mut left = room;
    let bytes = || console.iter().flat_map(|part| part.iter());
    let kept = bytes().rev().take_while(|byte| {
        left.checked_sub(size(byte)).is_some_and(|rest| {
            left = rest;
            true
        })
    });
    let kept = kept.count();
    let all = bytes().count();
    bytes().skip(all - kept).for_each(|byte| escape(&mut line, *byte));
    let _ = line.write_str("\"}\n");
    line
}

fn plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'
}

/// Every byte by itself, as Latin-1: a tail may begin inside a letter.
fn escape<const N: usize>(line: &mut Text<N>, byte: u8) {
    let _ = if plain(byte) { line.write_char(char::from(byte)) } else { write!(line, "\\u{byte:04x}") };
}

/// What is known of the end of a stopped container: the record, or what the kernel still says of its process that
/// nobody has reaped. `None` is better than a guess, and what cannot be looked at is a warning: it hinders nobody.
pub fn known(container: &Container, plan: Option<&LaunchPlan>, process: Option<&Stat>) -> Option<Exit> {
    let known = match container.exit() {
        Ok(None) => plan.map_or(Ok(None), |plan| observed(plan, process)),
        recorded => recorded,
    };
    known.unwrap_or_else(|error| {
        log::warn!("how container {} ended is not known: {error:#}", container.id);
        None
    })
}

fn observed(plan: &LaunchPlan, process: Option<&Stat>) -> anyhow::Result<Option<Exit>> {
    let Some(zombie) = process.filter(|stat| stat.state == 'Z') else {
        // It was alone in its group, or init's own end took the monitor with it.
        let alone = matches!(plan.exec, Exec::Tender(_)) || matches!(plan.mode, Mode::Supervised { .. });
        return Ok((alone && was_oom_killed(plan)?).then(out_of_memory));
    };
    let [signal, code, ..] = zombie.exit_code.to_le_bytes();
    let number = i32::from(signal & 0x7f);
    Ok(Some(match number {
        0 => Exit::new("exit", code, ""),
        SIGKILL if was_oom_killed(plan)? => out_of_memory(),
        SIGSYS => Exit::new("seccomp", 128 + (signal & 0x7f), "a call that the filter forbids"),
        _ => Exit::new("signal", 128 + (signal & 0x7f), signals::name(number)),
    }))
}

fn was_oom_killed(plan: &LaunchPlan) -> anyhow::Result<bool> {
    let Some(file) = cgroup::oom_file(&plan.cgroup)? else {
        return Ok(false);
    };
    Ok(cgroup::oom_kills(file.as_fd()).context("its cgroup does not count who was killed for memory")? > 0)
}

fn out_of_memory() -> Exit {
    Exit::new("oom", 137, "the memory limit was exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use urunc_plan::supervision::{Cause, Text};

    #[test]
    fn a_record_is_read_back_whatever_was_said() {
        let all: Vec<u8> = (0..=255).cycle().take(2048).collect();
        for (note, console) in [(&b""[..], &b""[..]), (b"it's \"so\" \\\n\xff", b"last\r\n"), (&all, &all)] {
            let ending = Ending { cause: Cause::Panic, status: 255, note: Text::cut(note) };
            let line = record(&ending, console.split_at(console.len() / 2).into());
            let (last, line) = line.bytes().split_last().unwrap();
            let exit = Exit::parse(line).unwrap();
            assert_eq!((*last, exit.cause.as_str(), exit.status), (b'\n', "panic", 255));
            let latin1 = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
            assert_eq!(exit.detail, latin1(&note[..note.len().min(240)]));
            assert!(latin1(console).ends_with(&exit.console) && exit.console.len() >= console.len().min(300));
        }
    }

    #[test]
    fn foreign_bytes_are_no_record() {
        for bytes in
            ["", "{}", "[]", "{\"cause\":\"\"}", "{\"cause\":\"A\"}", "{\"cause\":\"exit\",\"status\":256}"]
        {
            assert_eq!(Exit::parse(bytes.as_bytes()), None, "{bytes}");
        }
    }
}
