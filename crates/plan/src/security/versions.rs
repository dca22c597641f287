//! Releases with holes that a guest can reach, as far as a version number tells.

use super::Finding;

/// A release: major, minor, patch.
type Version = (u32, u32, u32);

/// A hole: from `first` on, until the fix of each branch; what is newer than all fixes has it.
struct Hole {
    program: &'static str,
    name: &'static str,
    what: &'static str,
    first: Version,
    fixed: &'static [Version],
}

/// From the CVE records; only what matters to a host of guests.
const HOLES: &[Hole] = &[
    Hole {
        program: "kernel",
        name: "CVE-2022-0847",
        what: "files that may only be read can be written to",
        first: (5, 8, 0),
        fixed: &[(5, 10, 102), (5, 15, 25), (5, 16, 11)],
    },
    Hole {
        program: "kernel",
        name: "CVE-2026-23401",
        what: "KVM keeps a mapping that a guest's tables no longer have",
        first: (5, 13, 0),
        fixed: &[(5, 15, 203), (6, 1, 168), (6, 6, 131), (6, 12, 80), (6, 18, 21), (6, 19, 11)],
    },
    Hole {
        program: "qemu",
        name: "CVE-2021-3748",
        what: "virtio-net uses memory after it was freed",
        first: (0, 0, 0),
        fixed: &[(6, 2, 0)],
    },
    Hole {
        program: "firecracker",
        name: "CVE-2026-5747",
        what: "its virtio-pci writes out of bounds",
        first: (1, 13, 0),
        fixed: &[(1, 14, 4), (1, 15, 1)],
    },
    Hole {
        program: "cloud-hypervisor",
        name: "CVE-2026-45782",
        what: "its virtio-blk uses memory after it was freed",
        first: (0, 0, 0),
        fixed: &[(51, 2, 0), (52, 0, 0)],
    },
];

impl Hole {
    fn is_in(&self, version: Version) -> bool {
        let fixed_here = |fix: &Version| (fix.0, fix.1) == (version.0, version.1) && version >= *fix;
        let newer = self.fixed.iter().max().is_some_and(|newest| version >= *newest);
        version >= self.first && !newer && !self.fixed.iter().any(fixed_here)
    }
}

/// The kernel. `build` is `uname -v`: Debian writes the upstream version there (`Debian 6.1.119-1`), and its own ABI
/// number into the release.
pub(super) fn kernel(release: &str, build: &str) -> Finding {
    let upstream = build.split_once("Debian ").map_or(release, |(_, version)| version);
    finding("kernel", upstream)
}

/// A monitor by what `--version` says.
pub(super) fn monitor(name: &str, said: &str) -> Finding {
    finding(name, said)
}

fn finding(program: &str, text: &str) -> Finding {
    let Some(version) = version(text) else {
        return Finding::warn(
            format!("{program}: version unknown"),
            "it cannot be compared with known holes",
            "look at it by hand",
        );
    };
    let (major, minor, patch) = version;
    let what = format!("{program}: {major}.{minor}.{patch}");
    let holes: Vec<&Hole> = HOLES.iter().filter(|h| h.program == program && h.is_in(version)).collect();
    if holes.is_empty() {
        return Finding::ok(what);
    }
    let list: Vec<String> = holes.iter().map(|hole| format!("{}: {}", hole.name, hole.what)).collect();
    let fix = format!("update {program}, unless your distribution has put the fix into this version");
    Finding::warn(what, &list.join("; "), &fix)
}

/// The first number with a dot in it: `6.18.5-amd64`, `QEMU emulator version 7.2.17 (Debian …)`, `Firecracker v1.14.4`.
fn version(text: &str) -> Option<Version> {
    let word = text
        .split_whitespace()
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))?;
    let mut numbers = word.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().filter(|digits| !digits.is_empty())?.parse().ok();
    let (major, minor) = (next()?, next()?);
    Some((major, minor, next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        let cases = [
            ("6.18.5", Some((6, 18, 5))),
            ("6.1.119-1 (2024-11-22)", Some((6, 1, 119))),
            ("7.0-rc2", Some((7, 0, 0))),
            ("QEMU emulator version 7.2.17 (Debian 1:7.2+dfsg-7+deb12u12)", Some((7, 2, 17))),
            ("Firecracker v1.15.0\n\nSupported snapshot data format versions: v8.0.0", Some((1, 15, 0))),
            ("no version", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(version(text), expected, "{text}");
        }
    }

    #[test]
    fn each_branch_has_its_own_fix() {
        let named = |program: &str, text: &str, hole: &str| finding(program, text).why.contains(hole);
        for (text, open) in [
            ("5.7.19", false),
            ("5.8.0", true),
            ("5.10.101", true),
            ("5.10.102", false),
            ("5.12.1", true),
            ("5.16.11", false),
            ("6.1.0", false),
        ] {
            assert_eq!(named("kernel", text, "CVE-2022-0847"), open, "{text}");
        }
        for (text, open) in
            [("v1.12.1", false), ("v1.13.1", true), ("v1.14.4", false), ("v1.15.0", true), ("v1.16.0", false)]
        {
            assert_eq!(named("firecracker", text, "CVE-2026-5747"), open, "{text}");
        }
        for (text, open) in [("v50.0.0", true), ("v51.1.0", true), ("v51.2.0", false), ("v53.0.0", false)] {
            assert_eq!(named("cloud-hypervisor", text, "CVE-2026-45782"), open, "{text}");
        }
    }

    #[test]
    fn debian_s_upstream_version_counts() {
        let build = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-1 (2026-05-01)";
        assert_eq!(kernel("6.1.0-44-amd64", build).what, "kernel: 6.1.170");
        assert!(kernel("6.1.0-44-amd64", build).why.is_empty());
        assert!(kernel("6.1.0", "#1 SMP").why.contains("CVE-2026-23401"));
    }
}
