//! What cannot run is refused in one line that names the value at fault. What both targets refuse is tested with spt.

use crate::child::Twist;
use crate::guest::{exit, image};
use crate::image::Image;
use crate::run::Guest;

crate::tests! { images_for_something_else, memory_that_does_not_fit, hosts_that_are_not_safe }

fn good() -> Image {
    image(&exit(0), b"")
}

fn images_for_something_else() {
    let of = |change: fn(&mut Image)| {
        let mut image = good();
        change(&mut image);
        Guest::new(&image).refusal()
    };
    assert_eq!(of(|i| i.target = 2), "kernel: made for ABI target 2, not 1 (hvt)");
    assert_eq!(of(|i| i.version = 3), "kernel: hvt ABI version 3, not 1 or 2");
    assert!(of(|i| i.parts[0].flags = 7).contains("both writable and executable"));
    assert_eq!(Guest::of_file(b"#!/bin/sh\n").refusal(), "kernel: not a Solo5 image: no ABI note");
}

fn memory_that_does_not_fit() {
    let of = |mib| {
        let mut guest = Guest::new(&good());
        guest.orders.plan.memory_mib = mib;
        guest.refusal()
    };
    assert_eq!(of(0), "memory of 0 MiB: the image ends at 0x115000 and needs a stack above");
    for mib in [3, 15, 4097, 4098, 1 << 20, u64::MAX] {
        assert_eq!(of(mib), format!("memory of {mib} MiB: not a multiple of 2 MiB up to 4096"));
    }
    for mib in [2, 4, 4096] {
        let mut guest = Guest::new(&good());
        guest.orders.plan.memory_mib = mib;
        assert_eq!(guest.run().code, 0, "{mib}");
    }
}

fn hosts_that_are_not_safe() {
    let with = |twist| {
        let mut guest = Guest::new(&good());
        guest.orders.twist = Some(twist);
        guest.refusal()
    };
    let shared = "host: another thread or process uses the memory of the one that is about to be the guest";
    assert_eq!(with(Twist::Thread), shared);
    assert_eq!(with(Twist::NoStdin), "host: descriptors 0, 1 and 2 must be open and not be devices");
}
