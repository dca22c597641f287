//! Files of the state directory: a kind of file by its first byte, then its bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use urunc::seal::{seal, unseal};
use urunc::state::{Container, Record, Status};
use urunc_plan::LaunchPlan;
use urunc_plan::undo::undo;

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else { return };
    if let Some(json) = unseal(bytes.to_vec()) {
        assert_eq!(unseal(seal(json.clone())), Some(json));
    }
    match kind {
        b'r' => drop(stable::<Record>(bytes)),
        b's' => {
            let status = stable::<Status>(bytes);
            // It names another boot, so nobody's process is taken for the container's.
            assert!(status.is_none_or(|status| !matches!(Container::process(&status), Ok(Some(_)))));
        }
        _ => {
            let plan = stable::<LaunchPlan>(bytes);
            plan.iter().for_each(|plan| drop(undo(plan)));
        }
    }
});

/// What is read is written and read again as the same.
fn stable<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(bytes).ok()?;
    let text = serde_json::to_vec(&value).expect("plain data");
    let again: T = serde_json::from_slice(&text).expect("what we wrote");
    assert_eq!(serde_json::to_vec(&again).expect("plain data"), text);
    assert_eq!(unseal(seal(text.clone())), Some(text));
    Some(value)
}
