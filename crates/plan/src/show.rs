//! A plan for people: text, and JSON in which every leaf carries its source.

use serde_json::{Map, Value, json};

use crate::LaunchPlan;

mod text;

pub use text::text;

/// The plan as JSON: every leaf is `{"value": …, "from": …}`; an empty list or object is a leaf.
pub fn json(plan: &LaunchPlan) -> Value {
    annotate(plan, "", &tree(plan))
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
