//! The entries of the catalogue, whether they have a case or not.

/// Where an entry stands.
pub(super) enum Standing {
    /// A case of this group bears its number.
    Tested,
    /// What it attacks is one function or one table, which has its own tests.
    Elsewhere(&'static str),
    /// What it attacks is not built yet.
    Waits(&'static str),
}

use Standing::{Elsewhere, Tested, Waits};

/// Number, attack, standing.
pub(super) const ENTRIES: &[(&str, &str, Standing)] = &[
    ("A-01", "a path of the image's metadata leads to a file of the host", Tested),
    ("A-02", "directories of the image are links to the host", Tested),
    ("A-03", "a generated file is written through a link of the image", Tested),
    ("A-04", "links and directories are exchanged during the set-up", Tested),
    ("A-05", "console and device nodes come from links", Tested),
    ("A-06", "a write to /proc is redirected", Tested),
    ("A-07", "an image without layers: the host's disk becomes the guest's", Tested),
    ("A-08", "archives with names, links and sizes that lie", Waits("making images and merging initrds")),
    ("A-09", "a recursive delete through a parent that was exchanged", Tested),
    ("A-10", "ids and file arguments that are paths or links", Tested),
    ("A-11", "a FIFO, device or huge file in place of an image file", Tested),
    ("A-12", "a raw disk that looks like another format", Tested),
    ("B-01", "text of the image becomes options of the monitor", Tested),
    ("B-02", "annotations that name objects of the host", Tested),
    ("B-03", "foreign labels change what the runtime does", Tested),
    (
        "B-04",
        "annotations become properties of a systemd unit",
        Elsewhere("`tests/vm/run.sh vm-scope/an-annotation-is-no-property`"),
    ),
    ("B-05", "environment becomes parameters of the guest's kernel", Tested),
    ("B-06", "numbers that wrap, round or change their sign", Tested),
    ("B-07", "isolation that is asked for and silently left out", Tested),
    ("C-01", "a leaked descriptor or working directory", Tested),
    ("C-02", "the runtime's program is overwritten through /proc", Tested),
    ("C-03", "the host executes or loads content of the image", Tested),
    ("C-04", "inherited capabilities and groups", Tested),
    ("C-05", "a signal to a process that took over the pid", Tested),
    ("C-06", "environment and secrets of the caller", Tested),
    ("D-01", "the host's namespaces by accident", Tested),
    ("D-02", "mounts leak to the host", Tested),
    ("D-03", "cgroups, devices and /sys", Tested),
    ("D-04", "lengths of netlink messages wrap", Elsewhere("`cargo test -p urunc-sys net::message`")),
    ("D-05", "taps, queues and filters of others", Tested),
    ("E-01", "a socket of the shim that others reach", Waits("the shim")),
    ("E-02", "modes of directories and files", Tested),
    ("E-03", "a long-lived process grows with repeated requests", Waits("the shim")),
    ("E-04", "a stranger on the handshake", Tested),
    ("E-05", "a guest floods its console", Tested),
    ("E-06", "a local user owns a part of a configured path", Tested),
    ("F-01", "Firecracker: options that open holes, releases that have some", Tested),
    ("F-02", "Cloud Hypervisor: kernels that its loader never ends with, releases with holes", Tested),
    ("F-03", "QEMU: unplanned devices, its monitor on the console", Tested),
    ("F-04", "shared files", Waits("volumes")),
    ("F-05", "KVM: what a guest sees of the processor", Tested),
    ("F-06", "errors in the built-in monitor: loader, mappings, ranges", Tested),
    ("F-07", "holes in crates below us", Waits("a RustSec check; no crate that the entry names is used")),
    ("F-08", "a monitor or guest that lies to the host", Tested),
];
