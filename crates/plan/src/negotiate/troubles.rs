//! What is known of versions.

use super::Pair;
use crate::Request;
use crate::error::excerpt;
use crate::launch::Notice;
use crate::machine::Acceleration;
use crate::version::Version;

/// Versions that do not get on with a monitor: worth a warning, for there are builds and hosts where they do.
#[derive(Debug)]
pub struct Trouble {
    /// The guest.
    pub guest: &'static str,
    /// The monitor.
    pub monitor: &'static str,
    /// Only without hardware virtualization.
    pub emulated: bool,
    /// First version with it.
    pub from: Version,
    /// First version without it.
    pub until: Version,
    /// The warning.
    pub text: &'static str,
}

/// All that is known.
pub const TROUBLES: &[Trouble] = &[
    Trouble {
        guest: "unikraft",
        monitor: "firecracker",
        emulated: false,
        from: Version::new(0, 0, 0),
        until: Version::new(0, 18, 0),
        text: "releases before 0.18 fail on the ACPI tables of Firecracker 1.8 and newer",
    },
    Trouble {
        guest: "unikraft",
        monitor: "qemu",
        emulated: true,
        from: Version::new(0, 17, 0),
        until: Version::new(u32::MAX, 0, 0),
        text: "releases since 0.17 need RDSEED, which some versions of QEMU do not emulate",
    },
];

/// A warning for what the stated version is known for.
pub fn troubles(req: &Request, pair: &Pair, acceleration: Acceleration) -> Vec<Notice> {
    let Some(version) = Version::parse(&req.image.version) else { return Vec::new() };
    let concerns = |trouble: &&Trouble| {
        (trouble.guest, trouble.monitor) == (pair.guest.name(), pair.monitor.name())
            && (!trouble.emulated || acceleration == Acceleration::Emulation)
            && (trouble.from..trouble.until).contains(&version)
    };
    let warn = |trouble: &Trouble| Notice {
        warn: true,
        text: format!(
            "{} {} on {}: {}",
            trouble.guest,
            excerpt(&req.image.version),
            trouble.monitor,
            trouble.text
        ),
    };
    TROUBLES.iter().filter(concerns).map(warn).collect()
}
