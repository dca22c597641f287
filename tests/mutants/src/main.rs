//! `mutants [--check | --only TEXT...]`: switches one defence after the other off, in a copy of the tree, and
//! demands that a named test turns red. `--check` only looks whether every fault still applies.
#![allow(clippy::print_stdout)]

mod bed;
mod mutant;
mod scratch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use bed::{Bed, End};
use mutant::{Mutant, Test};
use scratch::{Scratch, TARGET};

/// Longest reason printed, characters: the end, for the command line comes first.
const REASON: usize = 120;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("mutants: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let mut mutants = mutant::load(&root)?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["--check"] => check(&root, &mutants)?,
        [] => return all_red(&root, &mutants),
        ["--only", ref texts @ ..] => {
            let means =
                |m: &Mutant, text: &str| m.name.contains(text) || m.catalogue.iter().any(|e| e == text);
            mutants.retain(|m| texts.iter().any(|text| means(m, text)));
            return all_red(&root, &mutants);
        }
        _ => bail!("usage: mutants [--check | --only TEXT...]"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the suite that was built beside this program for its cases.
fn check(root: &Path, mutants: &[Mutant]) -> Result<()> {
    let suite = std::env::current_exe()?.with_file_name("suite");
    let listed = Command::new(&suite).arg("--list").output().with_context(|| suite.display().to_string())?;
    let complaints = mutant::complaints(root, mutants, Some(&String::from_utf8(listed.stdout)?));
    if !complaints.is_empty() {
        bail!("mutants.toml: {}", complaints.join("\n"));
    }
    println!("{} mutants apply", mutants.len());
    Ok(())
}

/// The tests on the tree as it is, then each fault.
fn all_red(root: &Path, mutants: &[Mutant]) -> Result<ExitCode> {
    let mut trial = Trial { scratch: Scratch::new(root)?, bed: Bed::new(root)?, suite: PathBuf::new() };
    let suite = trial.scratch.build(&["build", "-p", "suite", "--bin", "suite"])?;
    trial.suite.clone_from(suite.get("suite").context("no suite was built")?);
    let tests: BTreeMap<&str, Test<'_>> = mutants.iter().map(|m| (m.test.as_str(), m.test())).collect();
    println!("{} tests on the tree as it is", tests.len());
    let mut broken = BTreeMap::new();
    for (line, test) in tests {
        let end = trial.run(&test)?;
        // A name that no test has passes as well.
        if end.code != 0 || matches!(test, Test::Unit { .. }) && !end.said.contains(" 1 passed") {
            eprintln!("{line}: red without a fault: {}", end.said);
            broken.insert(line, reason(&end.said));
        }
    }
    let mut red = 0;
    for mutant in mutants {
        let begin = Instant::now();
        let verdict = match broken.get(mutant.test.as_str()) {
            Some(reason) => Err(format!("red without a fault: {reason}")),
            None => trial.judge(mutant)?,
        };
        red += usize::from(verdict.is_ok());
        let (word, reason) = match verdict {
            Ok(reason) => ("red", reason),
            Err(reason) => ("NOT RED", reason),
        };
        let entries = mutant.catalogue.join(" ");
        let Mutant { name, test, .. } = mutant;
        println!("{word} | {entries} | {name} | {test} | {reason} | {:.1} s", begin.elapsed().as_secs_f64());
    }
    println!("{red} of {} red", mutants.len());
    Ok(if red == mutants.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All that a fault is tried with.
struct Trial {
    scratch: Scratch,
    bed: Bed,
    suite: PathBuf,
}

impl Trial {
    /// Why the test failed under the fault, or why it did not.
    fn judge(&mut self, mutant: &Mutant) -> Result<std::result::Result<String, String>> {
        let text = self.scratch.apply(mutant)?;
        let end = self.run(&mutant.test());
        self.scratch.restore(mutant, &text)?;
        Ok(match end {
            Err(error) => Err(format!("{error:#}")),
            Ok(End { code: 0, .. }) => Err("its test passes".to_owned()),
            Ok(End { code: -1, .. }) => Ok("hangs".to_owned()),
            Ok(End { said, .. }) => Ok(reason(&said)),
        })
    }

    /// Builds what the test needs and runs it.
    fn run(&mut self, test: &Test<'_>) -> Result<End> {
        match test {
            Test::Case(name) => {
                let built = self.scratch.build(&["build", "-p", "urunc", "--target", TARGET])?;
                let runtime = program(&built, "urunc")?;
                self.bed.run(&self.suite, &["--case", name], &runtime, &self.scratch.dir(""))
            }
            Test::Unit { package, target, name } => {
                let words = [&["test", "--no-run", "-p", package][..], target].concat();
                let built = self.scratch.build(&words)?;
                let library = package.replace('-', "_");
                let program = program(&built, target.get(1).unwrap_or(&library.as_str()))?;
                let dir = self.scratch.dir("crates").join(package.trim_start_matches("urunc-"));
                self.bed.run(&program, &["--exact", name], Path::new(""), &dir)
            }
        }
    }
}

fn program(built: &BTreeMap<String, PathBuf>, name: &str) -> Result<PathBuf> {
    built.get(name).cloned().with_context(|| format!("cargo built no {name}"))
}

/// The end of the first panic's words, else the first thing left behind, else the last line.
fn reason(said: &str) -> String {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let panic = lines().skip_while(|line| !line.contains("panicked at ")).skip(1);
    let words: Vec<&str> = panic.take_while(|line| !line.starts_with("note: ")).take(4).collect();
    let left = || lines().find(|line| line.starts_with("left behind: ")).or_else(|| lines().next_back());
    let found = if words.is_empty() { left().unwrap_or("without a word").into() } else { words.join(" ") };
    let length = found.chars().count();
    found.chars().skip(length.saturating_sub(REASON)).collect()
}
