//! ELF files of a monitor and its libraries.
#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, memfd_create};
use urunc::facts::library::elf;

static FILE: LazyLock<File> =
    LazyLock::new(|| memfd_create("library", MemfdFlags::CLOEXEC).expect("a file in memory").into());

fuzz_target!(|bytes: &[u8]| {
    FILE.set_len(0).and_then(|()| FILE.write_all_at(bytes, 0)).expect("a file in memory");
    let Ok(dynamic) = elf::parse(&FILE) else { return };
    let lists = [&dynamic.rpath, &dynamic.runpath];
    for text in dynamic.needed.iter().chain(&dynamic.interpreter).chain(lists) {
        assert!(text.len() < 4096 + 128 && !text.contains('\0'));
    }
});
