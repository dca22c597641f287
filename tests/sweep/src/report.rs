//! Sums, and what is said in the end.

use crate::case::Case;
use crate::worker::kills;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Everything known so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    cases: usize,
    /// Points that were not reached.
    missed: usize,
    failed: usize,
    commands: u64,
    triples: BTreeSet<String>,
    wrong: BTreeMap<String, usize>,
    error_us: Vec<u64>,
    delete_us: Vec<u64>,
    /// Error lines without their numbers, with a case that gives them.
    pub(crate) messages: BTreeMap<String, String>,
}

impl Report {
    /// Adds what a worker said (`None`: it died); false when the case went wrong, which is printed.
    pub(crate) fn add(&mut self, case: &Case, reply: Option<&Value>) -> bool {
        self.cases += 1;
        let died = serde_json::json!({"wrong": ["harness: the worker died"]});
        let reply = reply.unwrap_or(&died);
        self.commands += reply["commands"].as_u64().unwrap_or_default();
        match reply["hit"].as_str() {
            Some(call) => {
                self.triples.insert(format!("{} {} {} {call} {}", case.lane, case.verb, case.role, case));
            }
            None => self.missed += 1,
        }
        self.error_us.extend(reply["error_us"].as_u64());
        self.delete_us.extend(reply["delete_us"].as_u64().filter(|_| kills(case)));
        let call = reply["hit"].as_str().unwrap_or("nothing");
        if let Some(error) = reply["error"].as_str() {
            let key = format!("{} {}: {}", case.verb, call, crate::view::without_digits(error));
            self.messages.entry(key).or_insert_with(|| case.to_string());
        }
        let wrong = reply["wrong"].as_array().map(Vec::as_slice).unwrap_or_default();
        for line in wrong.iter().filter_map(Value::as_str) {
            println!("wrong: {case} ({call}): {line}");
            *self.wrong.entry(line.split(':').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
        self.failed += usize::from(!wrong.is_empty());
        wrong.iter().filter_map(Value::as_str).all(|line| line.starts_with("silent: "))
    }

    /// The lines at the end. True when nothing was wrong and nearly every point was reached.
    pub(crate) fn print(&mut self, seed: u64, part: u64) -> bool {
        let (errors, deletes) = (percentiles(&mut self.error_us), percentiles(&mut self.delete_us));
        // A frame may arrive in one piece or in two: a call more or less is no fault of the sweep.
        let reached = self.missed * 50 <= self.cases;
        println!("faults injected: {}", self.cases - self.missed);
        println!("points not reached: {}{}", self.missed, if reached { "" } else { " (too many)" });
        println!("distinct (call, errno, n): {}", self.triples.len());
        println!("commands run: {}", self.commands);
        println!("wrong outcomes by kind: {:?}", self.wrong);
        println!("time to error, ms: {errors}");
        println!("time of delete --force after SIGKILL, ms: {deletes}");
        println!("seed: {seed}, one case of {part}");
        let failed = self.failed + usize::from(!reached);
        println!("{} passed, {failed} failed, 0 skipped", self.cases - self.failed);
        failed == 0 && self.cases > 0
    }
}

fn percentiles(micros: &mut [u64]) -> String {
    micros.sort_unstable();
    let at = |percent: usize| {
        let index = (micros.len() * percent / 100).min(micros.len().saturating_sub(1));
        let micros = micros.get(index).copied().unwrap_or_default();
        format!("{}.{}", micros / 1000, micros % 1000 / 100)
    };
    format!("p50 {} p99 {} of {}", at(50), at(99), micros.len())
}
