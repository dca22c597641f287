//! Log lines as runc writes them: one write(2) per line, to `--log` or stderr. Engines show the *last* line at error
//! level as the reason of a failure, so only [`fatal`] writes one; a record at error level from elsewhere becomes a
//! warning.

mod line;
mod open;

use crate::cli::{Global, LogFormat};
use anyhow::Context;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::{fs::File, io::Write, sync::OnceLock, time::SystemTime};
use urunc_plan::launch::Notice;

/// Longest line, bytes, with the newline: PIPE_BUF, so that lines of several processes never mix in a pipe.
const MAX_LINE: usize = 4096;

/// Longest error message, bytes: engines show it whole.
const MAX_ERROR: usize = 400;

struct Sink {
    /// `None`: stderr.
    file: Option<File>,
    format: LogFormat,
}

static SINK: OnceLock<Sink> = OnceLock::new();

/// Opens the log that the command line names. Before this, and when it fails, lines go to stderr as text.
///
/// # Errors
/// The file cannot be opened, or is a link that someone else may have placed.
pub fn init(global: &Global) -> anyhow::Result<()> {
    let file = match &global.log {
        Some(path) => open::append(path).with_context(|| format!("--log {}", path.display()))?,
        None => None,
    };
    // A second call changes nothing: one process has one log.
    let _ = SINK.set(Sink { file, format: global.log_format });
    let _ = log::set_logger(sink());
    log::set_max_level(if global.debug { LevelFilter::Debug } else { LevelFilter::Info });
    Ok(())
}

/// Sets the level of the configuration file; `--debug` is more verbose and stays.
pub fn configure(level: LevelFilter) {
    if log::max_level() < LevelFilter::Debug {
        log::set_max_level(level);
    }
}

/// What a plan has to tell the operator.
pub fn notice(notice: &Notice) {
    let level = if notice.warn { Level::Warn } else { Level::Info };
    log::log!(level, "{}", notice.text);
}

/// The end of a failed command: one line at error level in the log and, if that is a file, one line on stderr.
pub fn fatal(err: &anyhow::Error) {
    let message = shortened(joined(err));
    let sink = sink();
    sink.put("error", &message);
    if sink.file.is_some() {
        // Nothing can be done when stderr is gone.
        let _ = std::io::stderr().write_all(format!("{}\n", line::plain(&message)).as_bytes());
    }
}

/// The chain, joined with `: `; a cause that its context already ends with is not repeated.
fn joined(err: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in err.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.ends_with(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message.trim_end().to_owned()
}

/// At most [`MAX_ERROR`] bytes: the step at its beginning and the cause at its end stay.
fn shortened(message: String) -> String {
    const ELLIPSIS: &str = " ... ";
    let half = (MAX_ERROR - ELLIPSIS.len()) / 2;
    if message.len() <= MAX_ERROR {
        return message;
    }
    let (head, tail) = (message.floor_char_boundary(half), message.ceil_char_boundary(message.len() - half));
    [message.get(..head), Some(ELLIPSIS), message.get(tail..)].into_iter().flatten().collect()
}

fn sink() -> &'static Sink {
    SINK.get_or_init(|| Sink { file: None, format: LogFormat::Text })
}

impl Sink {
    fn put(&self, level: &str, message: &str) {
        let line = match self.format {
            LogFormat::Text => line::text(SystemTime::now(), level, message),
            LogFormat::Json => line::json(SystemTime::now(), level, message),
        };
        // A full disk or a gone reader must not fail the command; neither may a log be waited for.
        let _ = match &self.file {
            Some(file) => (&*file).write(line.as_bytes()),
            None => std::io::stderr().write(line.as_bytes()),
        };
    }
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error | Level::Warn => "warning",
            Level::Info => "info",
            Level::Debug | Level::Trace => "debug",
        };
        self.put(level, &record.args().to_string());
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn causes_are_joined_once() {
        let err =
            anyhow!("permission denied\n").context("mount /dev: permission denied\n").context("create x");
        assert_eq!(joined(&err), "create x: mount /dev: permission denied");
        let err = std::fs::read("/nonexistent").context("read config").unwrap_err();
        assert_eq!(joined(&err), "read config: No such file or directory (os error 2)");
    }

    #[test]
    fn a_long_message_keeps_both_ends() {
        assert_eq!(shortened("x".repeat(400)), "x".repeat(400));
        let long = shortened(format!("bundle {}: too long", "ä".repeat(4000)));
        assert!(long.len() <= 400 && long.len() > 390, "{}", long.len());
        assert!(long.starts_with("bundle ä") && long.ends_with("ä: too long"), "{long}");
    }

    #[test]
    fn only_fatal_writes_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let sink = Sink { file: open::append(&path).unwrap(), format: LogFormat::Json };
        log::set_max_level(LevelFilter::Info);
        for level in [Level::Error, Level::Warn, Level::Info, Level::Debug] {
            sink.log(&Record::builder().level(level).args(format_args!("said")).build());
        }
        sink.put("error", "over");
        let written = std::fs::read_to_string(&path).unwrap();
        let levels: Vec<_> = written.lines().map(|l| l.split('"').nth(3).unwrap()).collect();
        assert_eq!(levels, ["warning", "warning", "info", "error"]);
    }
}
