//! Runs cases, each in a process of its own, some at once, and prints what the closing line needs.
#![allow(clippy::print_stdout)]

use crate::differences;
use crate::sandbox::{Flavour, Runtime, Sandbox};
use crate::usage;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Longer than any case may take: a whole storm on a loaded machine.
const LIMIT: Duration = Duration::from_mins(30);

/// Lines of a case that begin so are printed when it passes, too.
pub const REPORT: &str = "report: ";

/// One case: a name that says what must hold, and the code that panics when it does not.
pub struct Case {
    /// Group.
    pub group: &'static str,
    /// Name, unique in its group.
    pub name: String,
    /// The test.
    pub run: Box<dyn Fn(&Sandbox) + Send + Sync>,
}

impl Case {
    /// A case of `group`.
    pub fn new(
        group: &'static str,
        name: impl Into<String>,
        run: impl Fn(&Sandbox) + Send + Sync + 'static,
    ) -> Self {
        Self { group, name: name.into(), run: Box::new(run) }
    }

    fn full_name(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }
}

/// Runs one case in this process and ends it: panics, leaks and known differences decide the exit code.
pub fn run_one(case: &Case) -> i32 {
    let sandbox = Sandbox::new(Runtime::from_env());
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (case.run)(&sandbox)));
    let left = sandbox.finish();
    for line in &left {
        eprintln!("left behind: {line}");
    }
    let success = result.is_ok() && left.is_empty();
    // A case that fails unexpectedly keeps its directory: bundles, logs and output are what one wants to read.
    if success || differences::reason(sandbox.runtime.flavour, &case.full_name()).is_some() {
        sandbox.remove();
        return i32::from(!success);
    }
    eprintln!("kept: {}", sandbox.dir.display());
    1
}

/// Runs `cases` with one process each; returns (passed, failed).
pub fn run_all(cases: &[Case]) -> (usize, usize) {
    let flavour = Runtime::from_env().flavour;
    let jobs = std::env::var("JOBS").ok().and_then(|j| j.parse().ok()).unwrap_or(2);
    let next = AtomicUsize::new(0);
    let groups = Mutex::new(BTreeMap::<&str, (usize, usize, f64)>::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begin = Instant::now();
                    let passed = judge(case, flavour);
                    let mut groups = groups.lock().expect("no panic while locked");
                    let entry = groups.entry(case.group).or_default();
                    entry.0 += usize::from(passed);
                    entry.1 += usize::from(!passed);
                    entry.2 += begin.elapsed().as_secs_f64();
                }
            });
        }
    });
    let groups = groups.into_inner().expect("no panic while locked");
    print_cpu(&cpu_log());
    for (name, (passed, failed, seconds)) in &groups {
        println!(
            "group {name}: run {} passed {passed} failed {failed} skipped 0 seconds {seconds:.1}",
            passed + failed
        );
    }
    groups.values().fold((0, 0), |sum, group| (sum.0 + group.0, sum.1 + group.1))
}

/// Where the commands of all bad inputs note their CPU time.
fn cpu_log() -> PathBuf {
    std::env::temp_dir().join(format!("suite-{}-cpu", std::process::id()))
}

/// What our own processes cost when they refuse: a figure to look at, for a machine without other load.
fn print_cpu(log: &Path) {
    if let Some((p99, count)) = usage::p99(log) {
        println!("p99 CPU {:.1} ms of {count} commands on bad input", p99.as_secs_f64() * 1000.0);
        std::fs::remove_file(log).expect("the log of CPU times");
    }
}

/// Runs one case as a process and prints its line.
fn judge(case: &Case, flavour: Flavour) -> bool {
    let begin = Instant::now();
    let (success, output) = execute(case);
    let reason = differences::reason(flavour, &case.full_name());
    let passed = success == reason.is_none();
    let verdict = match (passed, reason) {
        (true, None) => "ok".to_owned(),
        (true, Some(why)) => format!("ok (differs: {why})"),
        (false, None) => format!("FAILED\n{output}"),
        (false, Some(why)) => format!("FAILED: holds, but is listed as a difference: {why}"),
    };
    for line in output.lines().filter_map(|line| line.strip_prefix(REPORT)).filter(|_| passed) {
        println!("{line}");
    }
    println!("{} ... {verdict} ({:.0} ms)", case.full_name(), begin.elapsed().as_secs_f64() * 1000.0);
    passed
}

/// The case as a child process: a panic, a hang or a lost descriptor of one case cannot reach another.
fn execute(case: &Case) -> (bool, String) {
    let path = std::env::temp_dir().join(format!(
        "suite-{}-{}",
        std::process::id(),
        case.full_name().replace('/', "-")
    ));
    let output = std::fs::File::create(&path).expect("output file");
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    if case.group.starts_with("bad-") && !usage::excepted(&case.name) {
        command.env(usage::LOG, cpu_log());
    }
    let mut child = command
        .args(["--case", &case.full_name()])
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("output file"))
        .stderr(output)
        .spawn()
        .expect("own program");
    let end = Instant::now() + LIMIT;
    let success = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status.success();
        }
        if Instant::now() > end {
            kill_tree(child.id());
            break false;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = crate::sandbox::text(&path);
    std::fs::remove_file(&path).expect("output file");
    (success, text)
}

/// Kills a process and all that descends from it, children first.
fn kill_tree(pid: u32) {
    let children = crate::sandbox::text(&Path::new("/proc").join(format!("{pid}/task/{pid}/children")));
    children.split_whitespace().filter_map(|c| c.parse().ok()).for_each(kill_tree);
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}
