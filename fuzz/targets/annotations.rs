//! Image keys: lines `key=value` for annotations, a NUL byte, the bytes of `/urunc.json`.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use urunc_fuzz::{noticed, refused, texts};
use urunc_plan::annotations::{Verdict, classify};

fuzz_target!(|input: &[u8]| {
    let [lines, file] = texts(input);
    let lines = String::from_utf8_lossy(lines);
    let pairs = lines.lines().filter_map(|line| line.split_once('='));
    let annotations: BTreeMap<_, _> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let file = (!file.is_empty()).then_some(file);
    match classify(&annotations, file) {
        Err(error) => refused(error),
        Ok(Verdict::Container { reason } | Verdict::Unstated { reason }) => noticed(&reason),
        Ok(Verdict::Unikernel { keys, notices }) => {
            notices.iter().for_each(|notice| noticed(&notice.text));
            for path in [&keys.binary, &keys.initrd, &keys.block] {
                assert!(path.split('/').all(|part| part != "..") && !path.starts_with('-'), "{path:?}");
                assert!(!path.contains(|c: char| c.is_control() || c == ','), "{path:?}");
            }
            assert!(!keys.mount_rootfs && !keys.cmdline.contains('\0'));
            // Keys that were judged are plain: judged again as annotations they say the same.
            let key = |name: &str| format!("{}{name}", urunc_plan::KEY_PREFIX);
            let plain =
                [("binary", &keys.binary), ("hypervisor", &keys.monitor), ("unikernelType", &keys.guest)];
            let plain: BTreeMap<_, _> = plain.map(|(name, value)| (key(name), value.clone())).into();
            if plain.values().all(String::is_empty) {
                return;
            }
            let Ok(Verdict::Unikernel { keys: again, .. }) = classify(&plain, None) else {
                panic!("refused as annotations: {plain:?}")
            };
            assert_eq!((again.binary, again.monitor, again.guest), (keys.binary, keys.monitor, keys.guest));
        }
    }
});
