//! Eight clients with random commands on three containers: every answer must be possible in some order.

use super::model::{self, Command};
use super::{Random, scaled};
use crate::command::{self, HANG};
use crate::harness::Case;
use crate::sandbox::{Sandbox, text};
use std::path::PathBuf;
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const CLIENTS: u64 = 8;
const IDS: usize = 3;
/// Commands of each client.
const COMMANDS: u64 = 2000;

/// What a failed command may say, and its name in the model. Anything else of `create` and `start` is `interrupted`.
const ANSWERS: [(&str, &str); 9] = [
    ("does not exist", "absent"),
    ("exists already", "exists"),
    ("already running container", "running"),
    ("that has stopped", "stopped"),
    ("that is being created", "creating"),
    ("that is not stopped", "not stopped"),
    ("container not running", "not running"),
    ("ended", "interrupted"),
    ("being deleted", "interrupted"),
];

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("chaos", "8-clients-on-3-containers", run)]
}

fn run(s: &Sandbox) {
    let mut random = Random::new();
    // The first command takes the ledger, which is not for several threads.
    s.run(["list", "-q"]).ok();
    let bundles: Vec<_> = (0..IDS).map(|n| s.bundle(&format!("c{n}")).spt("idle").path).collect();
    let shop = Shop {
        program: s.runtime.program.clone(),
        dir: s.dir.clone(),
        root: s.root(),
        settings: s.settings.clone(),
        ids: (0..IDS).map(|n| s.id(&format!("c{n}"))).zip(bundles).collect(),
        clock: AtomicUsize::new(0),
        histories: Mutex::new(vec![Vec::new(); IDS]),
    };
    let seeds: Vec<Random> = (0..CLIENTS).map(|_| Random(random.below(u64::MAX))).collect();
    std::thread::scope(|scope| {
        for mut random in seeds {
            let shop = &shop;
            scope.spawn(move || {
                for _ in 0..scaled(COMMANDS) {
                    shop.command(&mut random);
                }
            });
        }
    });
    for (number, mut history) in shop.histories.into_inner().expect("no panic").into_iter().enumerate() {
        history.sort_by_key(|command| command.begin);
        let successes = history.iter().filter(|c| c.verb == "start" && c.said == "ok").count();
        eprintln!("container {number}: {} commands, {successes} starts", history.len());
        if let Some((index, worlds)) = model::unexplained(&history) {
            let bad = &history[index];
            let near = history.iter().filter(|c| c.end + 60 > bad.begin && c.begin < bad.end);
            let near: Vec<_> = near.map(|c| format!("{c:?}")).collect();
            panic!("container {number}: {bad:?} is possible in none of {worlds}:\n{}", near.join("\n"));
        }
    }
    for (id, _) in &shop.ids {
        s.run(["delete", "--force", id]).ok();
    }
    let left = s.leftovers();
    assert!(left.is_empty(), "{left:#?}");
}

/// What the clients share.
struct Shop {
    program: PathBuf,
    dir: PathBuf,
    root: PathBuf,
    settings: PathBuf,
    /// Containers and their bundles.
    ids: Vec<(String, PathBuf)>,
    clock: AtomicUsize,
    histories: Mutex<Vec<Vec<Command>>>,
}

impl Shop {
    /// A random command on a random container.
    fn command(&self, random: &mut Random) {
        let at = usize::try_from(random.below(IDS as u64)).expect("an index");
        let verb =
            random.pick(&["create", "create", "start", "start", "kill", "delete", "force", "state", "state"]);
        let (id, bundle) = &self.ids[at];
        let bundle = bundle.display().to_string();
        let words = match verb {
            "create" => vec!["create", "--bundle", &bundle, id],
            "kill" => vec!["kill", id, "KILL"],
            "force" => vec!["delete", "--force", id],
            verb => vec![verb, id],
        };
        let mut command = process::Command::new(&self.program);
        command.arg("--root").arg(&self.root).args(&words).env("URUNC_CONFIG_FILE", &self.settings);
        let begin = self.clock.fetch_add(1, Ordering::SeqCst);
        // A file of its own: the container goes on writing to that of its `create`.
        let output = self.dir.join(format!("command-{begin}"));
        let mut child = command::spawn(&mut command, &output);
        let code = command::wait(&mut child, HANG, &format!("{words:?}"));
        let end = self.clock.fetch_add(1, Ordering::SeqCst);
        let said =
            answer(verb, code, &text(&output.with_extension("out")), &text(&output.with_extension("err")));
        self.histories.lock().expect("no panic")[at].push(Command { verb, said, begin, end });
    }
}

/// The model's name of what a command said.
fn answer(verb: &'static str, code: i32, out: &str, err: &str) -> &'static str {
    if code == 0 && verb == "state" {
        let status = serde_json::from_str::<serde_json::Value>(out).expect("JSON")["status"].to_string();
        return ["creating", "created", "running", "stopped"]
            .into_iter()
            .find(|name| status.contains(name))
            .expect("a status of the OCI specification");
    }
    if code == 0 {
        return "ok";
    }
    let lines: Vec<_> = err.lines().filter(|line| line.contains("level=error")).collect();
    assert!(code == 1 && lines.len() == 1, "{verb}: exit {code}: {err}");
    ANSWERS
        .into_iter()
        .find(|(words, _)| lines[0].contains(words))
        .unwrap_or_else(|| panic!("{verb}: not an answer to expect: {err}"))
        .1
}
