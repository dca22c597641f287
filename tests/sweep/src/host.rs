//! A host for one container after the other: the worker is the first process of namespaces of its own, where nothing but
//! the container changes, and nothing is left when the worker ends. Only the control groups are the machine's.

use crate::case::Case;
use crate::kernel::Program;
use crate::lane::{LANES, Lane, Place};
use crate::view;
use crate::watch::{End, Watch};
use ledger::{Ledger, Scope};
use rustix::mount::MountFlags;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Here is everything of the worker: a tmpfs of its own hides the machine's.
const RUN: &str = "/run";
/// Id of every container.
pub(crate) const ID: &str = "c";

/// What a command did.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its end.
    pub(crate) end: End,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
    /// `--log`.
    pub(crate) log: String,
    /// Wall time.
    pub(crate) took: Duration,
}

/// The worker's host.
pub(crate) struct Host {
    dir: PathBuf,
    runtime: String,
    /// Control group of the container, `/sweep-…`.
    pub(crate) cgroup: String,
    network: String,
    bundles: BTreeMap<&'static str, PathBuf>,
    clean: (Ledger, String),
    /// Commands run so far.
    pub(crate) commands: u64,
}

impl Host {
    /// Builds it; `tag` is unique on the machine.
    pub(crate) fn new(tag: &str) -> Self {
        let runtime = path_of("RUNTIME", "dist/urunc");
        let probe = path_of("PROBE", "dist/test/probe");
        rustix::mount::mount("tmpfs", RUN, "tmpfs", MountFlags::empty(), Some(c"mode=755"))
            .expect("a private /run");
        let dir = Path::new(RUN).join("sweep");
        for part in ["root", "bundles"] {
            fs::create_dir_all(dir.join(part)).expect("directory");
        }
        // Where root alone can write: else it is no monitor.
        fs::copy(probe, dir.join("probe")).expect("make probe");
        let settings = format!(
            "[runtime]\ndelegate = \"process\"\nstart_timeout = 5\n[monitors.qemu]\npath = \"{RUN}/sweep/probe\"\n"
        );
        fs::write(dir.join("config.toml"), settings).expect("settings");
        let network = network(tag);
        let cgroup = format!("/{tag}");
        let mut host = Self {
            dir,
            runtime,
            cgroup,
            network,
            bundles: BTreeMap::new(),
            clean: Default::default(),
            commands: 0,
        };
        host.bundles = LANES.iter().map(|lane| (lane.name, host.bundle(lane))).collect();
        host.clean = host.look();
        host
    }

    fn bundle(&self, lane: &Lane) -> PathBuf {
        let dir = self.dir.join("bundles").join(lane.name);
        let place = Place { dir: &dir, cgroup: &self.cgroup, network: &self.network };
        (lane.bundle)(&place).path
    }

    /// The runtime with these words; `watched`: its calls are seen.
    pub(crate) fn run(&mut self, watch: &mut Watch, words: &[&str], watched: bool) -> Said {
        self.commands += 1;
        let log = self.dir.join("log");
        // Files of their own: a container that lives holds those of its `create`.
        for name in ["log", "stdout", "stderr"] {
            let _ = fs::remove_file(self.dir.join(name));
        }
        let root = self.dir.join("root").display().to_string();
        let mut args: Vec<String> = vec![self.runtime.clone(), "--root".into(), root, "--log".into()];
        args.extend([log.display().to_string(), "--log-format".into(), "json".into()]);
        args.extend(words.iter().map(|word| (*word).to_owned()));
        let settings = self.dir.join("config.toml").display().to_string();
        let program = Program::new(&args, &[("PATH", "/usr/bin:/bin"), ("URUNC_CONFIG_FILE", &settings)]);
        let null = File::open("/dev/null").expect("/dev/null");
        let output = |name: &str| File::create(self.dir.join(name)).expect("output");
        let (out, err) = (output("stdout"), output("stderr"));
        let (end, took) = watch.run(&program, [null.as_fd(), out.as_fd(), err.as_fd()], watched);
        let read = |name: &str| {
            String::from_utf8_lossy(&fs::read(self.dir.join(name)).unwrap_or_default()).into_owned()
        };
        Said { end, stdout: read("stdout"), stderr: read("stderr"), log: read("log"), took }
    }

    /// Words of a command on the container of a lane.
    pub(crate) fn words(&self, lane: &str, verb: &str) -> Vec<String> {
        let mut words = vec![verb.to_owned()];
        match verb {
            "create" => {
                let (bundle, file) = (self.bundles[lane].display().to_string(), self.pid_file());
                words.extend(["--bundle".to_owned(), bundle, "--pid-file".to_owned()]);
                words.push(file.display().to_string());
            }
            "remove" => words = vec!["delete".to_owned(), "--force".to_owned()],
            _ => {}
        }
        words.push(ID.to_owned());
        words.extend((verb == "kill").then(|| "KILL".to_owned()));
        words
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.join("pid")
    }

    /// The pid that `create` wrote.
    pub(crate) fn pid(&self) -> i32 {
        fs::read_to_string(self.pid_file()).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Forgets what `create` wrote outside of the state root: the caller's file.
    pub(crate) fn forget_pid(&self) {
        let _ = fs::remove_file(self.pid_file());
    }

    /// What the container's process and its network are.
    pub(crate) fn view(&self, pid: i32) -> BTreeSet<String> {
        let mut lines = view::of(pid, &self.cgroup);
        let scope = Scope { netns: vec![self.network_name()], ..self.scope() };
        lines.extend(
            Ledger::take(&scope).row("link").map(|line| format!("link: {}", view::without_digits(line))),
        );
        lines
    }

    fn network_name(&self) -> String {
        self.cgroup.trim_start_matches('/').to_owned()
    }

    fn scope(&self) -> Scope {
        Scope {
            tags: vec![self.network_name()],
            parent: Some(std::process::id()),
            roots: vec![self.dir.join("root")],
            trees: vec![self.dir.join("bundles")],
            netns: vec![self.network_name()],
            ..Scope::default()
        }
    }

    fn look(&self) -> (Ledger, String) {
        // The mount table whole: nobody else mounts here.
        (Ledger::take(&self.scope()), fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    /// What is left of a container, after as long as the kernel needs.
    pub(crate) fn left(&self, watch: &mut Watch) -> Vec<String> {
        let end = std::time::Instant::now() + ledger::SETTLE;
        loop {
            watch.quiesce();
            while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
            let (ledger, mounts) = self.look();
            let mut left = ledger::diff(&self.clean.0, &ledger);
            let known: BTreeSet<&str> = self.clean.1.lines().collect();
            left.extend(
                mounts.lines().filter(|line| !known.contains(line)).map(|line| format!("+ mount: {line}")),
            );
            if left.is_empty() || std::time::Instant::now() > end {
                return left;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The lane of a case.
pub(crate) fn lane(case: &Case) -> &'static Lane {
    LANES.iter().find(|lane| lane.name == case.lane).unwrap_or_else(|| panic!("{}: no such lane", case.lane))
}

fn path_of(variable: &str, default: &str) -> String {
    let path = PathBuf::from(std::env::var(variable).unwrap_or_else(|_| default.into()));
    let found =
        path.canonicalize().unwrap_or_else(|e| panic!("{}: {e}: run make build probe", path.display()));
    found.display().to_string()
}

fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).status();
    assert!(done.is_ok_and(|status| status.success()), "ip {words}");
}

/// A network namespace as an engine makes it; its path.
fn network(tag: &str) -> String {
    ip(&format!("netns add {tag}"));
    ip(&format!("-n {tag} link add eth0 address 02:42:ac:11:00:02 type veth peer name sweep netns 1"));
    ip(&format!("-n {tag} addr add 172.17.0.2/16 dev eth0"));
    ip(&format!("-n {tag} link set eth0 up"));
    ip(&format!("-n {tag} route add default via 172.17.0.1 dev eth0"));
    // A gateway that may be silent: the tap answers in its place.
    ip(&format!("-n {tag} neigh add 172.17.0.1 lladdr 02:42:ac:11:00:01 dev eth0 nud permanent"));
    format!("{RUN}/netns/{tag}")
}
