//! The probe: the program that plays a monitor, and reports what it finds.

use crate::bundle::Bundle;
use crate::sandbox::Sandbox;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// A Linux bundle, and settings that make the probe its monitor.
pub(crate) fn linux_on_probe(s: &Sandbox, words: &[&str]) -> Bundle {
    let probe = probe();
    fs::write(&s.settings, format!("[monitors.qemu]\npath = \"{}\"\n", probe.display())).unwrap();
    // The first argument becomes `rdinit=`; the probe looks at whole words.
    let args: Vec<&str> = std::iter::once("/app").chain(words.iter().copied()).collect();
    s.bundle("b").linux().with("/process/args", json!(args))
}

/// The probe, built by `make probe` into `PROBE` (default: `dist/test/probe`).
pub(crate) fn probe() -> PathBuf {
    let probe = std::env::var("PROBE").unwrap_or_else(|_| "dist/test/probe".into());
    Path::new(&probe).canonicalize().unwrap_or_else(|e| panic!("{probe}: {e}: run make probe"))
}

/// The probe under the name that makes it a monitor without words in its argv.
pub(crate) fn monitor_path() -> PathBuf {
    probe().with_file_name("monitor")
}

/// The probe under a monitor's name, which it plays then, in a directory that root alone can write.
pub(crate) fn played(s: &Sandbox, name: &str) -> PathBuf {
    let path = s.dir.join(name);
    fs::copy(probe(), &path).expect("a program");
    path
}
