//! A worker: one host, one case after the other, on request. One line in, one line of JSON out.

use crate::case::{Case, Point, Shot};
use crate::host::Host;
use crate::judge::{Judge, Verdict};
use serde_json::{Value, json};
use std::io::BufRead;

/// Serves until its standard input ends, or a case went wrong: a new worker has a clean host.
pub(crate) fn serve(tag: &str) {
    let mut judge = Judge::new(Host::new(tag));
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let (reply, wrong) = answer(&mut judge, &line);
        println!("{reply}");
        if wrong {
            return;
        }
    }
}

fn answer(judge: &mut Judge, line: &str) -> (Value, bool) {
    if let Some(command) = line.strip_prefix("points ") {
        let case: Case = format!("{command} runtime 1 EIO").parse().expect("LANE VERB");
        return match judge.baseline(&case) {
            Ok(baseline) => (json!(baseline.points.iter().map(encode).collect::<Vec<_>>()), false),
            Err(error) => (json!({ "error": error }), true),
        };
    }
    let case: Case = line.parse().expect("a case");
    let before = judge.commands();
    let verdict = judge.judge(&case);
    let wrong = verdict.wrong.iter().any(|line| !line.starts_with("silent: "));
    (report(&verdict, judge.commands() - before), wrong)
}

fn report(verdict: &Verdict, commands: u64) -> Value {
    let micros =
        |time: Option<std::time::Duration>| time.and_then(|time| u64::try_from(time.as_micros()).ok());
    json!({
        "hit": verdict.hit,
        "wrong": verdict.wrong,
        "error": verdict.error,
        "error_us": micros(verdict.error_time),
        "delete_us": micros(verdict.delete_time),
        "commands": commands,
    })
}

fn encode(point: &Point) -> Value {
    json!([point.role, point.n, point.call, point.begun, point.init])
}

/// The reverse of what `points` answers.
pub(crate) fn decode(value: &Value) -> Option<Vec<Point>> {
    let point = |entry: &Value| {
        Some(Point {
            role: entry[0].as_str()?.to_owned(),
            n: u32::try_from(entry[1].as_u64()?).ok()?,
            call: entry[2].as_str()?.to_owned(),
            begun: entry[3].as_bool()?,
            init: entry[4].as_bool()?,
        })
    };
    value.as_array()?.iter().map(point).collect()
}

/// Was a signal sent, rather than an errno?
pub(crate) fn kills(case: &Case) -> bool {
    matches!(case.shot, Shot::Kill(_))
}
