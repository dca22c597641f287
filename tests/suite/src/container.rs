//! One container under test and the runtime's commands on it.

use crate::command::{HANG, Outcome, until};
use crate::sandbox::{Flavour, Sandbox, text};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A container, created or not.
#[derive(Debug)]
pub struct Container<'a> {
    /// Where it lives.
    pub sandbox: &'a Sandbox,
    /// Id.
    pub id: String,
    /// Bundle directory.
    pub bundle: PathBuf,
}

impl<'a> Container<'a> {
    /// Names a container; runs nothing.
    pub fn new(sandbox: &'a Sandbox, id: String, bundle: PathBuf) -> Self {
        Self { sandbox, id, bundle }
    }

    /// `create`, with further options.
    pub fn create_with(&self, options: &[&str]) -> Outcome {
        self.on_bundle("create", options)
    }

    /// `create`.
    pub fn create(&self) -> Outcome {
        self.create_with(&[])
    }

    /// `create` or `run`, with further options.
    pub fn on_bundle(&self, verb: &str, options: &[&str]) -> Outcome {
        let bundle = self.bundle.display().to_string();
        let mut words = vec![verb, "--bundle", &bundle, "--pid-file"];
        let file = self.pid_file().display().to_string();
        words.push(&file);
        words.extend(options);
        words.push(&self.id);
        self.sandbox.run(words)
    }

    /// The runtime's `verb` on this container.
    pub fn verb(&self, verb: &str) -> Outcome {
        self.sandbox.run([verb, &self.id])
    }

    /// `start`.
    pub fn start(&self) -> Outcome {
        self.verb("start")
    }

    /// `create` and `start`; both must succeed. Returns the outcome of `create`, whose output is the container's.
    pub fn launch(&self) -> Outcome {
        let created = self.create().ok();
        let runc = self.sandbox.runtime.flavour == Flavour::Runc;
        let environment = || runc.then(|| std::fs::read(format!("/proc/{}/environ", self.pid())).ok());
        let before = environment();
        self.start().ok();
        // runc's `start` may return before its init executes the program. The kernel shows no environment between
        // two programs until the credentials of the second are in force.
        if runc {
            until("runc's init has become the program", || environment() != before);
        }
        created
    }

    /// `kill` with a signal by name or number.
    pub fn kill(&self, signal: &str) -> Outcome {
        self.sandbox.run(["kill", &self.id, signal])
    }

    /// `delete`.
    pub fn delete(&self) -> Outcome {
        self.verb("delete")
    }

    /// `delete --force`.
    pub fn delete_force(&self) -> Outcome {
        self.sandbox.run(["delete", "--force", &self.id])
    }

    /// `state`, parsed.
    pub fn state(&self) -> Value {
        self.verb("state").ok().json()
    }

    /// The status that `state` says.
    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until `state` says `stopped`.
    pub fn until_stopped(&self) {
        until("state says stopped", || self.status() == "stopped");
    }

    /// Where `create` and `run` write the pid.
    pub fn pid_file(&self) -> PathBuf {
        self.sandbox.dir.join(format!("{}.pid", self.id))
    }

    /// The pid of the pid file.
    pub fn pid(&self) -> i32 {
        text(&self.pid_file()).trim().parse().expect("pid file")
    }

    /// Exit code of the container's process (128 + signal), which this process inherited as a subreaper.
    pub fn exit_code(&self) -> i32 {
        let pid = rustix::process::Pid::from_raw(self.pid()).expect("pid");
        // The end of a process that has a tap waits for the kernel's RCU, on a busy machine for seconds.
        let end = Instant::now() + HANG;
        loop {
            match rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG)
                .expect("an orphan of ours")
            {
                Some((_, status)) => {
                    let signal = status.terminating_signal().unwrap_or_default();
                    return status.exit_status().unwrap_or(128 + signal);
                }
                None => assert!(Instant::now() < end, "container process {pid:?} does not end"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The pid of the monitor: the container's process, or its only child where our init stays.
    pub fn monitor(&self) -> i32 {
        let pid = self.pid();
        let proc = |name: &str| text(Path::new(&format!("/proc/{pid}/{name}")));
        let stays = proc("comm").starts_with("urunc:[") && !proc("comm").starts_with("urunc:[init]");
        let children = proc(&format!("task/{pid}/children"));
        children
            .split_whitespace()
            .next()
            .filter(|_| stays)
            .map_or(pid, |child| child.parse().expect("a pid"))
    }

    /// A file below `/proc/PID` of the monitor.
    pub fn proc(&self, name: &str) -> String {
        text(&Path::new("/proc").join(self.monitor().to_string()).join(name))
    }

    /// A field of the monitor's `/proc/PID/status`.
    pub fn status_field(&self, name: &str) -> String {
        let status = self.proc("status");
        let line = status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Identity of one of the monitor's namespaces, `net:[…]`.
    pub fn namespace(&self, kind: &str) -> String {
        namespace(&self.monitor().to_string(), kind)
    }
}

/// Identity of a namespace of a process (`self` or a number).
pub fn namespace(process: &str, kind: &str) -> String {
    let link = std::fs::read_link(format!("/proc/{process}/ns/{kind}"));
    link.map(|l| l.display().to_string()).unwrap_or_default()
}
