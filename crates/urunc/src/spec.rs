//! `urunc spec`: a config.json to start from, for a Solo5 unikernel on the built-in monitor.

use crate::cli::SPEC_VERSION;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::Path,
};
use urunc_plan::KEY_PREFIX;

/// Writes `config.json` into the directory; an existing one stays as it is.
///
/// # Errors
/// `rootless` was asked for, the file exists, or it cannot be written.
pub fn run(dir: &Path, rootless: bool) -> anyhow::Result<()> {
    if rootless {
        bail!("--rootless: containers without root are not supported");
    }
    let path = dir.join("config.json");
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => bail!("File config.json exists. Remove it first"),
        other => other.with_context(|| path.display().to_string())?,
    };
    let text = serde_json::to_string_pretty(&template())? + "\n";
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())
}

fn template() -> Value {
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({"type": kind}));
    let key = |name: &str| format!("{KEY_PREFIX}{name}");
    json!({
        "ociVersion": SPEC_VERSION,
        "root": {"path": "rootfs", "readonly": true},
        "process": {
            "terminal": false,
            "user": {"uid": 65534, "gid": 65534},
            "args": ["hello"],
            "env": [],
            "cwd": "/",
            "noNewPrivileges": true
        },
        "hostname": "urunc",
        "annotations": {
            key("unikernelType"): "solo5",
            key("hypervisor"): "spt",
            key("binary"): "/unikernel"
        },
        "linux": {
            "namespaces": namespaces,
            "resources": {
                "devices": [{"allow": false, "access": "rwm"}],
                "memory": {"limit": 64 << 20},
                "pids": {"limit": 64}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rootfs")).unwrap();
        run(dir.path(), false).unwrap();
        let bundle = crate::bundle::read(dir.path()).and_then(crate::bundle::Config::bundle).unwrap();
        assert_eq!(bundle.request.args, ["hello"]);
        assert_eq!((bundle.request.namespaces.len(), bundle.request.user.uid), (6, 65534));
        assert_eq!(bundle.annotations["com.urunc.unikernel.hypervisor"], "spt");
        let again = run(dir.path(), false).unwrap_err();
        assert_eq!(again.to_string(), "File config.json exists. Remove it first");
        assert!(run(&dir.path().join("missing"), false).is_err());
    }

    #[test]
    fn rootless_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        assert!(run(dir.path(), true).unwrap_err().to_string().starts_with("--rootless"));
        assert!(!dir.path().join("config.json").exists());
    }
}
