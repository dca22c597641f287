//! The text: one section for each part of the plan, one line for each value, its source behind it.

use std::fmt::Write as _;

use serde_json::Value;

use super::{child, source, tree};
use crate::LaunchPlan;

/// Sections as one reads them: what runs, on what, in what.
const ORDER: &[&str] = &[
    "guest",
    "monitor",
    "version",
    "mode",
    "memory",
    "exec",
    "net",
    "console",
    "root",
    "identity",
    "namespaces",
    "cgroup",
    "seccomp",
    "annotations",
    "notices",
];
/// Columns of a line without its source.
const WIDTH: usize = 100;
/// Where a source begins, if the value leaves room for it.
const SOURCE: usize = 60;

/// The plan for people. What is empty is left out, and so is what is false or null inside an element of a list.
pub fn text(plan: &LaunchPlan) -> String {
    let tree = tree(plan);
    let others = tree.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let others = others.filter(|name| !ORDER.contains(name));
    let mut text = String::new();
    for name in ORDER.iter().copied().chain(others) {
        let mut section = Section { plan, lines: Vec::new() };
        let value = &tree[name];
        if let Value::Object(members) = value {
            for (member, value) in members {
                section.add(&child(&child("", name), member), member, value);
            }
        } else {
            section.add(&child("", name), name, value);
        }
        if section.lines.is_empty() {
            continue;
        }
        let indent = if value.is_object() { 2 } else { 0 };
        match value {
            Value::Object(_) => text.extend(["\n", name, "\n"]),
            Value::Array(_) => text.push('\n'),
            _ => {}
        }
        text.push_str(&section.render(indent));
    }
    text
}

/// One value: words, and the input they come from.
struct Line<'a> {
    name: String,
    words: Vec<String>,
    from: &'a str,
}

/// The lines of one part of the plan.
struct Section<'a> {
    plan: &'a LaunchPlan,
    lines: Vec<Line<'a>>,
}

impl Section<'_> {
    fn add(&mut self, pointer: &str, name: &str, value: &Value) {
        match value {
            Value::Object(members) if self.is_flat(pointer, members.values()) => {
                let words = members.iter().filter(|(_, value)| says_something(value));
                let words = words.map(|(name, value)| format!("{name}={}", word(name, value))).collect();
                self.push(pointer, name, words);
            }
            Value::Object(members) => {
                for (member, value) in members {
                    self.add(&child(pointer, member), &format!("{name}.{member}"), value);
                }
            }
            Value::Array(items) => {
                let nested = items.iter().any(|item| members(item).any(is_container));
                for (index, item) in items.iter().enumerate() {
                    let inside = child(pointer, &index.to_string());
                    let numbered = format!("{name}.{index}");
                    self.element(&inside, if nested { &numbered } else { name }, item);
                }
            }
            Value::Null => {}
            value => self.push(pointer, name, vec![word(name, value)]),
        }
    }

    /// Plain elements of one source share a line; what is plain in an object does, too.
    fn element(&mut self, pointer: &str, name: &str, item: &Value) {
        match item {
            Value::Object(members) => {
                let plain = members.clone().into_iter().filter(|(_, value)| !is_container(value));
                self.add(pointer, name, &Value::Object(plain.collect()));
                for (member, value) in members.iter().filter(|(_, value)| is_container(value)) {
                    self.add(&child(pointer, member), &format!("{name}.{member}"), value);
                }
            }
            Value::Array(_) => self.add(pointer, name, item),
            plain => {
                let (from, word) = (source(self.plan, pointer).unwrap_or("?"), word(name, plain));
                match self.lines.last_mut().filter(|line| line.name == name && line.from == from) {
                    Some(line) => line.words.push(word),
                    None => self.push(pointer, name, vec![word]),
                }
            }
        }
    }

    fn push(&mut self, pointer: &str, name: &str, words: Vec<String>) {
        let from = source(self.plan, pointer).unwrap_or("?");
        if !words.is_empty() {
            self.lines.push(Line { name: name.to_owned(), words, from });
        }
    }

    /// Plain values that all come from the same input.
    fn is_flat<'v>(&self, pointer: &str, mut values: impl Iterator<Item = &'v Value>) -> bool {
        let inside = format!("{pointer}/");
        !values.any(is_container) && !self.plan.sources.keys().any(|source| source.starts_with(&inside))
    }

    fn render(&self, indent: usize) -> String {
        let names = self.lines.iter().map(|line| line.name.len()).max().unwrap_or(0).max(12);
        let mut text = String::new();
        let mut last = "";
        for line in &self.lines {
            // A list has its name once.
            let name = if line.name == last { "" } else { &line.name };
            let mut row = format!("{:indent$}{name:names$} ", "");
            let margin = row.len();
            for word in &line.words {
                if row.len() > margin && row.chars().count() + word.chars().count() >= WIDTH {
                    text.extend([row.as_str(), "\n"]);
                    row = " ".repeat(margin);
                }
                row.extend([" ", word]);
            }
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{row:SOURCE$}  # {}", line.from);
            last = &line.name;
        }
        text
    }
}

fn is_container(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

fn members(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_object().into_iter().flat_map(|members| members.values())
}

fn says_something(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value.as_str() != Some("")
}

/// A value as one writes it: text bare where it is one word, permission bits in octal.
fn word(name: &str, value: &Value) -> String {
    let octal = matches!(name.rsplit('.').next(), Some("mode" | "umask"));
    match value {
        Value::String(text)
            if !text.is_empty()
                && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"') =>
        {
            text.clone()
        }
        Value::Number(bits) if octal => {
            bits.as_u64().map_or_else(|| bits.to_string(), |bits| format!("{bits:04o}"))
        }
        other => other.to_string(),
    }
}
