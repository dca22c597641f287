//! What a command may say when it fails.

use crate::host::Said;
use crate::watch::End;
use serde_json::Value;

/// Longest error line, bytes.
const LINE: usize = 400;

/// A command after the fault succeeds, or fails in one line; what is wrong otherwise.
pub(crate) fn in_words(verb: &str, said: &Said) -> Option<String> {
    let why = match said.end {
        End::Code(0) => None,
        End::Code(1) => error_line(said).err(),
        end => Some(format!("{end:?}")),
    };
    why.map(|why| format!("words: {verb} afterwards: {why}"))
}

/// The one line at error level: it is short, and it says more than an errno.
pub(crate) fn error_line(said: &Said) -> Result<String, String> {
    if !said.stdout.is_empty() {
        return Err(format!("failed, and printed {}", said.stdout.trim()));
    }
    let json = said.log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut errors: Vec<String> = json
        .filter(|line| line["level"] == "error")
        .map(|line| line["msg"].as_str().unwrap_or_default().to_owned())
        .collect();
    if errors.is_empty() {
        // The log could not be opened: then it is standard error's.
        let lines = said.stderr.lines().filter_map(|line| line.split_once("level=error msg="));
        errors = lines.map(|(_, message)| message.trim_matches('"').to_owned()).collect();
    }
    let [error] = &errors[..] else {
        return Err(format!("{} error lines: {}{}", errors.len(), said.log.trim(), said.stderr.trim()));
    };
    let named = error.split_once(" (os error").is_none_or(|(before, _)| before.contains(": "));
    if !named {
        return Err(format!("names nothing: {error}"));
    }
    if error.len() > LINE {
        return Err(format!("{} bytes: {error}", error.len()));
    }
    Ok(error.clone())
}
