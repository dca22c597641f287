//! The workers: some processes at once, each replaced when a case went wrong in it.

use crate::case::{Case, Point};
use crate::report::Report;
use crate::worker::decode;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One worker process.
pub(crate) struct Worker {
    tag: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts number `index` in namespaces of its own.
    pub(crate) fn new(index: usize) -> Self {
        let tag = format!("sweep-{}-{index}", std::process::id());
        let own = std::env::current_exe().expect("own path");
        let mut command = Command::new("unshare");
        command.args([
            "--fork",
            "--kill-child",
            "--pid",
            "--mount",
            "--net",
            "--ipc",
            "--uts",
            "--mount-proc",
        ]);
        command.arg("--").arg(own).args(["--worker", &tag]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { tag, child, input, output }
    }

    /// Asks; `None`: the worker died over it.
    fn ask(&mut self, line: &str) -> Option<Value> {
        writeln!(self.input, "{line}").ok()?;
        let mut reply = String::new();
        self.output.read_line(&mut reply).ok()?;
        serde_json::from_str(&reply).ok()
    }

    /// The calls of an undisturbed command.
    pub(crate) fn points(&mut self, lane: &str, verb: &str) -> Result<Vec<Point>, String> {
        let reply = self.ask(&format!("points {lane} {verb}")).ok_or("the worker died")?;
        decode(&reply).ok_or_else(|| reply["error"].as_str().unwrap_or("no answer").to_owned())
    }
}

impl Drop for Worker {
    /// With the first process of its pid namespace everything in there ends; its groups are the machine's.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for entry in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(entry.path().join(&self.tag));
        }
        let _ = std::fs::remove_dir(format!("/sys/fs/cgroup/{}", self.tag));
    }
}

/// Runs all cases with so many workers at once.
pub(crate) fn run(cases: &[Case], workers: usize, report: &Mutex<Report>) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for index in 0..workers {
            let next = &next;
            scope.spawn(move || {
                let mut worker = Worker::new(index);
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let reply = worker.ask(&case.to_string());
                    let good = report.lock().expect("a report").add(case, reply.as_ref());
                    if !good {
                        worker = replace(worker, index);
                    }
                }
            });
        }
    });
}

fn replace(old: Worker, index: usize) -> Worker {
    drop(old);
    Worker::new(index)
}
