//! What `list` and `ps` print, in runc's forms.

use crate::cli::Format;
use serde_json::Value;
use std::fs;

/// The output of `list`, from what `state` says of each container.
pub fn list(containers: &[Value], format: Format, quiet: bool) -> String {
    let text = |container: &Value, member: &str| match &container[member] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if quiet {
        return containers.iter().flat_map(|c| [text(c, "id"), "\n".into()]).collect();
    }
    match format {
        // Go writes an empty list as null.
        Format::Json if containers.is_empty() => "null\n".into(),
        Format::Json => format!("{}\n", Value::from(containers)),
        Format::Table => {
            let members = ["id", "pid", "status", "bundle", "created", "owner"];
            let header = members.map(str::to_uppercase);
            let rows = containers.iter().map(|c| members.map(|member| text(c, member)));
            columns(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
        }
    }
}

/// The output of `ps`: a JSON list of process ids, or one line per process that still exists.
pub fn processes(pids: &[i32], format: Format) -> String {
    if format == Format::Json {
        return format!("{}\n", Value::from(pids));
    }
    let header = ["UID", "PID", "PPID", "CMD"].map(str::to_owned);
    let rows = pids.iter().filter_map(|pid| process(*pid));
    columns(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
}

/// Effective uid, pid, parent and command line, see proc_pid_status(5); a process without command line shows its name
/// in brackets, as in ps(1).
fn process(pid: i32) -> Option<[String; 4]> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str, nth: usize| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().nth(nth).map(str::to_owned)
    };
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = String::from_utf8_lossy(&cmdline).trim_end_matches('\0').replace('\0', " ");
    let shown = if words.is_empty() { format!("[{}]", field("Name:", 0)?) } else { words };
    let printable = shown.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    Some([field("Uid:", 1)?, pid.to_string(), field("PPid:", 0)?, printable])
}

/// Every column is as wide as its widest cell and three more, at least twelve; the last one is not padded.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count() + 3).max().unwrap_or(0).max(12);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(widths).take(N - 1) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
        }
        text.push_str(&row[N - 1]);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container(id: &str) -> Value {
        json!({
            "ociVersion": "1.0.2", "id": id, "pid": 42, "status": "running", "bundle": "/b", "rootfs": "/b/rootfs",
            "created": "2026-11-21T00:50:26.5Z", "annotations": {"k": "v"}, "owner": "root"
        })
    }

    #[test]
    fn list_is_laid_out_as_runc_does() {
        let empty = list(&[], Format::Table, false);
        assert_eq!(empty, "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
        assert_eq!(
            list(&[container("a-long-container")], Format::Table, false),
            "ID                 PID         STATUS      BUNDLE      CREATED                  OWNER\n\
             a-long-container   42          running     /b          2026-11-21T00:50:26.5Z   root\n"
        );
        let two = [container("a"), container("b")];
        assert_eq!(list(&two, Format::Json, true), "a\nb\n");
        assert_eq!(list(&[], Format::Json, false), "null\n");
        let json = list(&two, Format::Json, false);
        assert_eq!(json.lines().count(), 1);
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!(two));
    }

    #[test]
    fn empty_outputs_are_runcs() {
        let root = tempfile::tempdir().unwrap();
        let runc = |more: &[&str]| {
            let run = std::process::Command::new("runc")
                .arg("--root")
                .arg(root.path())
                .arg("list")
                .args(more)
                .output();
            String::from_utf8(run.unwrap().stdout).unwrap()
        };
        assert_eq!(list(&[], Format::Table, false), runc(&[]));
        assert_eq!(list(&[], Format::Json, false), runc(&["-f", "json"]));
        assert_eq!(list(&[], Format::Table, true), runc(&["-q"]));
    }

    #[test]
    fn processes_that_exist_are_shown() {
        let own = i32::try_from(std::process::id()).unwrap();
        let shown = processes(&[own, i32::MAX], Format::Table);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, "UID         PID         PPID        CMD"));
        let parent = std::os::unix::process::parent_id().to_string();
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(words[..3], ["0", &own.to_string(), &parent]);
        assert!(words[3].contains("urunc"));
        assert_eq!(processes(&[], Format::Json), "[]\n");
        assert_eq!(processes(&[1, 2], Format::Json), "[1,2]\n");
    }
}
