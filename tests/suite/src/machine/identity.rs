//! What takes CAP_SYS_RESOURCE.

use super::Entry;
use crate::command;
use serde_json::json;
use std::process::Command;

pub(super) const CASES: &[Entry] = &[
    ("oom-score-adj-below-0-is-set", |s| {
        let c = s.container("a", &s.bundle("b").with("/process/oomScoreAdj", json!(-500)));
        c.launch();
        assert_eq!(c.proc("oom_score_adj"), "-500\n");
    }),
    ("rlimits-are-raised-above-the-callers", |s| {
        let limits = json!([
            {"type": "RLIMIT_NOFILE", "soft": 5000, "hard": 6000},
            {"type": "RLIMIT_MEMLOCK", "soft": u64::MAX, "hard": u64::MAX}
        ]);
        let c = s.container("a", &s.bundle("b").with("/process/rlimits", limits));
        let bundle = c.bundle.display().to_string();
        let pid_file = c.pid_file().display().to_string();
        let (runtime, output) = s.command(["create", "--bundle", &bundle, "--pid-file", &pid_file, &c.id]);
        let mut low = Command::new("prlimit");
        low.args(["--nofile=256:256", "--memlock=65536:65536"]);
        assert_eq!(command::run(&mut command::under(low, &runtime), &output).code, 0);
        c.start().ok();
        let table = c.proc("limits");
        let limit = |name: &str| {
            let line = table.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(limit("Max open files"), "5000 6000");
        assert_eq!(limit("Max locked memory"), "unlimited unlimited");
    }),
];
