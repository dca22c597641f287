//! A plan for people: text, and JSON in which every leaf carries its source.

use serde_json::{Map, Value, json};

use crate::LaunchPlan;

/// The plan as JSON: every leaf is `{"value": …, "from": …}`; an empty list or object is a leaf.
pub fn json(plan: &LaunchPlan) -> Value {
    annotate(plan, "", &tree(plan))
}

/// The plan as lines `path = value  (source)`; what is empty is left out.
pub fn text(plan: &LaunchPlan) -> String {
    let mut lines = Vec::new();
    collect(plan, "", &tree(plan), &mut lines);
    lines.concat()
}

/// The input that the value at a JSON pointer comes from; `None` is a defect.
pub fn source<'a>(plan: &'a LaunchPlan, pointer: &str) -> Option<&'a str> {
    let mut at = pointer;
    while !at.is_empty() {
        if let Some(from) = plan.sources.get(at) {
            return Some(from);
        }
        at = at.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    None
}

/// The plan without its sources.
fn tree(plan: &LaunchPlan) -> Value {
    let mut tree = serde_json::to_value(plan).unwrap_or_default();
    if let Value::Object(members) = &mut tree {
        members.remove("sources");
    }
    tree
}

fn child(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn annotate(plan: &LaunchPlan, pointer: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let annotated = |(name, value): (&String, &Value)| {
                (name.clone(), annotate(plan, &child(pointer, name), value))
            };
            Value::Object(members.iter().map(annotated).collect::<Map<_, _>>())
        }
        Value::Array(items) if !items.is_empty() => {
            let annotated = items
                .iter()
                .enumerate()
                .map(|(i, item)| annotate(plan, &child(pointer, &i.to_string()), item));
            Value::Array(annotated.collect())
        }
        leaf => json!({ "value": leaf, "from": source(plan, pointer) }),
    }
}

fn collect(plan: &LaunchPlan, pointer: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Object(members) if members.is_empty() => {}
        Value::Array(items) if items.is_empty() => {}
        Value::Object(members) if !flat(plan, pointer, members.values()) => {
            for (name, value) in members {
                collect(plan, &child(pointer, name), value, lines);
            }
        }
        Value::Array(items) if !flat(plan, pointer, items.iter()) => {
            for (index, item) in items.iter().enumerate() {
                collect(plan, &child(pointer, &index.to_string()), item, lines);
            }
        }
        line => {
            let path =
                pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
            let from = source(plan, pointer).unwrap_or("?");
            lines.push(format!("{path} = {line}  ({from})\n"));
        }
    }
}

/// Plain values that all come from the same input fit on one line.
fn flat<'a>(plan: &LaunchPlan, pointer: &str, mut values: impl Iterator<Item = &'a Value>) -> bool {
    let inside = format!("{pointer}/");
    values.all(|value| !value.is_array() && !value.is_object())
        && source(plan, pointer).is_some()
        && !plan.sources.keys().any(|source| source.starts_with(&inside))
}
