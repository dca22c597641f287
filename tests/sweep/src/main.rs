//! `sweep [--part N] [--seed N] [--only TEXT] [--jobs N] [--messages FILE]`: every call that urunc makes in create, start,
//! kill and delete fails once with each errno, every answer of netlink is cut once, and everybody is killed before each
//! call; one case of N, picked by the seed. `sweep LANE VERB ROLE N SHOT` runs one case. `RUNTIME`, `PROBE` and `GUESTS`
//! as for the suite.
#![allow(clippy::print_stdout, clippy::expect_used, clippy::panic)]

mod case;
mod crew;
mod host;
mod judge;
mod kernel;
mod lane;
mod object;
mod report;
mod tolerance;
mod view;
mod watch;
mod words;
mod worker;

use case::{Case, VERBS, cases, picked};
use crew::Worker;
use lane::LANES;
use report::Report;
use std::process::ExitCode;
use std::sync::Mutex;

/// The part that runs in every test is the same one until somebody wants another.
const SEED: u64 = 20_261_121;

/// The command line.
struct Options {
    part: u64,
    seed: u64,
    only: String,
    jobs: usize,
    messages: Option<String>,
    words: Vec<String>,
}

fn main() -> ExitCode {
    let options = options();
    if let [flag, tag] = &options.words[..]
        && flag == "--worker"
    {
        worker::serve(tag);
        return ExitCode::SUCCESS;
    }
    let report = Mutex::new(Report::default());
    if options.words.is_empty() {
        match all(&options) {
            Ok(cases) => crew::run(&cases, options.jobs, &report),
            Err(error) => println!("wrong: {error}"),
        }
    } else {
        let case: Case = options.words.join(" ").parse().unwrap_or_else(|error| panic!("{error}"));
        crew::run(&[case], 1, &report);
    }
    let mut report = report.into_inner().expect("a report");
    if let Some(file) = &options.messages {
        let lines: Vec<String> =
            report.messages.iter().map(|(line, case)| format!("{line} [{case}]\n")).collect();
        std::fs::write(file, lines.concat()).expect("--messages");
    }
    ExitCode::from(u8::from(!report.print(options.seed, options.part)))
}

fn options() -> Options {
    let cpus = std::thread::available_parallelism().map_or(2, usize::from);
    let mut options =
        Options { part: 1, seed: SEED, only: String::new(), jobs: cpus, messages: None, words: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(word) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{word} needs a value"));
        let number = |text: String| text.parse().unwrap_or_else(|_| panic!("{text}: not a number"));
        match word.as_str() {
            "--part" => options.part = number(value()),
            "--seed" => options.seed = number(value()),
            "--jobs" => options.jobs = usize::try_from(number(value())).unwrap_or(1).max(1),
            "--only" => options.only = value(),
            "--messages" => options.messages = Some(value()),
            _ => options.words.push(word),
        }
    }
    options
}

/// Every case at every point of every undisturbed run, or the seeded part of them.
fn all(options: &Options) -> Result<Vec<Case>, String> {
    let mut worker = Worker::new(options.jobs);
    let mut all = Vec::new();
    for lane in &LANES {
        for verb in VERBS {
            let points = worker.points(lane.name, verb)?;
            let before = points.iter().filter(|point| !point.begun).count();
            println!("{} {verb}: {} calls, {before} of them before main", lane.name, points.len());
            all.extend(cases(lane.name, verb, &points));
        }
    }
    all.retain(|case| picked(case, options.seed, options.part) && case.to_string().contains(&options.only));
    println!("{} cases, seed {}", all.len(), options.seed);
    Ok(all)
}
