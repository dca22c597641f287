//! Any request at all, as `record.json` holds it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc_fuzz::world;
use urunc_plan::Request;
use urunc_plan::kernel::KernelFacts;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = serde_json::from_slice::<Request>(bytes) {
        // The reader of config.json lets no other directory through.
        if request.cwd.starts_with('/') && request.kernel.as_ref().is_none_or(is_plain) {
            world::plan_everywhere(&request);
        }
    }
});

/// Texts about a kernel are our own; the targets `kernel` and `solo5` have their readers.
fn is_plain(kernel: &KernelFacts) -> bool {
    let names = kernel.solo5.iter().flat_map(|solo5| &solo5.devices).map(|device| &device.name);
    kernel.broken.is_none()
        && names.chain([&kernel.machine]).all(|name| name.bytes().all(|b| b.is_ascii_graphic()))
}
