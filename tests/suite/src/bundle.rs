//! Bundles: a config.json that is a JSON value until it is written, and a root file system.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A bundle directory.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The directory.
    pub path: PathBuf,
    /// config.json; [`Bundle::write`] stores it.
    pub config: Value,
}

impl Bundle {
    /// A bundle with busybox in its root and the process `sleep`, written.
    pub fn new(path: &Path, cgroup: &str) -> Self {
        let bundle = Self { path: path.to_owned(), config: config(cgroup) };
        for dir in ["bin", "proc", "dev", "sys", "tmp"] {
            fs::create_dir_all(bundle.rootfs().join(dir)).expect("rootfs");
        }
        fs::copy("/bin/busybox", bundle.rootfs().join("bin/busybox")).expect("busybox-static is installed");
        std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin/sh")).expect("link");
        bundle.write();
        bundle
    }

    /// The image's tree.
    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// Stores config.json.
    pub fn write(&self) {
        fs::write(self.path.join("config.json"), self.config.to_string()).expect("config.json");
    }

    /// Sets the value at a JSON pointer (missing objects are made) and writes.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        let mut place = &mut self.config;
        for name in pointer.split('/').skip(1) {
            place = match name.parse::<usize>() {
                Ok(index) if place.is_array() => &mut place[index],
                _ => &mut place[name],
            };
        }
        *place = value;
        self.write();
        self
    }

    /// The process is busybox with these words.
    #[must_use]
    pub fn busybox(self, words: &[&str]) -> Self {
        let mut args = vec!["/bin/busybox"];
        args.extend(words);
        self.with("/process/args", json!(args))
    }

    /// The process is this script.
    #[must_use]
    pub fn script(self, script: &str) -> Self {
        self.busybox(&["sh", "-c", script])
    }

    /// The process prints `ready`, ends with `code` on any of the usual signals and lives until then.
    #[must_use]
    pub fn stoppable(self, code: i32) -> Self {
        let script = format!(
            "trap 'exit {code}' TERM INT HUP USR1 USR2; echo ready; while :; do sleep 1000 & wait; done"
        );
        self.script(&script)
    }

    /// Adds a namespace entry in place of the one of that kind.
    #[must_use]
    pub fn namespace(mut self, kind: &str, path: Option<&str>) -> Self {
        let list = self.config["linux"]["namespaces"].as_array_mut().expect("namespaces");
        list.retain(|entry| entry["type"] != kind);
        list.push(path.map_or_else(|| json!({"type": kind}), |path| json!({"type": kind, "path": path})));
        self.write();
        self
    }

    /// Leaves a namespace kind out.
    #[must_use]
    pub fn without_namespace(mut self, kind: &str) -> Self {
        let list = self.config["linux"]["namespaces"].as_array_mut().expect("namespaces");
        list.retain(|entry| entry["type"] != kind);
        self.write();
        self
    }

    /// Adds a hook that runs `script` with busybox; `sh` is the shell's path where the hook runs.
    #[must_use]
    pub fn hook(mut self, kind: &str, sh: &str, script: &str) -> Self {
        let hooks = &mut self.config["hooks"][kind];
        if hooks.is_null() {
            *hooks = json!([]);
        }
        let entry =
            json!({"path": sh, "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"], "timeout": 10});
        hooks.as_array_mut().expect("hooks").push(entry);
        self.write();
        self
    }
}

fn config(cgroup: &str) -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/busybox", "sleep", "1000"],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs"},
        "hostname": "guest",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"]}
        ],
        "linux": {
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}
            ],
            "cgroupsPath": cgroup,
            "resources": {"devices": [{"allow": false, "access": "rwm"}]}
        }
    })
}
