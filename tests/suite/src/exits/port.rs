//! Guests that end their machine by a port: which status of QEMU is success depends on them.

use super::{HALT, SAY, launched};
use crate::bundle::Bundle;
use crate::harness::Case;
use crate::image::running;
use crate::lifecycle::console;
use crate::sandbox::Sandbox;
use serde_json::json;
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
    vec![
        case("hermit-that-succeeds", |s| ends(s, 1, 0)),
        case("hermit-that-fails", |s| ends(s, 0, 1)),
        case("hermit-that-fails-on-a-terminal", on_a_terminal),
    ]
}

fn ends(s: &Sandbox, value: u8, status: i32) {
    super::ends(&launched(s, &hermit(s, value)), ("exit", status));
}

/// The terminal is QEMU's own, and what the guest says on it is heard all the same.
fn on_a_terminal(s: &Sandbox) {
    let c = s.container("a", &hermit(s, 0).with("/process/terminal", json!(true)));
    let terminal = console::create(&c);
    c.start().ok();
    super::ends(&c, ("exit", 1));
    drop(terminal);
}

/// A loader that speaks and ends with this value.
fn hermit(s: &Sandbox, value: u8) -> Bundle {
    let code = [&SAY[..], &[0x66, 0xba, 0xf4, 0, 0xb8, value, 0, 0, 0, 0xef], &HALT].concat();
    let bundle = s.bundle("b").unikernel(&running(&code), &HERMIT);
    fs::write(bundle.rootfs().join(".boot/rootfs"), b"\x7fELF\x02\x01\x01\xff an application")
        .expect("initrd");
    bundle
}
