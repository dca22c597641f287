//! What `state`, `list` and `ps` print, from plain data, in runc's forms.

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One container as `state` prints it and `list` lists it; field names and order are runc's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerState {
    /// `ociVersion` of its config.json.
    pub oci_version: String,
    /// Container id.
    pub id: String,
    /// Process id in the caller's namespace; 0 when stopped.
    pub pid: i32,
    /// `creating`, `created`, `running`, `stopped` (or `paused`).
    pub status: String,
    /// Absolute path.
    pub bundle: String,
    /// Absolute path.
    pub rootfs: String,
    /// [`crate::time::nanoseconds`].
    pub created: String,
    /// Of config.json, and our own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Name of the user who created it.
    pub owner: String,
}

/// The output of `state`.
///
/// # Errors
/// None that can happen: plain data always becomes JSON.
pub fn state(container: &ContainerState) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(container)? + "\n")
}

/// `list --format json`: one line; `null` without containers, as Go writes an empty list.
///
/// # Errors
/// As [`state`].
pub fn list_json(containers: &[ContainerState]) -> anyhow::Result<String> {
    let json = if containers.is_empty() { "null".into() } else { serde_json::to_string(containers)? };
    Ok(json + "\n")
}

/// `list`.
pub fn list(containers: &[ContainerState]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows = containers.iter().map(|c| {
        let pid = c.pid.to_string();
        [c.id.clone(), pid, c.status.clone(), c.bundle.clone(), c.created.clone(), c.owner.clone()]
    });
    columns(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
}

/// `list --quiet`: one id per line.
pub fn list_quiet(containers: &[ContainerState]) -> String {
    containers.iter().flat_map(|c| [c.id.as_str(), "\n"]).collect()
}

/// Every column is as wide as its widest cell and three more, at least twelve; the last one is not padded.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count() + 3).max().unwrap_or(0).max(12);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths).take(N - 1) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
        }
        text.push_str(&row[N - 1]);
        text.push('\n');
    }
    text
}

/// `ps --format json`: process ids.
pub fn ps_json(pids: &[i32]) -> String {
    let list: Vec<String> = pids.iter().map(ToString::to_string).collect();
    format!("[{}]\n", list.join(","))
}

/// `ps`: of what ps(1) printed, the header and the lines of these processes.
///
/// # Errors
/// The output has no PID column, or a line has no number in it.
pub fn ps(output: &str, pids: &[i32]) -> anyhow::Result<String> {
    let mut lines = output.lines();
    let header = lines.next().unwrap_or_default();
    let column = header.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(|| anyhow!("couldn't find PID field in ps output"))?;
    let mut text = format!("{header}\n");
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let field = line.split_whitespace().nth(column).unwrap_or_default();
        let pid: i32 =
            field.parse().with_context(|| format!("unable to parse pid {field:?} in ps output"))?;
        if pids.contains(&pid) {
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, annotations: &[(&str, &str)]) -> ContainerState {
        ContainerState {
            oci_version: "1.0.2".into(),
            id: id.into(),
            pid: 42,
            status: "running".into(),
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "2026-11-21T00:50:26.5Z".into(),
            annotations: annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            owner: "root".into(),
        }
    }

    #[test]
    fn table_is_laid_out_as_runc_does() {
        assert_eq!(list(&[]), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
        assert_eq!(
            list(&[container("a-long-container", &[])]),
            "ID                 PID         STATUS      BUNDLE      CREATED                  OWNER\n\
             a-long-container   42          running     /b          2026-11-21T00:50:26.5Z   root\n"
        );
        assert_eq!(list_quiet(&[container("a", &[]), container("b", &[])]), "a\nb\n");
    }

    #[test]
    fn json_has_runcs_members_in_order() {
        assert_eq!(list_json(&[]).unwrap(), "null\n");
        assert_eq!(
            list_json(&[container("x", &[("k", "v")])]).unwrap(),
            "[{\"ociVersion\":\"1.0.2\",\"id\":\"x\",\"pid\":42,\"status\":\"running\",\"bundle\":\"/b\",\
             \"rootfs\":\"/b/rootfs\",\"created\":\"2026-11-21T00:50:26.5Z\",\"annotations\":{\"k\":\"v\"},\
             \"owner\":\"root\"}]\n"
        );
        let state = state(&container("x", &[])).unwrap();
        assert!(state.starts_with("{\n  \"ociVersion\": \"1.0.2\",\n") && !state.contains("annotations"));
        assert!(state.ends_with("\n}\n"));
    }

    #[test]
    fn ps_keeps_the_lines_of_the_container() {
        let output =
            "UID   PID  PPID CMD\nroot    1     0 init 42\nroot   42     1 urunc\nroot  420     1 x\n";
        assert_eq!(ps(output, &[42]).unwrap(), "UID   PID  PPID CMD\nroot   42     1 urunc\n");
        assert!(ps("UID CMD\nroot x\n", &[1]).unwrap_err().to_string().contains("PID field"));
        assert!(ps("PID CMD\nx y\n", &[1]).is_err());
        assert_eq!((ps_json(&[]), ps_json(&[1, 2])), ("[]\n".into(), "[1,2]\n".into()));
    }
}
