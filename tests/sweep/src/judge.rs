//! One case from an empty host to an empty host, and what was wrong on the way.

use crate::case::{Case, Point, Shot};
use crate::host::{Host, Said, lane};
use crate::tolerance::Tolerance;
use crate::watch::{Aim, End, Watch};
use crate::words::{error_line, in_words};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What is known of an undisturbed command.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    /// Its calls.
    pub(crate) points: Vec<Point>,
    /// What the container is afterwards.
    view: BTreeSet<String>,
}

/// What became of a case.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// The call that was hit.
    pub(crate) hit: Option<String>,
    /// It was before the runtime's `main`.
    early: bool,
    /// What was wrong, each with its kind first: `hang`, `panic`, `silent`, `words`, `left`, `state`, `again`.
    pub(crate) wrong: Vec<String>,
    /// Error line of the command under test.
    pub(crate) error: Option<String>,
    /// Its time until then.
    pub(crate) error_time: Option<Duration>,
    /// Time of the one `delete --force` after a SIGKILL.
    pub(crate) delete_time: Option<Duration>,
}

/// The judge of one host.
pub(crate) struct Judge {
    host: Host,
    tolerance: Tolerance,
    baselines: BTreeMap<(String, String), Baseline>,
}

impl Judge {
    /// For a host that is empty.
    pub(crate) fn new(host: Host) -> Self {
        Self { host, tolerance: Tolerance::new(), baselines: BTreeMap::new() }
    }

    /// Commands run so far.
    pub(crate) fn commands(&self) -> u64 {
        self.host.commands
    }

    /// The undisturbed run of a lane's command.
    ///
    /// # Errors
    /// What was wrong with it: then there is nothing to sweep.
    pub(crate) fn baseline(&mut self, case: &Case) -> Result<&Baseline, String> {
        let key = (case.lane.clone(), case.verb.clone());
        if !self.baselines.contains_key(&key) {
            let watch = &mut Watch::new(lane(case).last);
            self.prepare(watch, case)?;
            watch.begin(None);
            let said = self.command(watch, case, &case.verb);
            watch.quiesce();
            watch.end();
            if said.end != End::Code(0) {
                return Err(format!("{case}: undisturbed, and {:?}: {}", said.end, said.log));
            }
            let view = if deletes(&case.verb) { BTreeSet::new() } else { self.host.view(self.host.pid()) };
            let points = watch.points.clone();
            self.remove(watch, case, &mut Verdict::default());
            self.baselines.insert(key.clone(), Baseline { points, view });
        }
        Ok(&self.baselines[&key])
    }

    /// A command on the container, watched, to its end.
    fn command(&mut self, watch: &mut Watch, case: &Case, verb: &str) -> Said {
        self.run(watch, case, verb, true)
    }

    fn run(&mut self, watch: &mut Watch, case: &Case, verb: &str, watched: bool) -> Said {
        let words = self.host.words(&case.lane, verb);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.host.run(watch, &words, watched)
    }

    /// Brings the container to where the command can be run.
    fn prepare(&mut self, watch: &mut Watch, case: &Case) -> Result<(), String> {
        let steps: &[&str] = match case.verb.as_str() {
            "create" => &[],
            "start" => &["create"],
            "kill" | "remove" => &["create", "start"],
            _ => &["create", "start", "kill"],
        };
        for step in steps {
            let said = self.run(watch, case, step, *step == "create");
            watch.quiesce();
            if said.end != End::Code(0) {
                return Err(format!("{case}: {step} before it: {:?} {} {}", said.end, said.log, said.stderr));
            }
        }
        if case.verb == "delete" { self.until_dead(watch) } else { Ok(()) }
    }

    fn until_dead(&self, watch: &mut Watch) -> Result<(), String> {
        let pid = self.host.pid();
        let end = Instant::now() + Duration::from_secs(10);
        while !ended(pid) {
            watch.quiesce();
            if Instant::now() > end {
                return Err(format!("process {pid} does not end"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Runs one case. After a wrong one the host may hold anything.
    pub(crate) fn judge(&mut self, case: &Case) -> Verdict {
        let mut verdict = Verdict::default();
        if let Err(error) = self.baseline(case) {
            verdict.wrong.push(format!("again: {error}"));
            return verdict;
        }
        let watch = &mut Watch::new(lane(case).last);
        if let Err(error) = self.prepare(watch, case) {
            verdict.wrong.push(format!("again: {error}"));
            return verdict;
        }
        watch.begin(Some(Aim { role: case.role.clone(), n: case.n, shot: case.shot }));
        let said = self.command(watch, case, &case.verb);
        watch.quiesce();
        watch.end();
        verdict.hit.clone_from(&watch.hit);
        let point = watch.points.iter().find(|point| point.role == case.role && point.n == case.n);
        verdict.early = point.is_some_and(|point| !point.begun);
        if verdict.hit.is_some() {
            self.outcome(watch, case, &said, &mut verdict);
        }
        self.remove(watch, case, &mut verdict);
        self.again(watch, case, &mut verdict);
        verdict
    }

    /// Judges how the command under test ended.
    fn outcome(&mut self, watch: &mut Watch, case: &Case, said: &Said, verdict: &mut Verdict) {
        let killed = matches!(case.shot, Shot::Kill(_));
        if !verdict.early && said.stderr.contains("panicked") {
            verdict.wrong.push(format!("panic: {}", said.stderr.trim()));
        }
        match said.end {
            End::Hang => verdict.wrong.push(format!("hang: {}", said.log.trim())),
            End::Code(0) => self.success(watch, case, verdict),
            End::Code(1) => self.failure(watch, case, said, verdict),
            End::Signal(libc::SIGKILL) if killed => {}
            // Before `main` the C library and std end a program that they cannot set up.
            End::Signal(_) | End::Code(_) if verdict.early => {}
            end => verdict.wrong.push(format!("end: {end:?} {}", said.stderr.trim())),
        }
    }

    /// It says that it succeeded: is that allowed, and is it true?
    fn success(&mut self, watch: &mut Watch, case: &Case, verdict: &mut Verdict) {
        let (hit, shot) = (verdict.hit.clone().unwrap_or_default(), case.shot.to_string());
        let fault = [case.verb.as_str(), case.role.as_str(), hit.as_str(), shot.as_str()];
        if !verdict.early && !matches!(case.shot, Shot::Kill(_)) && !self.tolerance.succeeds(fault) {
            verdict.wrong.push(format!("silent: {hit} {shot} is not among what may be survived"));
        }
        let stopped = self.tolerance.stops(fault) || matches!(case.shot, Shot::Kill(_));
        match case.verb.as_str() {
            "delete" | "remove" => {
                let left = self.host.left(watch);
                verdict
                    .wrong
                    .extend(left.iter().map(|line| format!("left: after a delete that succeeded {line}")));
            }
            "kill" => {
                if let Err(error) = self.until_dead(watch) {
                    verdict.wrong.push(format!("silent: {error}"));
                }
            }
            verb => {
                let status = self.status(watch, case, verdict);
                let wanted = if verb == "create" { "created" } else { "running" };
                if status == wanted {
                    self.compare(watch, case, fault, verdict);
                } else if !(stopped && status == "stopped") {
                    verdict.wrong.push(format!("state: {status} after a {verb} that succeeded"));
                }
            }
        }
    }

    /// Is the container what it is without a fault?
    fn compare(&mut self, watch: &mut Watch, case: &Case, fault: [&str; 4], verdict: &mut Verdict) {
        let wanted = &self.baselines[&(case.lane.clone(), case.verb.clone())].view;
        let end = Instant::now() + ledger::SETTLE;
        loop {
            watch.quiesce();
            let found = self.host.view(self.host.pid());
            let differences = self.tolerance.differences(fault, wanted, &found);
            let over = Instant::now() > end || differences.is_empty();
            if over {
                verdict
                    .wrong
                    .extend(differences.iter().map(|line| format!("silent: not the same container: {line}")));
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// It failed: in one line, and after a `create` nothing is left, after a `start` no guest runs.
    fn failure(&mut self, watch: &mut Watch, case: &Case, said: &Said, verdict: &mut Verdict) {
        match error_line(said) {
            Ok(line) => verdict.error = Some(line),
            Err(why) => verdict.wrong.push(format!("words: {why}")),
        }
        verdict.error_time = Some(said.took);
        match case.verb.as_str() {
            "create" => {
                self.host.forget_pid();
                let left = self.host.left(watch);
                verdict
                    .wrong
                    .extend(left.iter().map(|line| format!("left: after a create that failed {line}")));
            }
            "start" => {
                let status = self.status(watch, case, verdict);
                if !["created", "stopped"].contains(&status.as_str()) {
                    verdict.wrong.push(format!("state: {status} after a start that failed"));
                }
            }
            _ => {}
        }
    }

    /// The container's status as `state` says it.
    fn status(&mut self, watch: &mut Watch, case: &Case, verdict: &mut Verdict) -> String {
        let said = self.run(watch, case, "state", false);
        if said.end != End::Code(0) {
            verdict.wrong.push(format!("state: {:?} {}", said.end, said.log.trim()));
        }
        let state: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
        state["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Every second case tries the ordinary way first; then one `delete --force` must leave nothing.
    fn remove(&mut self, watch: &mut Watch, case: &Case, verdict: &mut Verdict) {
        let said = self.run(watch, case, "state", false);
        verdict.wrong.extend(in_words("state", &said));
        if case.n.is_multiple_of(2) {
            for verb in ["kill", "delete"] {
                let said = self.run(watch, case, verb, false);
                verdict.wrong.extend(in_words(verb, &said));
            }
        }
        let said = self.run(watch, case, "remove", false);
        if said.end != End::Code(0) {
            verdict.wrong.push(format!("left: delete --force: {:?} {}", said.end, said.log.trim()));
        }
        if matches!(case.shot, Shot::Kill(_)) {
            verdict.delete_time = Some(said.took);
        }
        self.host.forget_pid();
        let left = self.host.left(watch);
        verdict.wrong.extend(left.iter().map(|line| format!("left: after delete --force {line}")));
    }

    /// The same id lives again.
    fn again(&mut self, watch: &mut Watch, case: &Case, verdict: &mut Verdict) {
        for verb in ["create", "start", "remove"] {
            let said = self.run(watch, case, verb, false);
            if said.end != End::Code(0) {
                verdict.wrong.push(format!("again: {verb}: {:?} {}", said.end, said.log.trim()));
            }
        }
        self.host.forget_pid();
        let left = self.host.left(watch);
        verdict.wrong.extend(left.iter().map(|line| format!("again: {line}")));
    }
}

fn deletes(verb: &str) -> bool {
    matches!(verb, "delete" | "remove")
}

fn ended(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}
