//! config.json with anything in it: a bundle, or one line that says what is wrong.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{config, loaded};

/// JSON pointers of every value.
fn pointers(value: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                pointers(value, &format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn foreign() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(Value::Null),
        Just("é\u{7f}/..".repeat(200).into()),
        Just(json!({ "é\u{7f}".repeat(200): "x".repeat(500) })),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null])),
        Just(json!({ "\n": "../..\u{0}" })),
    ]
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Err(error) = loaded(bytes) {
        let text = format!("{error:#}");
        prop_assert!(!text.contains(char::is_control) && text.len() <= 400, "{:?}", text);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_value_anywhere(at in any::<prop::sample::Index>(), value in foreign()) {
        let mut config = config();
        let mut places = Vec::new();
        pointers(&config, "", &mut places);
        *config.pointer_mut(at.get::<String>(&places)).unwrap() = value;
        check(&serde_json::to_vec(&config).unwrap())?;
    }

    #[test]
    fn any_bytes_anywhere(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..8)) {
        let mut text = serde_json::to_vec(&config()).unwrap();
        let start = at.index(text.len());
        let end = (start + bytes.len().max(1)).min(text.len());
        text.splice(start..end, bytes);
        check(&text)?;
    }
}
