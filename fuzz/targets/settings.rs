//! The operator's config.toml.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use urunc::settings::{self, Loaded};
use urunc_fuzz::{noticed, refused};

fuzz_target!(|text: &str| {
    let path = Path::new("/etc/urunc/config.toml");
    let Loaded { settings, start_timeout, warnings, .. } = match settings::from_text(text, path) {
        Ok(loaded) => loaded,
        Err(error) => return refused(format!("{error:#}")),
    };
    assert!((1..=3600).contains(&start_timeout));
    warnings.iter().for_each(|warning| noticed(warning));
    for monitor in settings.monitors.values() {
        assert!(
            [&monitor.path, &monitor.data_path].iter().all(|path| path.is_empty() || path.starts_with('/'))
        );
        if let Some((first, count)) = monitor.uid_range {
            assert!(first > 0 && count > 0 && first.checked_add(count).is_some());
        }
    }
});
