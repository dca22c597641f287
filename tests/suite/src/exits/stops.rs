//! Twenty stops in a row of each monitor, as process 1 or beside it: how each ends, and how long it takes, which is shown.
#![allow(clippy::print_stdout)]

use super::{LISTEN, POWER_OFF, SAY, WAIT, debian, ends, guest, vmm};
use crate::bundle::Bundle;
use crate::command::{until, until_patiently};
use crate::container::Container;
use crate::harness::{Case, REPORT};
use crate::image::{KERNEL, LINUX, elf64, replaced};
use crate::sandbox::{Sandbox, text};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::time::{Duration, Instant};

const ROUNDS: usize = 20;
/// No stop may take this long.
const HANG: Duration = Duration::from_mins(1);
const STOPPED: (&str, i32) = ("stopped", 143);

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn(&Sandbox)| {
        Case::new("exits", format!("twenty-stops-{name}"), move |s: &Sandbox| run(s))
    };
    vec![
        case("in-a-row", |s| twenty(s, &guest(s, &[]), STOPPED)),
        case("of-qemu-with-a-power-button", |s| {
            let code = [&LISTEN[..], &SAY, &WAIT, &POWER_OFF].concat();
            rounds(s, &guest(s, &code), ("power-off", 0), |c, _| {
                until("the guest listens", || said(c).contains('!'));
            });
        }),
        case("of-linux-on-qemu", |s| {
            // A little later each time.
            rounds(s, &debian(s, &["/bin/sleep", "1000"]), STOPPED, |c, round| {
                until_patiently("linux boots", || said(c).len() > 300 * round);
            });
        }),
        case("of-spt", |s| twenty(s, &s.bundle("b").spt("idle"), ("exit", 143))),
        case("of-hvt", |s| twenty(s, &s.bundle("b").hvt("idle"), ("exit", 143))),
        case("of-solo5-spt", |s| twenty(s, &vmm::bundle(s, "solo5-spt", &[]), STOPPED)),
        case("of-solo5-hvt", |s| twenty(s, &vmm::bundle(s, "solo5-hvt", &[]), STOPPED)),
        case("of-firecracker", |s| twenty(s, &vmm::bundle(s, vmm::FIRECRACKER, &[]), ("reset", 0))),
        case("of-cloud-hypervisor", |s| {
            twenty(s, &vmm::bundle(s, vmm::CLOUD_HYPERVISOR, &[]), ("power-off", 0));
        }),
        case("of-firecracker-with-a-guest-that-cannot-be-asked", |s| {
            let bundle = vmm::bundle(s, vmm::FIRECRACKER, &["api:unheard"]);
            let keys =
                replaced(&replaced(&LINUX, "hypervisor", vmm::FIRECRACKER), "unikernelType", "unikraft");
            std::fs::write(bundle.rootfs().join(KERNEL), elf64(false, false)).expect("a kernel of nobody's");
            twenty(s, &bundle.keys(&keys), STOPPED);
        }),
        case("of-cloud-hypervisor-that-refuses", |s| {
            twenty(s, &vmm::bundle(s, vmm::CLOUD_HYPERVISOR, &["api:refuses"]), STOPPED);
        }),
    ]
}

fn said(c: &Container<'_>) -> String {
    text(&c.sandbox.dir.join("console"))
}

fn twenty(s: &Sandbox, bundle: &Bundle, end: (&str, i32)) {
    rounds(s, bundle, end, |_, _| ());
}

/// Who ends by the first signal was not killed.
fn rounds(s: &Sandbox, bundle: &Bundle, end: (&str, i32), before: impl Fn(&Container<'_>, usize)) {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let c = s.container("a", bundle);
        c.create().ok();
        let output = s.last_output().with_extension("out");
        let console = s.dir.join("console");
        std::fs::remove_file(&console).ok();
        std::os::unix::fs::symlink(output, console).expect("a link");
        c.start().ok();
        before(&c, round);
        let pid = Pid::from_raw(c.pid()).expect("a pid");
        let process = pidfd_open(pid, PidfdFlags::empty()).expect("a process");
        let begin = Instant::now();
        c.kill("TERM").ok();
        let ended = urunc_sys::process::wait_readable(&[std::os::fd::AsFd::as_fd(&process)], Some(HANG));
        assert_eq!(ended.expect("poll"), [true], "round {round}");
        times.push(begin.elapsed());
        let detail = ends(&c, end);
        assert!(detail.is_empty() || end != STOPPED, "round {round}: {detail}");
    }
    times.sort();
    let at = |hundredth: usize| times[(times.len() * hundredth).div_ceil(100) - 1];
    println!("{REPORT}{ROUNDS} stops: p50 {:?}, p99 {:?}", at(50), at(99));
}
