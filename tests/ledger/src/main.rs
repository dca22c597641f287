//! `ledger snapshot FILE [--tag T] [--parent PID] [--root DIR] [--tree DIR] [--netns NAME] [--pid PID] [--daemon NAME]`
//! and `ledger diff A B`: the ledger for scripts. Without tag and parent it covers the whole machine.
#![allow(clippy::print_stdout)]

use ledger::{Ledger, Scope, diff};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["snapshot", file, options @ ..] => snapshot(file, options),
        ["diff", before, after] => compare(before, after),
        _ => Err("usage: ledger snapshot FILE [OPTION VALUE]... | ledger diff A B".into()),
    };
    result.unwrap_or_else(|message| {
        eprintln!("ledger: {message}");
        ExitCode::from(2)
    })
}

fn snapshot(file: &str, options: &[&str]) -> Result<ExitCode, String> {
    let mut scope = Scope::default();
    let number = |value: &str| value.parse().map_err(|_| format!("not a process id: {value}"));
    for option in options.chunks(2) {
        match *option {
            ["--tag", value] => scope.tags.push(value.into()),
            ["--parent", value] => scope.parent = Some(number(value)?),
            ["--root", value] => scope.roots.push(value.into()),
            ["--tree", value] => scope.trees.push(value.into()),
            ["--netns", value] => scope.netns.push(value.into()),
            ["--daemon", value] => scope.daemons.push(value.into()),
            ["--pid", value] => scope.pids.push(number(value)?),
            _ => return Err(format!("unknown option or missing value: {}", option.join(" "))),
        }
    }
    std::fs::write(file, Ledger::take(&scope).to_json()).map_err(|e| format!("{file}: {e}"))?;
    Ok(ExitCode::SUCCESS)
}

fn compare(before: &str, after: &str) -> Result<ExitCode, String> {
    let read = |file: &str| {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
        Ledger::from_json(&text).map_err(|e| format!("{file}: {e}"))
    };
    let lines = diff(&read(before)?, &read(after)?);
    for line in &lines {
        println!("{line}");
    }
    Ok(if lines.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
