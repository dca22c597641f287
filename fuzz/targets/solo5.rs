//! Solo5 images: what the tender would map.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc_fuzz::refused;
use urunc_plan::solo5::{LOWEST_ADDRESS, MAX_NAME, PAGE, TARGET_VIRTIO, parse_load};

fuzz_target!(|bytes: &[u8]| {
    let (image, load) = match parse_load(&bytes) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return,
        Err(why) => return refused(why),
    };
    if image.target == TARGET_VIRTIO && load.segments.is_empty() {
        // By rules of its own, and for no tender: there is nothing to map.
        return;
    }
    let mut end = LOWEST_ADDRESS;
    for segment in &load.segments {
        assert!(segment.start() >= end && segment.end() > segment.start(), "{load:?}");
        assert!(segment.filesz > 0 && segment.filesz <= segment.memsz);
        assert!(segment.offset + segment.filesz <= bytes.len() as u64, "beyond the file: {segment:?}");
        assert_ne!(segment.flags & 3, 3, "writable and executable");
        end = segment.end();
    }
    assert_eq!(load.kernel_end, end);
    assert!(end.is_multiple_of(PAGE) && image.end >= end);
    let entered = |flags: u32| flags & 1 != 0;
    let holds = |s: &&urunc_plan::solo5::Segment| (s.vaddr..s.vaddr + s.memsz).contains(&load.entry);
    assert!(load.segments.iter().filter(holds).any(|segment| entered(segment.flags)));
    for (at, device) in image.devices.iter().enumerate() {
        let name = &device.name;
        assert!((1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert!(image.devices[..at].iter().all(|other| other.name != *name));
    }
});
