//! The crate `shell-words`, and the options of Hermit's kernel.

use super::Seen;

pub(crate) fn parse(line: &str) -> Seen {
    let words = split(line);
    let mut words = words.into_iter().skip(1);
    let mut env = Vec::new();
    for word in words.by_ref() {
        match word.strip_prefix("env=") {
            Some(entry) => env.push(entry.to_owned()),
            None if word == "--" => break,
            None => panic!("{word:?}"),
        }
    }
    Seen { args: words.collect(), env }
}

fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                word.extend(chars.by_ref().take_while(|c| *c != '\''));
            }
            '\\' => word.get_or_insert_default().push(chars.next().unwrap()),
            '"' => panic!("not used"),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
