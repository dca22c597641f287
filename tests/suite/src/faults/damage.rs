//! State files that are cut or have a changed bit: words, a guest that lives on, and one `delete --force`.
//! `EVERY=1` takes each length and each bit.

use super::{Entry, ended, idle};
use crate::chaos::kills::one_line;
use crate::chaos::number;
use crate::container::Container;
use crate::sandbox::{Sandbox, text, unsealed};
use std::fs;
use std::path::PathBuf;

const FILES: [&str; 3] = ["record.json", "plan.json", "status.json"];

pub(super) const CASES: &[Entry] = &[
    ("f-34-a-state-file-is-cut-to-each-length", |s| {
        looked_at(s, |bytes| {
            let lengths = sample(bytes.len(), 60).chain(bytes.len() - 24..bytes.len());
            lengths.map(|length| bytes[..length].to_vec()).collect()
        });
    }),
    ("f-35-a-bit-of-a-state-file-is-changed", |s| {
        looked_at(s, |bytes| sample(bytes.len() * 8, 80).map(|bit| flipped(bytes, bit)).collect());
    }),
    ("f-34-a-container-with-a-cut-state-file-is-deleted", |s| {
        deleted(s, |bytes| {
            let length = bytes.len();
            [0, 1, length / 4, length / 2, length - 30, length - 1].map(|at| bytes[..at].to_vec()).to_vec()
        });
    }),
    ("f-35-a-container-with-a-changed-bit-is-deleted", |s| {
        deleted(s, |bytes| sample(bytes.len() * 8, 24).map(|bit| flipped(bytes, bit)).collect());
    }),
    ("f-35-another-group-is-never-emptied", |s| {
        // The path of the groups with one changed bit is a neighbour's: `b` becomes `c`.
        let (neighbour, c) = (s.container("c", &s.bundle("c").spt("idle")), idle(s, "b"));
        neighbour.launch();
        c.launch();
        c.kill("KILL").ok();
        c.until_stopped();
        let file = s.root().join(&c.id).join("plan.json");
        fs::write(&file, text(&file).replace(&format!("/{}\"", c.id), &format!("/{}\"", neighbour.id)))
            .unwrap();
        c.delete().ok();
        assert_eq!(neighbour.status(), "running");
        neighbour.delete_force().ok();
        ended(&c);
    }),
    ("i-63-a-plan-that-is-cut", |s| stopped_and_changed(s, |plan| plan[..plan.len() / 2].to_owned())),
    ("i-63-a-plan-that-is-empty", |s| stopped_and_changed(s, |_| String::new())),
    ("i-63-a-plan-that-was-edited", |s| stopped_and_changed(s, |plan| plan.replace("spt", "qemu"))),
    ("i-63-a-plan-of-a-newer-version", |s| {
        stopped_and_changed(s, |plan| unsealed(plan).replacen("\"version\":1", "\"version\":99", 1));
    }),
    ("i-63-a-plan-that-is-another-document", |s| stopped_and_changed(s, |_| "[1, 2]".to_owned())),
    ("i-63-a-plan-that-is-a-directory", |s| {
        let c = idle(s, "a");
        c.launch();
        let plan = s.root().join(&c.id).join("plan.json");
        fs::remove_file(&plan).unwrap();
        fs::create_dir(&plan).unwrap();
        one_line(&c.delete_force());
        // What somebody put there is not ours to remove.
        fs::remove_dir(&plan).unwrap();
        ended(&c);
    }),
];

/// About `count` numbers below `end`, spread by a step without pattern; all of them with `EVERY`.
fn sample(end: usize, count: usize) -> impl Iterator<Item = usize> {
    let step = if number("EVERY").is_some() { 1 } else { (end / count).max(1) | 1 };
    (0..end).step_by(step)
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

fn path(c: &Container<'_>, file: &str) -> PathBuf {
    c.sandbox.root().join(&c.id).join(file)
}

/// Commands that only look, or must refuse, on a running container whose files are damaged: the guest lives on.
fn looked_at(s: &Sandbox, damages: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let c = idle(s, "a");
    c.launch();
    for file in FILES {
        let whole = fs::read(path(&c, file)).unwrap();
        for damaged in damages(&whole) {
            fs::write(path(&c, file), damaged).unwrap();
            let outcomes = [c.verb("state"), c.kill("0"), c.start(), c.delete(), s.run(["list"])];
            outcomes.iter().for_each(one_line);
            assert_ne!(outcomes[3].code, 0, "{file}: a running container was deleted");
            fs::write(path(&c, file), &whole).unwrap();
        }
    }
    assert_eq!(c.status(), "running");
    ended(&c);
}

/// One `delete --force` ends a running container whatever the damage.
fn deleted(s: &Sandbox, damages: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let c = idle(s, "a");
    c.launch();
    let whole = FILES.map(|file| (file, damages(&fs::read(path(&c, file)).unwrap())));
    c.delete_force().ok();
    s.reap();
    for (file, damages) in whole {
        for damaged in damages {
            c.launch();
            // Of an earlier life of the same container, so that its size and form are right.
            fs::write(path(&c, file), &damaged).unwrap();
            c.delete_force().ok();
            s.reap();
            c.verb("state").fails();
        }
        ended(&c);
    }
}

/// `delete`, not even forced, of a stopped container whose plan was changed.
fn stopped_and_changed(s: &Sandbox, change: impl FnOnce(&str) -> String) {
    let c = idle(s, "a");
    c.launch();
    c.kill("KILL").ok();
    c.until_stopped();
    let plan = path(&c, "plan.json");
    fs::write(&plan, change(&text(&plan))).unwrap();
    assert_eq!(c.status(), "stopped");
    one_line(&c.start());
    c.delete().ok();
    ended(&c);
}
