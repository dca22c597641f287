//! Many lives without a pause: none may fail, hang or leave anything. `STORM=N` divides the numbers by N.

use crate::bundle::Bundle;
use crate::chaos::scaled;
use crate::command::{self, HANG};
use crate::container::Container;
use crate::harness::Case;
use crate::sandbox::{Flavour, Sandbox};
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// All cases of the group.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("storm", "10000-lives-one-after-the-other", |s| storm(s, 10_000, 1)),
        Case::new("storm", "2000-lives-50-at-once", |s| storm(s, 2000, 50)),
    ]
}

fn storm(s: &Sandbox, lives: u64, workers: usize) {
    let (lives, next) = (scaled(lives), AtomicU64::new(0));
    // The first command takes the ledger, which is not for several threads.
    s.run(["list", "-q"]).ok();
    let runs: Vec<_> = (0..workers).map(|worker| Worker::new(s, worker)).collect();
    std::thread::scope(|scope| {
        for run in &runs {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < lives {
                    run.life();
                }
            });
        }
    });
    let left = s.leftovers();
    assert!(left.is_empty(), "{left:#?}");
}

/// One sequence of lives: a bundle and the command line of each step.
pub(crate) struct Worker {
    id: String,
    bundle: String,
    program: PathBuf,
    dir: PathBuf,
    root: PathBuf,
    settings: PathBuf,
}

impl Worker {
    pub(crate) fn new(s: &Sandbox, number: usize) -> Self {
        let name = format!("w{number}");
        let bundle = match s.runtime.flavour {
            Flavour::Runc => s.bundle(&name).busybox(&["true"]),
            Flavour::Urunc => s.bundle(&name).spt("hello"),
        };
        Self::of(s, &name, &bundle)
    }

    pub(crate) fn of(s: &Sandbox, name: &str, bundle: &Bundle) -> Self {
        let c: Container<'_> = s.container(name, bundle);
        let bundle = bundle.path.display().to_string();
        let (program, settings) = (s.runtime.program.clone(), s.settings.clone());
        Self { id: c.id, bundle, program, dir: s.dir.clone(), root: s.root(), settings }
    }

    /// One command, which must do: `words`, the id, `more`.
    pub(crate) fn step(&self, words: &[&str], more: &[&str]) {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root).args(words).arg(&self.id).args(more);
        command.env("URUNC_CONFIG_FILE", &self.settings);
        let output = self.dir.join(&self.id);
        let mut child = command::spawn(&mut command, &output);
        let code = command::wait(&mut child, HANG, &format!("{words:?} {}", self.id));
        let said = crate::sandbox::text(&output.with_extension("err"));
        assert!(code == 0, "{words:?}: exit {code}: {said}");
    }

    pub(crate) fn create_and_start(&self) {
        let pid_file = self.pid_file().display().to_string();
        self.step(&["create", "--bundle", &self.bundle, "--pid-file", &pid_file], &[]);
        self.step(&["start"], &[]);
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.join(format!("{}.pid", self.id))
    }

    /// The container's process.
    pub(crate) fn pid(&self) -> Pid {
        let pid = crate::sandbox::text(&self.pid_file()).trim().parse().ok().and_then(Pid::from_raw);
        pid.expect("pid file")
    }

    /// Waits for the end of the process: a subreaper inherits it when create has ended.
    pub(crate) fn reap(&self) -> WaitStatus {
        let (pid, end) = (self.pid(), Instant::now() + HANG);
        loop {
            if let Some((_, status)) = waitpid(Some(pid), WaitOptions::NOHANG).expect("an orphan of ours") {
                return status;
            }
            assert!(Instant::now() < end, "{}: hangs", self.id);
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    pub(crate) fn life(&self) {
        self.create_and_start();
        self.reap();
        self.step(&["delete"], &[]);
    }
}
