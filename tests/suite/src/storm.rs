//! Many lives without a pause: none may fail, hang or leave anything. `STORM=N` divides the numbers by N.

use crate::chaos::scaled;
use crate::command::{self, HANG};
use crate::container::Container;
use crate::harness::Case;
use crate::sandbox::{Flavour, Sandbox};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

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
    program: std::path::PathBuf,
    dir: std::path::PathBuf,
    root: std::path::PathBuf,
    settings: std::path::PathBuf,
}

impl Worker {
    pub(crate) fn new(s: &Sandbox, number: usize) -> Self {
        let name = format!("w{number}");
        let bundle = match s.runtime.flavour {
            Flavour::Runc => s.bundle(&name).busybox(&["true"]),
            Flavour::Urunc => s.bundle(&name).spt("hello"),
        };
        let c: Container<'_> = s.container(&name, &bundle);
        let bundle = bundle.path.display().to_string();
        let (program, settings) = (s.runtime.program.clone(), s.settings.clone());
        Self { id: c.id, bundle, program, dir: s.dir.clone(), root: s.root(), settings }
    }

    fn step(&self, words: &[&str]) {
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(&self.root)
            .args(words)
            .arg(&self.id)
            .env("URUNC_CONFIG_FILE", &self.settings);
        let output = self.dir.join(&self.id);
        let mut child = command::spawn(&mut command, &output);
        let code = command::wait(&mut child, HANG, &format!("{words:?} {}", self.id));
        let said = crate::sandbox::text(&output.with_extension("err"));
        assert!(code == 0, "{words:?}: exit {code}: {said}");
    }

    pub(crate) fn life(&self) {
        let pid_file = self.dir.join(format!("{}.pid", self.id));
        self.step(&["create", "--bundle", &self.bundle, "--pid-file", &pid_file.display().to_string()]);
        self.step(&["start"]);
        let pid =
            crate::sandbox::text(&pid_file).trim().parse().ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.expect("pid file");
        // A subreaper inherits the container's process when create has ended.
        let end = std::time::Instant::now() + HANG;
        let options = rustix::process::WaitOptions::NOHANG;
        while rustix::process::waitpid(Some(pid), options).expect("an orphan of ours").is_none() {
            assert!(std::time::Instant::now() < end, "{}: hangs", self.id);
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        self.step(&["delete"]);
    }
}
