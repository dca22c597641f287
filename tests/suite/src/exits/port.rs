//! Guests that end their machine by a port: which status of QEMU is success depends on them.

use super::{HALT, SAY, ends, launched};
use crate::harness::Case;
use crate::image::running;
use crate::sandbox::Sandbox;
use std::fs;

/// Keys of an image of Hermit, whose kernel is the loader and whose initrd the application.
const HERMIT: [(&str, &str); 4] = [
    ("unikernelType", "hermit"),
    ("hypervisor", "qemu"),
    ("binary", "/.boot/kernel"),
    ("initrd", "/.boot/rootfs"),
];

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &'static str, run: fn(&Sandbox)| Case::new("exits", name, run);
    // As the kernel does in `shutdown`: it ends QEMU with 3 or 1.
    vec![case("hermit-that-succeeds", |s| hermit(s, 1, 0)), case("hermit-that-fails", |s| hermit(s, 0, 1))]
}

/// A loader that speaks and ends, with this value.
fn hermit(s: &Sandbox, value: u8, status: i32) {
    let code = [&SAY[..], &[0x66, 0xba, 0xf4, 0, 0xb8, value, 0, 0, 0, 0xef], &HALT].concat();
    let bundle = s.bundle("b").unikernel(&running(&code), &HERMIT);
    fs::write(bundle.rootfs().join(".boot/rootfs"), b"\x7fELF\x02\x01\x01\xff an application")
        .expect("initrd");
    ends(&launched(s, &bundle), ("exit", status));
}
