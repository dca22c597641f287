//! Lives in which any process of ours is killed at any moment.

use super::{Random, number, scaled};
use crate::bundle::Bundle;
use crate::command::{self, HANG};
use crate::container::Container;
use crate::harness::Case;
use crate::probe::linux_on_probe;
use crate::sandbox::{Sandbox, text};
use ledger::{Ledger, Scope};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

/// Lives of a whole run.
const LIVES: u64 = 1000;
/// A kill comes at most this long after its command began: a loaded machine's longest command, µs.
const LONGEST: u64 = 40_000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("chaos", "1000-lives-on-spt-with-random-kills", |s| {
            lives(s, &s.bundle("b").spt("idle"), vec![]);
        }),
        Case::new("chaos", "1000-lives-on-qemu-with-random-kills", |s| {
            let network = Network::make(s);
            let bundle = linux_on_probe(s, &["probe=quiet", "probe=qmp"]);
            lives(s, &bundle.namespace("network", Some(&network.path())), vec![s.tag.clone()]);
        }),
    ]
}

/// Whom a kill hits.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    /// The command.
    Runtime,
    /// Init or the monitor it became: the command's child, or the process that `create` left.
    Process,
    /// The command first.
    Both,
}

fn lives(s: &Sandbox, bundle: &Bundle, netns: Vec<String>) {
    let mut random = Random::new();
    let share = number("KILLS").unwrap_or(5);
    let c = s.container("a", bundle);
    // A look at the trees would be seen by the canary.
    let scope = Scope { netns, trees: Vec::new(), ..s.scope() };
    s.run(["list", "-q"]).ok();
    let before = Ledger::take(&scope);
    let mut kills = 0;
    for life in 0..scaled(LIVES) {
        let kill = (random.below(100) < share).then(|| {
            let verb = random.pick(&["create", "start", "kill", "delete"]);
            let victim = random.pick(&[Victim::Runtime, Victim::Process, Victim::Both]);
            // Most commands are short, and their first milliseconds are the interesting ones.
            let longest = random.pick(&[LONGEST / 16, LONGEST / 4, LONGEST]);
            (verb, victim, Duration::from_micros(random.below(longest)))
        });
        let Some(kill) = kill else {
            c.launch();
            c.kill("KILL").ok();
            c.until_stopped();
            c.delete().ok();
            s.reap();
            continue;
        };
        kills += 1;
        killed_life(&c, kill);
        let left = left(s, &scope, &before);
        assert!(left.is_empty(), "life {life}, {kill:?}: {left:#?}");
    }
    eprintln!("{kills} kills");
}

/// One life up to the kill, then what everybody does with a container in an unknown state.
fn killed_life(c: &Container<'_>, (verb, victim, moment): (&'static str, Victim, Duration)) {
    let verbs = ["create", "start", "kill", "delete"];
    for earlier in verbs.into_iter().take_while(|earlier| *earlier != verb) {
        let outcome = match earlier {
            "create" => c.create(),
            "kill" => c.kill("KILL"),
            verb => c.verb(verb),
        };
        outcome.ok();
    }
    if verb == "delete" {
        c.until_stopped();
    }
    interrupt(c, verb, victim, moment);
    for outcome in [c.verb("state"), c.verb("start"), c.kill("KILL"), c.verb("state")] {
        one_line(&outcome);
    }
    c.delete_force().ok();
    c.verb("state").fails();
}

/// Success, or one line on standard error.
pub(crate) fn one_line(outcome: &command::Outcome) {
    let lines = outcome.stderr.lines().count();
    let said = format!("{}: exit {}: {}", outcome.line, outcome.code, outcome.stderr);
    assert!(outcome.code == 0 || (outcome.code == 1 && lines == 1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// Runs `verb` and kills in the midst of it.
fn interrupt(c: &Container<'_>, verb: &str, victim: Victim, moment: Duration) {
    let (bundle, pid_file) = (c.bundle.display().to_string(), c.pid_file());
    let file = pid_file.display().to_string();
    let words = match verb {
        "create" => vec!["create", "--bundle", &bundle, "--pid-file", &file, &c.id],
        "kill" => vec!["kill", &c.id, "KILL"],
        verb => vec![verb, &c.id],
    };
    let (mut command, output) = c.sandbox.command(words);
    let begin = Instant::now();
    let mut child = command::spawn(&mut command, &output);
    while begin.elapsed() < moment {
        std::hint::spin_loop();
    }
    if victim == Victim::Runtime || victim == Victim::Both {
        child.kill().expect("our child");
    }
    if victim == Victim::Process || victim == Victim::Both {
        // The name is needed: create's child might be a hook, and a recycled number somebody else's.
        let ours = if verb == "create" { children(child.id()) } else { BTreeSet::from([c.pid()]) };
        for pid in ours.into_iter().filter(|pid| is_ours(*pid)).filter_map(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    command::wait(&mut child, HANG, verb);
}

fn children(pid: u32) -> BTreeSet<i32> {
    let list = text(format!("/proc/{pid}/task/{pid}/children").as_ref());
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Does the process descend from this case, directly or as an orphan that came to its subreaper?
fn is_ours(pid: i32) -> bool {
    let stat = text(format!("/proc/{pid}/stat").as_ref());
    let parent =
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<i32>().ok());
    parent.is_some_and(|parent| parent == std::process::id().cast_signed() || (parent > 1 && is_ours(parent)))
}

/// A network namespace with a device in it, made before the first life and the same after each.
struct Network(String);

impl Network {
    fn make(s: &Sandbox) -> Self {
        // The ledger looks first: the namespace is gone in the end.
        s.run(["list", "-q"]).ok();
        let (network, peer) = (Self(s.tag.clone()), std::process::id());
        let tag = &network.0;
        ip(&format!("netns add {tag}"));
        ip(&format!("link add eth0 netns {tag} type veth peer name chaos{peer}"));
        ip(&format!("-n {tag} addr add 10.9.8.7/24 dev eth0"));
        ip(&format!("-n {tag} link set eth0 up"));
        network
    }

    fn path(&self) -> String {
        format!("/run/netns/{}", self.0)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        ip(&format!("netns delete {}", self.0));
    }
}

fn ip(words: &str) {
    assert!(Command::new("ip").args(words.split(' ')).status().expect("iproute2").success(), "ip {words}");
}

/// What differs from `before`, once what ends by itself has ended.
fn left(s: &Sandbox, scope: &Scope, before: &Ledger) -> Vec<String> {
    let end = Instant::now() + ledger::SETTLE;
    loop {
        s.reap();
        let left = ledger::diff(before, &Ledger::take(scope));
        if left.is_empty() || Instant::now() > end {
            return left;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
