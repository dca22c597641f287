//! config.json, all the way to plans: its own annotations are the image's keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc::bundle::Config;
use urunc_fuzz::{refused, world};
use urunc_plan::annotations::{Verdict, classify};
use urunc_plan::input::ImageKeys;

fuzz_target!(|bytes: &[u8]| {
    let config = match Config::parse("/bundle".into(), bytes) {
        Ok(config) => config,
        Err(error) => return refused(error),
    };
    let (mut request, hooks) = match config.request() {
        Ok(judged) => judged,
        Err(error) => return refused(error),
    };
    let all = [&hooks.prestart, &hooks.create_runtime, &hooks.create_container];
    for hook in
        all.into_iter().flatten().chain([&hooks.start_container, &hooks.poststop].into_iter().flatten())
    {
        assert!(hook.path.is_absolute() && hook.timeout != Some(0), "{hook:?}");
        assert!(!hook.args.iter().chain(&hook.env).any(|word| word.contains('\0')), "{hook:?}");
    }
    let keys = match classify(config.annotations(), None) {
        Ok(Verdict::Unikernel { keys, .. }) => keys,
        Ok(Verdict::Container { .. } | Verdict::Unstated { .. }) => {
            "process".clone_into(&mut request.settings.delegate);
            ImageKeys::default()
        }
        Err(error) => return refused(error),
    };
    world::plan_everywhere(&world::with_image(request, keys));
});
