//! Costs as ratios inside one run: `bench` compares the life of a container with runc's, `bench budget FILE` checks the
//! size of the binary and the CPU time of `--version` against a static program that does nothing.
//!
//! Rounds alternate, so a change of the machine's load hits both; this process is a subreaper, so the CPU time of init
//! is counted with that of the commands.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use suite::bundle::Bundle;

/// Lives of each runtime; the first of each is not counted.
const ROUNDS: usize = 101;
/// At most this part of runc's wall time.
const LIFE_GOAL: f64 = 0.3;
/// Bytes.
const SIZE_LIMIT: u64 = 2_500_000;
/// `--version` may cost this many times the CPU of a static hello.
const VERSION_LIMIT: f64 = 2.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let good = match words.as_slice() {
        [] => life(),
        ["budget", file] => budget(Path::new(file)),
        _ => {
            eprintln!("usage: bench [budget FILE]");
            std::process::exit(2);
        }
    };
    std::process::exit(i32::from(!good));
}

/// Wall and CPU time of one life.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

/// A runtime and its bundle.
struct Contestant {
    name: &'static str,
    program: PathBuf,
    bundle: PathBuf,
    root: PathBuf,
    costs: Vec<Cost>,
}

impl Contestant {
    fn new(name: &'static str, program: PathBuf, bundle: Bundle, dir: &Path) -> Self {
        // Limits and placement are the same for both; the group must not be the same.
        let group = format!("/bench-{}-{name}", std::process::id());
        let resources = json!({
            "devices": [{"allow": false, "access": "rwm"}],
            "memory": {"limit": 64 << 20},
            "pids": {"limit": 64},
            "cpu": {"shares": 512}
        });
        let bundle = bundle.with("/linux/cgroupsPath", json!(group)).with("/linux/resources", resources);
        Self { name, program, bundle: bundle.path, root: dir.join(format!("root-{name}")), costs: Vec::new() }
    }

    fn step(&self, words: &[&str]) {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root).args(words).arg("bench");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().expect("runtime");
        assert!(status.success(), "{} {words:?}: {status}", self.name);
    }

    /// create, start, wait, delete.
    fn life(&mut self) {
        let pid_file = self.root.with_extension("pid");
        let (cpu, begin) = (children_cpu(), Instant::now());
        let (bundle, file) = (self.bundle.display().to_string(), pid_file.display().to_string());
        self.step(&["create", "--bundle", &bundle, "--pid-file", &file]);
        self.step(&["start"]);
        let pid = std::fs::read_to_string(&pid_file).expect("pid file").trim().parse().expect("pid file");
        let pid = rustix::process::Pid::from_raw(pid);
        rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).expect("an orphan of ours");
        self.step(&["delete"]);
        self.costs.push(Cost { wall: begin.elapsed(), cpu: children_cpu().saturating_sub(cpu) });
    }

    fn milliseconds(&self, of: impl Fn(&Cost) -> Duration) -> [f64; 3] {
        let mut values: Vec<f64> = self.costs.iter().skip(1).map(|c| of(c).as_secs_f64() * 1000.0).collect();
        values.sort_by(f64::total_cmp);
        [1, 5, 9].map(|tenths| values[(values.len() - 1) * tenths / 10])
    }
}

fn life() -> bool {
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1)).expect("subreaper");
    let ours = PathBuf::from(std::env::var("RUNTIME").unwrap_or_else(|_| "dist/urunc".into()));
    let ours = ours.canonicalize().unwrap_or_else(|e| panic!("{}: {e}: run make build", ours.display()));
    // State on a tmpfs, as on a real host.
    let dir = Path::new("/dev/shm").join(format!("bench-{}", std::process::id()));
    let bundle = |name: &str| Bundle::new(&dir.join(name), "/");
    // BENCH_SELF=1 runs the peer's payload on both: what the driver itself finds different.
    let payload =
        if std::env::var("BENCH_SELF").is_ok() { quiet(bundle("ours")) } else { bundle("ours").spt("hello") };
    let mut ours = Contestant::new("ours", ours, payload, &dir);
    let mut runc = Contestant::new("runc", which("runc"), quiet(bundle("peer")), &dir);
    for _ in 0..ROUNDS {
        ours.life();
        runc.life();
    }
    println!("{} lives each, alternating; wall and CPU in ms: p10, median, p90", ROUNDS - 1);
    for contestant in [&ours, &runc] {
        let [low, median, high] = contestant.milliseconds(|c| c.wall);
        let [cpu_low, cpu, cpu_high] = contestant.milliseconds(|c| c.cpu);
        let name = contestant.name;
        println!("{name:>5}: wall {low:.2} {median:.2} {high:.2}  cpu {cpu_low:.2} {cpu:.2} {cpu_high:.2}");
    }
    let ratio = |of: fn(&Cost) -> Duration| ours.milliseconds(of)[1] / runc.milliseconds(of)[1];
    println!(
        "ratio of medians: wall {:.3} (goal: at most {LIFE_GOAL}), cpu {:.3}",
        ratio(|c| c.wall),
        ratio(|c| c.cpu)
    );
    std::fs::remove_dir_all(&dir).expect("own directory");
    true
}

/// The peer's payload is `/bin/true`, static.
fn quiet(bundle: Bundle) -> Bundle {
    std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin/true")).expect("link");
    bundle.with("/process/args", json!(["/bin/true"]))
}

fn budget(file: &Path) -> bool {
    let size = std::fs::metadata(file).unwrap_or_else(|e| panic!("{}: {e}", file.display())).len();
    println!("size: {size} bytes (limit {SIZE_LIMIT})");
    let hello = static_hello();
    // The smallest of many runs is what the program itself needs; alternation makes both see the same machine.
    let (mut ours, mut floor) = (Duration::MAX, Duration::MAX);
    for _ in 0..300 {
        ours = ours.min(cpu_of(Command::new(file).arg("--version")));
        floor = floor.min(cpu_of(&mut Command::new(&hello)));
    }
    std::fs::remove_dir_all(hello.parent().expect("directory")).expect("own directory");
    let ratio = ours.as_secs_f64() / floor.as_secs_f64();
    println!("--version: {ours:?} CPU, static hello: {floor:?}, ratio {ratio:.2} (limit {VERSION_LIMIT})");
    let good = [size <= SIZE_LIMIT, ratio <= VERSION_LIMIT];
    let passed = good.iter().filter(|g| **g).count();
    println!("{passed} passed, {} failed, 0 skipped", good.len() - passed);
    good == [true; 2]
}

/// A static program that prints a line: the least that `--version` could cost.
fn static_hello() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("temporary directory");
    let (source, program) = (dir.join("hello.rs"), dir.join("hello"));
    std::fs::write(&source, "fn main() { println!(\"hello\"); }\n").expect("source");
    let status = Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "--target",
            "x86_64-unknown-linux-musl",
            "-Copt-level=s",
            "-Cpanic=abort",
            "-Cstrip=symbols",
            "-o",
        ])
        .arg(&program)
        .arg(&source)
        .status();
    assert!(status.expect("rustc").success(), "rustc of a static hello");
    program
}

/// CPU time of a program, user and system, to the microsecond.
fn cpu_of(command: &mut Command) -> Duration {
    let before = children_cpu();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("program");
    assert!(status.success());
    children_cpu().saturating_sub(before)
}

/// CPU time of all children that were waited for, getrusage(2).
fn children_cpu() -> Duration {
    suite::usage::children()
}

fn which(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed"))
}
