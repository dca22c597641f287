//! Running a program with a time limit and all that it said.

use crate::usage;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A command that takes longer hangs. In the test VM, on a busy host, a start of QEMU takes half of it.
pub const HANG: Duration = Duration::from_mins(1);

/// What a finished command did.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command line, for messages.
    pub line: String,
    /// Exit code; 128 + number for a signal.
    pub code: i32,
    /// Standard output, also of processes that outlive the command.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Wall time.
    pub took: Duration,
}

impl Outcome {
    /// The command must have succeeded; returns itself.
    pub fn ok(self) -> Self {
        assert!(self.code == 0, "{}: exit {}: {}{}", self.line, self.code, self.stderr, self.stdout);
        self
    }

    /// The command must have failed in words, with exit code 1; returns its error text.
    pub fn fails(self) -> String {
        assert!(self.code != 0, "{}: succeeded, but must fail", self.line);
        assert!(self.code == 1, "{}: exit {} instead of 1: {}", self.line, self.code, self.stderr);
        assert!(!self.stderr.trim().is_empty(), "{}: failed without a word", self.line);
        self.stderr
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{}: {e}: {}", self.line, self.stdout))
    }
}

/// Starts `command` with its output in `OUTPUT.out` and `OUTPUT.err`: a pipe would stay open as long as the container.
pub fn spawn(command: &mut Command, output: &Path) -> Child {
    let file = |kind: &str| File::create(output.with_extension(kind)).expect("output file");
    command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
    command.spawn().unwrap_or_else(|e| panic!("{}: {e}", describe(command)))
}

/// Opens what an engine forgot to close: every program that is executed while it lives gets it.
pub fn inheritable(path: &str) -> File {
    let file = File::open(path).expect(path);
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).expect("a descriptor");
    file
}

/// Waits for `child`; a hang is killed and is a failure of the test.
pub fn wait(child: &mut Child, limit: Duration, line: &str) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("wait") {
            return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        }
        if Instant::now() > end {
            child.kill().expect("kill");
            child.wait().expect("wait");
            panic!("{line}: no end after {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs `command` to its end.
pub fn run(command: &mut Command, output: &Path) -> Outcome {
    let begin = Instant::now();
    let line = describe(command);
    let spent = usage::children();
    let mut child = spawn(command, output);
    let code = wait(&mut child, HANG, &line);
    usage::record(usage::children().saturating_sub(spent));
    let read = |kind: &str| {
        String::from_utf8_lossy(&fs::read(output.with_extension(kind)).unwrap_or_default()).into_owned()
    };
    Outcome { line, code, stdout: read("out"), stderr: read("err"), took: begin.elapsed() }
}

/// `outer` (a tracer, a wrapper) with the whole of `inner` behind its own words.
pub fn under(mut outer: Command, inner: &Command) -> Command {
    outer.arg(inner.get_program()).args(inner.get_args());
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer
}

fn describe(command: &Command) -> String {
    let words = command.get_args().map(|a| a.to_string_lossy().chars().take(120).collect::<String>());
    words.collect::<Vec<_>>().join(" ")
}

/// Waits until `condition` holds; `what` is said when it never does.
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    within(Duration::from_secs(30), what, condition);
}

/// [`until`] for what an emulated Linux does.
pub fn until_patiently(what: &str, condition: impl FnMut() -> bool) {
    within(Duration::from_mins(2), what, condition);
}

fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < end, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
