//! argv against groups of flags: what was given, untyped.

use super::{Refusal, flags::Flag};
use lexopt::Arg;
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

/// Where reading ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// At the first positional argument, which is taken.
    AtWord,
    /// At the first positional argument; all that follows is positional.
    Verbatim,
    /// At the end: flags may stand before and after positional arguments.
    AtEnd,
}

/// Flags and positional arguments that were given.
#[derive(Debug, Default)]
pub(super) struct Matches {
    given: Vec<(&'static str, OsString)>,
    /// In order.
    pub(super) positional: Vec<OsString>,
}

impl Matches {
    pub(super) fn read(
        parser: &mut lexopt::Parser,
        groups: &[&'static [Flag]],
        stop: Stop,
    ) -> Result<Self, Refusal> {
        let mut found = Self::default();
        while let Some(arg) = parser.next().map_err(|e| Refusal::shape(e.to_string()))? {
            let (flag, long) = match arg {
                Arg::Value(word) => {
                    found.positional.push(word);
                    match stop {
                        Stop::AtWord => break,
                        Stop::Verbatim => {
                            let rest = parser.raw_args().map_err(|e| Refusal::shape(e.to_string()))?;
                            found.positional.extend(rest);
                            break;
                        }
                        Stop::AtEnd => continue,
                    }
                }
                Arg::Long(name) => (find(groups, name, |f| f.long == name)?, true),
                Arg::Short(c) => (find(groups, &c.to_string(), |f| f.short == Some(c))?, false),
            };
            let value = match flag.value {
                Some(_) => parser
                    .value()
                    .map_err(|_| Refusal::shape(format!("flag needs an argument: --{}", flag.long)))?,
                None if long => switch(flag, parser.optional_value())?,
                None => "true".into(),
            };
            found.given.push((flag.long, value));
        }
        Ok(found)
    }

    fn last(&self, long: &str) -> Option<&OsStr> {
        self.given.iter().rev().find(|(name, _)| *name == long).map(|(_, value)| value.as_os_str())
    }

    /// The switch was given, and not with `=false`.
    pub(super) fn on(&self, long: &str) -> bool {
        self.last(long).is_some_and(|v| v == "true")
    }

    /// Value as a path; an empty one counts as not given, as in runc.
    pub(super) fn path(&self, long: &str) -> Option<PathBuf> {
        self.last(long).filter(|v| !v.is_empty()).map(PathBuf::from)
    }

    /// Value as text; an empty one counts as not given, as in runc.
    pub(super) fn text(&self, long: &str) -> Result<Option<String>, Refusal> {
        let Some(value) = self.last(long).filter(|v| !v.is_empty()) else { return Ok(None) };
        match value.to_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(Refusal::value(format!("--{long}: {:?} is not UTF-8", value.to_string_lossy()))),
        }
    }
}

fn find(
    groups: &[&'static [Flag]],
    shown: &str,
    wanted: impl Fn(&Flag) -> bool,
) -> Result<&'static Flag, Refusal> {
    let unknown = || Refusal::shape(format!("flag provided but not defined: -{}", shown.escape_debug()));
    groups.iter().copied().flatten().find(|f| wanted(f)).ok_or_else(unknown)
}

/// `--detach` and `--detach=false`, with the words Go accepts.
fn switch(flag: &Flag, value: Option<OsString>) -> Result<OsString, Refusal> {
    let Some(value) = value else { return Ok("true".into()) };
    match value.to_str() {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok("true".into()),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok("false".into()),
        _ => Err(Refusal::shape(format!(
            "invalid boolean value {:?} for --{}",
            value.to_string_lossy(),
            flag.long
        ))),
    }
}
