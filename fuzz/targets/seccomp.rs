//! `linux.seccomp`: the compiled program answers as the profile says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use urunc_fuzz::{invariants, profile, refused};
use urunc_plan::launch::Filter;
use urunc_plan::{bpf, seccomp};

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = serde_json::from_slice::<Value>(bytes) else { return };
    let filter = Filter::Profile(json.clone());
    if let Err(error) = seccomp::flags(&filter) {
        refused(error);
    }
    let program = match seccomp::compile(&filter, "x86_64") {
        Ok(program) => program,
        Err(error) => return refused(error),
    };
    invariants::checkable(&program);
    for (abi, call) in profile::calls(&json) {
        assert_eq!(bpf::run(&program, &call), profile::answer(&json, abi, &call), "{abi:?} {call:x?}");
    }
});
