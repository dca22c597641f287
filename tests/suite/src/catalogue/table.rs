//! The table of docs/security.md: made from the entries, the cases and the mutants, so that it cannot say what is not so.

use super::entries::{ENTRIES, Standing};
use crate::harness::Case;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- made by `make docs` -->\n";
const END: &str = "<!-- end -->\n";

/// Names of the cases of an entry.
fn tests<'a>(cases: &'a [Case], number: &str) -> Vec<&'a str> {
    let prefix = format!("{}-", number.to_lowercase());
    cases.iter().map(|case| case.name.as_str()).filter(|name| name.starts_with(&prefix)).collect()
}

/// A fault that `make mutants` puts in, and the entries whose defence it switches off.
struct Mutant {
    name: String,
    entries: Vec<String>,
}

/// What tests/mutants/mutants.toml lists; nothing without the file.
fn mutants() -> Vec<Mutant> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mutants/mutants.toml");
    let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
    let file: toml::Table = text.parse().expect("mutants.toml");
    let list = file.get("mutant").and_then(|list| list.as_array()).expect("[[mutant]] in mutants.toml");
    let words = |mutant: &toml::Value, key: &str| -> Vec<String> {
        let entries = mutant.get(key).and_then(|value| value.as_array()).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.as_str()?.to_owned())).collect()
    };
    let name = |mutant: &toml::Value| mutant.get("name").and_then(|n| n.as_str()).expect("a name").to_owned();
    list.iter().map(|mutant| Mutant { name: name(mutant), entries: words(mutant, "catalogue") }).collect()
}

fn table() -> String {
    let (cases, mutants) = (super::cases(), mutants());
    let mut rows = "| entry | attack | test | red without |\n|---|---|---|---|\n".to_owned();
    for (number, attack, standing) in ENTRIES {
        let test = match standing {
            Standing::Tested => {
                let names = tests(&cases, number).into_iter().map(|name| format!("`{name}`"));
                names.collect::<Vec<_>>().join(", ")
            }
            Standing::Elsewhere(test) => (*test).to_owned(),
            Standing::Waits(feature) => format!("*waits for {feature}*"),
        };
        let proofs = mutants.iter().filter(|mutant| mutant.entries.iter().any(|entry| entry == number));
        let proofs = proofs.map(|mutant| mutant.name.as_str()).collect::<Vec<_>>().join("; ");
        let _ = writeln!(rows, "| {number} | {attack} | {test} | {proofs} |");
    }
    rows
}

/// `document` with the table as it is now; `None` without the marks around it.
fn refreshed(document: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}{END}{after}", table()))
}

/// Renews the table in a file. Says whether that could be done.
pub fn refresh(file: &Path) -> bool {
    let Some(text) = fs::read_to_string(file).ok().and_then(|text| refreshed(&text)) else { return false };
    fs::write(file, text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_stands_where_it_says() {
        let cases = super::super::cases();
        for (number, _, standing) in ENTRIES {
            let tested = matches!(standing, Standing::Tested);
            assert_eq!(!super::tests(&cases, number).is_empty(), tested, "{number}");
        }
        for case in &cases {
            let known = ENTRIES
                .iter()
                .any(|(number, ..)| case.name.starts_with(&format!("{}-", number.to_lowercase())));
            assert!(known, "{} is no entry's", case.name);
        }
    }

    #[test]
    fn mutants_name_entries_that_there_are() {
        for mutant in mutants() {
            for entry in &mutant.entries {
                assert!(ENTRIES.iter().any(|(number, ..)| number == entry), "{}: {entry}", mutant.name);
            }
        }
    }

    #[test]
    fn the_table_in_the_documentation_is_this_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
        let text = fs::read_to_string(path).expect("docs/security.md");
        assert!(refreshed(&text).expect("marks") == text, "docs/security.md is out of date: make docs");
    }
}
