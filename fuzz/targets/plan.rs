//! Any request at all, as `record.json` holds it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc_fuzz::world;
use urunc_plan::Request;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = serde_json::from_slice::<Request>(bytes) {
        world::plan_everywhere(&request);
    }
});
