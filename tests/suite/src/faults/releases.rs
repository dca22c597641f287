//! The binary is replaced by the neighbouring release between `create` and `delete`.

use super::{Entry, ended, idle};
use crate::chaos::kills::one_line;
use crate::container::Container;
use crate::probe::linux_on_probe;
use crate::sandbox::{Sandbox, text, unsealed};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

pub(super) const CASES: &[Entry] = &[
    ("f-67-a-newer-release-added-fields-everywhere", |s| {
        let c = idle(s, "a");
        c.launch();
        for file in ["record.json", "plan.json", "status.json"] {
            let mut value = read(&c, file);
            add_fields(&mut value);
            fs::write(path(&c, file), value.to_string()).unwrap();
        }
        assert_eq!(c.status(), "running");
        assert!(c.start().fails().contains("already running"));
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
        ended(&c);
    }),
    ("f-67-a-container-of-a-newer-release-is-not-started", |s| {
        let c = idle(s, "a");
        c.create().ok();
        let mut record = read(&c, "record.json");
        record["version"] = json!(3);
        fs::write(path(&c, "record.json"), record.to_string()).unwrap();
        let error = c.start().fails();
        assert!(error.contains("newer release"), "{error}");
        assert_eq!(c.status(), "created");
        c.delete().ok();
        ended(&c);
    }),
    ("f-67-an-init-of-an-older-release-cannot-stay-beside-qemu", |s| {
        let c = s.container("a", &linux_on_probe(s, &["probe=quiet", "probe=qmp"]));
        c.create().ok();
        let mut record = read(&c, "record.json");
        record["version"] = json!(1);
        fs::write(path(&c, "record.json"), record.to_string()).unwrap();
        let error = c.start().fails();
        assert!(error.contains("older release"), "{error}");
        c.delete().ok();
        ended(&c);
    }),
    ("f-67-an-older-release-had-not-this-field-in-the-record", |s| without_each_field(s, "record.json")),
    ("f-67-an-older-release-had-not-this-field-in-the-plan", |s| without_each_field(s, "plan.json")),
    ("f-67-an-older-release-knew-no-start-timeout", |s| {
        let c = idle(s, "a");
        c.create().ok();
        let mut record = read(&c, "record.json");
        record.as_object_mut().unwrap().remove("start_timeout");
        fs::write(path(&c, "record.json"), record.to_string()).unwrap();
        c.start().ok();
        assert_eq!(c.status(), "running");
        ended(&c);
    }),
];

fn path(c: &Container<'_>, file: &str) -> PathBuf {
    c.sandbox.root().join(&c.id).join(file)
}

/// A state file as the release before checksums wrote it.
fn read(c: &Container<'_>, file: &str) -> Value {
    serde_json::from_str(&unsealed(&text(&path(c, file)))).unwrap()
}

/// A field more in every object that is one of ours; maps by name have strings or lists of numbers only.
fn add_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(add_fields);
            let is_map = fields.is_empty() || fields.keys().any(|name| name.contains(['/', '.']));
            // An enum with content is an object with one field.
            if !is_map && fields.len() > 1 {
                fields.insert("field_of_the_future".into(), json!({"a": [1]}));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(add_fields),
        _ => {}
    }
}

/// Every field of the file is left out once: `delete` works all the same.
fn without_each_field(s: &Sandbox, file: &str) {
    let c = idle(s, "a");
    c.launch();
    let names: Vec<String> = read(&c, file).as_object().unwrap().keys().cloned().collect();
    c.delete_force().ok();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        c.launch();
        let mut value = read(&c, file);
        value.as_object_mut().unwrap().remove(&name);
        fs::write(path(&c, file), value.to_string()).unwrap();
        for outcome in [c.verb("state"), c.kill("KILL"), s.run(["list"])] {
            one_line(&outcome);
        }
        c.delete_force().ok();
        let left = s.leftovers();
        // What named the groups is gone from one file, and is in the other one.
        assert!(left.is_empty(), "without {name}: {left:#?}");
    }
    ended(&c);
}
