//! The place of one case: temporary directory, state root, tag, cleanup, and the ledger before and after.

use crate::bundle::Bundle;
use crate::command::{self, Outcome};
use crate::container::Container;
use ledger::canary::Canary;
use ledger::{Ledger, Scope};
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which runtime is under test: what is known to differ depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// runc, to prove the suite itself.
    Runc,
    /// Our own.
    Urunc,
}

/// The runtime under test.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Program.
    pub program: PathBuf,
    /// Kind.
    pub flavour: Flavour,
}

impl Runtime {
    /// `RUNTIME` (default `dist/urunc`) and `FLAVOUR` (`runc` or `urunc`; default: by the program's name).
    pub fn from_env() -> Self {
        let program = PathBuf::from(std::env::var("RUNTIME").unwrap_or_else(|_| "dist/urunc".into()));
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let flavour = match std::env::var("FLAVOUR").unwrap_or(name).as_str() {
            "runc" => Flavour::Runc,
            _ => Flavour::Urunc,
        };
        Self { program: program.canonicalize().unwrap_or(program), flavour }
    }
}

/// The place of one case.
#[derive(Debug)]
pub struct Sandbox {
    /// The runtime under test.
    pub runtime: Runtime,
    /// Unique word in every name that the case makes.
    pub tag: String,
    /// Temporary directory of the case.
    pub dir: PathBuf,
    /// Trees that must stay as they are from the first command on.
    pub trees: RefCell<Vec<PathBuf>>,
    /// The operator's configuration file, `URUNC_CONFIG_FILE`.
    pub settings: PathBuf,
    canary: RefCell<Canary>,
    before: RefCell<Option<Ledger>>,
    commands: Cell<u32>,
    bounded: Cell<bool>,
}

impl Sandbox {
    /// A fresh place, in `TMPDIR`; `SUITE_TAG` is for callers in whose pid namespace numbers repeat.
    pub fn new(runtime: Runtime) -> Self {
        // A failed case keeps its directory, and process ids come again.
        let word = std::env::var("SUITE_TAG").unwrap_or_else(|_| format!("suite-{}", std::process::id()));
        let tags = (0..).map(|n| format!("{word}-{n}"));
        let mut free = tags.map(|tag| (std::env::temp_dir().join(&tag), tag));
        let (dir, tag) = free.find(|(dir, _)| !dir.exists()).expect("temporary directory");
        std::fs::create_dir(&dir).expect("temporary directory");
        let settings = dir.join("config.toml");
        std::fs::write(&settings, "[runtime]\ndelegate = \"process\"\n").expect("settings");
        let canary = RefCell::new(Canary::plant(&dir.join("canary")).expect("canary"));
        rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1)).expect("subreaper");
        let (trees, before, commands, bounded) = Default::default();
        Self { runtime, tag, dir, trees, settings, canary, before, commands, bounded }
    }

    /// The state root.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Mounts a tmpfs with these options over the state root, until the case is over.
    pub fn bound_root(&self, options: &str) {
        std::fs::create_dir(self.root()).expect("root");
        let (root, options) = (self.root(), format!("mode=700,{options}"));
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(root).status();
        assert!(status.expect("mount").success());
        self.bounded.set(true);
    }

    /// A container id of this case.
    pub fn id(&self, name: &str) -> String {
        format!("{}-{name}", self.tag)
    }

    /// A bundle directory of this case.
    pub fn bundle(&self, name: &str) -> Bundle {
        Bundle::new(&self.dir.join("bundles").join(name), &format!("/{}", self.id(name)))
    }

    /// A container of `bundle`, not yet created.
    pub fn container<'a>(&'a self, name: &str, bundle: &Bundle) -> Container<'a> {
        Container::new(self, self.id(name), bundle.path.clone())
    }

    /// A container of a bundle that is there.
    pub fn container_at<'a>(&'a self, name: &str, bundle: &Path) -> Container<'a> {
        Container::new(self, self.id(name), bundle.to_owned())
    }

    /// What is this case's.
    pub fn scope(&self) -> Scope {
        let mut trees = self.trees.borrow().clone();
        trees.push(self.canary.borrow().path().to_owned());
        Scope {
            tags: vec![self.tag.clone()],
            parent: Some(std::process::id()),
            roots: vec![self.root()],
            trees,
            ..Scope::default()
        }
    }

    /// The runtime with its global options, and a fresh place for its output.
    pub fn command<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(&self, args: I) -> (Command, PathBuf) {
        if self.before.borrow().is_none() {
            *self.before.borrow_mut() = Some(Ledger::take(&self.scope()));
            self.canary.borrow_mut().watch().expect("inotify");
        }
        let number = self.commands.get();
        self.commands.set(number + 1);
        let output = self.dir.join(format!("command-{number}"));
        let mut command = Command::new(&self.runtime.program);
        command.arg("--root").arg(self.root()).arg("--log").arg(output.with_extension("log"));
        command.args(["--log-format", "json"]).args(args).current_dir(&self.dir);
        command.env("URUNC_CONFIG_FILE", &self.settings).env_remove("NOTIFY_SOCKET");
        (command, output)
    }

    /// Runs the runtime to its end.
    pub fn run<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(&self, args: I) -> Outcome {
        let (mut command, output) = self.command(args);
        command::run(&mut command, &output)
    }

    /// Where the last command's output is: `.out`, `.err`, `.log`. Of a `create`, it is the container's as well.
    pub fn last_output(&self) -> PathBuf {
        self.dir.join(format!("command-{}", self.commands.get().saturating_sub(1)))
    }

    /// Lines of the last command's `--log`.
    pub fn log(&self) -> Vec<String> {
        text(&self.last_output().with_extension("log")).lines().map(str::to_owned).collect()
    }

    /// Reaps every dead orphan that came to this process. Only while no other thread waits for children.
    pub fn reap(&self) {
        while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
    }

    /// Removes the containers that the case left, and says what is then still there.
    pub fn finish(&self) -> Vec<String> {
        for entry in std::fs::read_dir(self.root()).into_iter().flatten().flatten() {
            self.run(["delete", "--force", &entry.file_name().to_string_lossy()]);
        }
        let left = self.leftovers();
        // What a bad runtime leaves must not burden the machine.
        for group in left.iter().rev().filter_map(|line| line.strip_prefix("+ cgroup: ")) {
            let _ = std::fs::remove_dir(group);
        }
        left
    }

    /// What differs from the host before the first command; waits for what ends by itself.
    pub fn leftovers(&self) -> Vec<String> {
        let Some(before) = self.before.borrow().clone() else { return Vec::new() };
        let mut lines = self.canary.borrow_mut().events();
        lines.extend(self.difference(&before));
        // A case may go on.
        self.canary.borrow_mut().watch().expect("inotify");
        lines
    }

    fn difference(&self, before: &Ledger) -> Vec<String> {
        let end = std::time::Instant::now() + ledger::SETTLE;
        loop {
            self.reap();
            let left = ledger::diff(before, &Ledger::take(&self.scope()));
            if left.is_empty() || std::time::Instant::now() > end {
                return left;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Removes the temporary directory.
    pub fn remove(self) {
        if self.bounded.get() {
            let status = Command::new("umount").arg(self.root()).status();
            assert!(status.expect("umount").success());
        }
        std::fs::remove_dir_all(&self.dir).expect("temporary directory");
    }
}

/// A state file without its checksum: so it may be edited.
pub fn unsealed(state: &str) -> String {
    state.split_once(",\"seal\":").map_or_else(|| state.to_owned(), |(fields, _)| format!("{fields}}}"))
}

/// Text of a file, empty when there is none.
pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
