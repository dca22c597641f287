//! The committed faults of `mutants.toml`, and what must hold of them without building anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Entries of the attack catalogue whose defence is built: each needs a mutant that switches it off.
const BUILT: [&str; 36] = [
    "A-01", "A-02", "A-03", "A-04", "A-05", "A-06", "A-07", "A-09", "A-10", "A-11", "A-12", "B-01", "B-02",
    "B-03", "B-05", "B-06", "B-07", "C-01", "C-02", "C-03", "C-04", "C-05", "C-06", "D-01", "D-02", "D-03",
    "E-02", "E-04", "E-05", "E-06", "F-01", "F-02", "F-03", "F-05", "F-06", "F-08",
];

/// One fault: a defence switched off, and the test that must notice it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// What the product no longer does.
    pub(crate) name: String,
    /// Entries of the attack catalogue whose defence this is; may be empty.
    #[serde(default)]
    pub(crate) catalogue: Vec<String>,
    /// File, from the root of the repository.
    pub(crate) file: String,
    /// Text that occurs exactly once in it.
    pub(crate) find: String,
    /// What stands there instead.
    pub(crate) replace: String,
    /// `GROUP/CASE` of the suite, or `PACKAGE [--test TARGET] NAME` for cargo.
    pub(crate) test: String,
}

/// A parsed [`Mutant::test`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Test<'a> {
    /// A case of the suite: `GROUP/CASE`.
    Case(&'a str),
    /// A test that cargo builds.
    Unit {
        /// Package.
        package: &'a str,
        /// Which of its test programs: `--lib`, or `--test TARGET`.
        target: Vec<&'a str>,
        /// The test's full name.
        name: &'a str,
    },
}

impl Mutant {
    /// The test to run.
    pub(crate) fn test(&self) -> Test<'_> {
        let words: Vec<&str> = self.test.split(' ').collect();
        match words[..] {
            [package, name] => Test::Unit { package, target: vec!["--lib"], name },
            [package, ref target @ .., name] => Test::Unit { package, target: target.to_vec(), name },
            _ => Test::Case(&self.test),
        }
    }

    /// The file's text with the fault in it.
    ///
    /// # Errors
    /// The text to replace is not there exactly once.
    pub(crate) fn apply(&self, text: &str) -> Result<String> {
        match text.matches(&self.find).count() {
            1 if self.find != self.replace => Ok(text.replacen(&self.find, &self.replace, 1)),
            1 => anyhow::bail!("{}: changes nothing", self.name),
            count => anyhow::bail!("{}: `find` occurs {count} times in {}", self.name, self.file),
        }
    }
}

/// Reads the list.
///
/// # Errors
/// It is missing or not of the right form.
pub(crate) fn load(root: &Path) -> Result<Vec<Mutant>> {
    #[derive(Deserialize)]
    struct List {
        mutant: Vec<Mutant>,
    }
    let text = fs::read_to_string(root.join("tests/mutants/mutants.toml")).context("mutants.toml")?;
    Ok(toml::from_str::<List>(&text).context("mutants.toml")?.mutant)
}

/// What is wrong with the list: faults that no longer apply, names that are not unique, tests and catalogue entries
/// that are missing. Nothing is built for it. `cases` are the suite's, one a line.
pub(crate) fn complaints(root: &Path, mutants: &[Mutant], cases: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for mutant in mutants {
        let applied = fs::read_to_string(root.join(&mutant.file))
            .with_context(|| mutant.file.clone())
            .and_then(|text| mutant.apply(&text));
        found.extend(applied.err().map(|error| format!("{error:#}")));
        if !names.insert(&mutant.name) {
            found.push(format!("{}: two mutants of this name", mutant.name));
        }
        let known = match mutant.test() {
            Test::Case(case) => cases.is_none_or(|cases| cases.lines().any(|line| line == case)),
            Test::Unit { package, name, .. } => is_test(root, package, name),
        };
        if !known {
            found.push(format!("{}: no test {}", mutant.name, mutant.test));
        }
    }
    let covered: BTreeSet<&str> = mutants.iter().flat_map(|m| &m.catalogue).map(String::as_str).collect();
    let missing = BUILT.iter().filter(|entry| !covered.contains(**entry));
    found.extend(missing.map(|entry| format!("{entry}: no mutant switches its defence off")));
    found
}

/// Is there a test of this name in the package: a function, or a directory of golden cases?
fn is_test(root: &Path, package: &str, name: &str) -> bool {
    let last = name.rsplit("::").next().unwrap_or(name);
    let sources = root.join("crates").join(package.trim_start_matches("urunc-"));
    root.join("cases").join(name).is_dir() || mentions(&sources, last)
}

fn mentions(dir: &Path, word: &str) -> bool {
    fs::read_dir(dir).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return mentions(&path, word);
        }
        path.extension().is_some_and(|end| end == "rs")
            && fs::read_to_string(&path).is_ok_and(|text| text.contains(&format!("fn {word}(")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_still_applies_and_every_entry_has_one() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mutants = load(&root).unwrap();
        assert_eq!(complaints(&root, &mutants, None), Vec::<String>::new());
    }

    #[test]
    fn a_fault_that_no_longer_applies_is_told() {
        let mutant = |find: &str| Mutant {
            name: "m".into(),
            catalogue: Vec::new(),
            file: "f".into(),
            find: find.into(),
            replace: "x".into(),
            test: "group/case".into(),
        };
        assert_eq!(mutant("b").apply("abc").unwrap(), "axc");
        assert_eq!(mutant("b").apply("bab").unwrap_err().to_string(), "m: `find` occurs 2 times in f");
        assert_eq!(mutant("d").apply("abc").unwrap_err().to_string(), "m: `find` occurs 0 times in f");
        assert_eq!(mutant("x").apply("x").unwrap_err().to_string(), "m: changes nothing");
    }
}
