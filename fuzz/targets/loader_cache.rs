//! `/etc/ld.so.cache`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc::facts::library::cache::Cache;

fuzz_target!(|bytes: &[u8]| {
    let Some(cache) = Cache::new(bytes.to_vec()) else { return };
    for name in ["", "libc.so.6"] {
        for file in cache.files(name) {
            assert!(!file.contains('\0'));
        }
    }
});
