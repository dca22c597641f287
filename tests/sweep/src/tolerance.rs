//! Which faults a command may survive: `data/tolerated.txt`.

use std::collections::BTreeSet;

/// One row.
struct Row {
    verb: &'static str,
    role: &'static str,
    call: &'static str,
    errno: &'static str,
    /// Beginnings of the lines in which the container may differ; `stopped`: it may have ended.
    differs: Vec<&'static str>,
}

/// The table.
pub(crate) struct Tolerance(Vec<Row>);

impl Tolerance {
    /// Reads it.
    pub(crate) fn new() -> Self {
        let lines = include_str!("../data/tolerated.txt").lines();
        let rows = lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty()).map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [verb, role, call, errno, differs, reason, ..] = words[..] else {
                panic!("{line}: not VERB ROLE CALL ERRNO RESULT REASON");
            };
            assert!(!reason.is_empty());
            let differs = differs.split(',').filter(|word| *word != "same").collect();
            Row { verb, role, call, errno, differs }
        });
        Self(rows.collect())
    }

    /// Rows of this fault.
    fn rows<'a>(&'a self, fault: [&'a str; 4]) -> impl Iterator<Item = &'a Row> {
        let fits = |pattern: &str, word: &str| pattern.split(',').any(|one| matches(one, word));
        self.0.iter().filter(move |row| {
            let patterns = [row.verb, row.role, row.call, row.errno];
            patterns.iter().zip(fault).all(|(pattern, word)| fits(pattern, word))
        })
    }

    /// May the command (`verb`, `role`, `call`, `errno`) succeed in spite of the fault?
    pub(crate) fn succeeds(&self, fault: [&str; 4]) -> bool {
        self.rows(fault).next().is_some()
    }

    /// May the container have ended?
    pub(crate) fn stops(&self, fault: [&str; 4]) -> bool {
        self.rows(fault).any(|row| row.differs.contains(&"stopped"))
    }

    /// The lines of `found` and `wanted` that differ and may not.
    pub(crate) fn differences(
        &self,
        fault: [&str; 4],
        wanted: &BTreeSet<String>,
        found: &BTreeSet<String>,
    ) -> Vec<String> {
        let may = |line: &str| {
            self.rows(fault)
                .any(|row| row.differs.iter().any(|start| line.starts_with(&start.replace('_', " "))))
        };
        let missing = wanted.difference(found).map(|line| (line, format!("- {line}")));
        let added = found.difference(wanted).map(|line| (line, format!("+ {line}")));
        missing.chain(added).filter(|(line, _)| !may(line)).map(|(_, shown)| shown).collect()
    }
}

/// Does the word fit the pattern, in which `*` is any text?
fn matches(pattern: &str, word: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == word,
        Some((start, "")) => word.starts_with(start),
        Some((start, rest)) => word.strip_prefix(start).is_some_and(|word| {
            word.char_indices().map(|(at, _)| &word[at..]).any(|tail| matches(rest, tail))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read() {
        assert!(!Tolerance::new().0.is_empty());
    }

    #[test]
    fn stars_are_any_text() {
        for (pattern, word) in [("a", "a"), ("*", ""), ("a*", "ab"), ("a*c", "abc"), ("*@/x*", "read@/xy")] {
            assert!(matches(pattern, word), "{pattern} {word}");
        }
        for (pattern, word) in [("a", "ab"), ("a*c", "ab"), ("*c", "")] {
            assert!(!matches(pattern, word), "{pattern} {word}");
        }
    }

    #[test]
    fn what_may_differ_is_said_by_line() {
        let row =
            Row { verb: "create,start", role: "*", call: "prctl:15", errno: "*", differs: vec!["Name:"] };
        let table = Tolerance(vec![row]);
        let fault = ["start", "init", "prctl:15", "EIO"];
        assert!(table.succeeds(fault) && !table.stops(fault));
        assert!(!table.succeeds(["kill", "init", "prctl:15", "EIO"]));
        let set = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let differences =
            table.differences(fault, &set(&["Name: a", "Uid: 0"]), &set(&["Name: b", "Uid: 1"]));
        assert_eq!(differences, ["- Uid: 0", "+ Uid: 1"]);
    }
}
