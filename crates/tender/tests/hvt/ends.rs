//! How guests end: exit codes, faults, signals.

use crate::guest::{DATA, Step, exit, image, print, wait};
use crate::run::{End, Guest};

crate::tests! {
    prints_and_exits_with_its_status, old_abi_runs_too, entry_state_is_clean, reads_its_boot_information,
    faults_end_it_in_a_line_that_names_them, every_terminating_signal_ends_a_guest, a_busy_guest_can_be_stopped,
    harmless_signals_do_nothing, first_process_in_an_empty_root, first_process_that_is_busy,
    the_console_may_be_gone,
}

fn prints_and_exits_with_its_status() {
    for status in [0, 42, 255, 256 + 7] {
        let end = Guest::new(&image(&[print(6), exit(status)].concat(), b"hello\n")).run();
        let code = i32::try_from(status & 0xff).unwrap();
        assert_eq!(end, End { code, out: "hello\n".to_owned(), err: "ready\n".to_owned() });
    }
}

fn old_abi_runs_too() {
    let mut image = image(&print(3), b"v1\n");
    image.version = 1;
    assert_eq!(Guest::new(&image).output(), b"v1\n");
}

fn entry_state_is_clean() {
    let guest = Guest::new(&image(&[Step::Entry((16 << 20) - 8)], b""));
    assert_eq!(guest.run().code, 0);
}

/// The 56 bytes of Solo5 0.11 at 0x10000, manifest and command line behind.
fn reads_its_boot_information() {
    const INFO: u64 = 0x1_0000;
    let (manifest, text) = (INFO + 56, INFO + 56 + 8 + 104);
    for cmdline in ["", "a", "--ipv4=10.0.0.2/24 \"quoted\" \u{e4}", &"x".repeat(8191)] {
        let mut steps = vec![
            Step::Expect(INFO, 16 << 20),
            Step::Expect(INFO + 8, 0x11_5000),
            Step::Expect(INFO + 24, text),
            Step::Expect(INFO + 32, manifest),
            Step::Expect(INFO + 40, 0),
            Step::Expect(INFO + 48, 0),
            Step::Expect(manifest, 1 << 32 | 1),
        ];
        steps.extend(crate::guest::call(2, &[text, cmdline.len() as u64 + 1]));
        let mut guest = Guest::new(&image(&steps, b""));
        cmdline.clone_into(&mut guest.orders.plan.cmdline);
        let end = guest.run();
        assert_eq!((end.code, end.out), (0, format!("{cmdline}\0")));
    }
}

/// What the guest says before, and the beginning of the line about its end.
fn cause_of(step: Step) -> String {
    let end = Guest::new(&image(&[print(3), vec![step], print(3)].concat(), b"in\n")).run();
    assert_eq!((end.code, end.out.as_str()), (1, "in\n"), "{step:?}: {}", end.err);
    let line = end.err.strip_prefix("ready\n").unwrap().strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    line.strip_prefix("solo5-hvt: ").unwrap().to_owned()
}

fn faults_end_it_in_a_line_that_names_them() {
    // Nothing is mapped below 64 KiB and behind the end, and what the tender left is not written to.
    let unmapped = [Step::Read(0), Step::Read(0xffff), Step::Read(16 << 20), Step::Write(0x1_0000)];
    for step in unmapped.into_iter().chain([Step::Jump(0), Step::Undefined, Step::Read(1 << 63)]) {
        assert!(cause_of(step).starts_with("triple fault"), "{step:?}");
    }
    // Emulated and hardware KVM differ in how they say it.
    let text = cause_of(Step::Write(0x10_0000));
    let known = ["forbidden write to address 0x100000", "host/guest translation fault"];
    assert!(known.iter().any(|cause| text.starts_with(cause)), "{text}");
    assert!(cause_of(Step::Halt).starts_with("halted without an exit status"));
    for (step, port) in [
        (Step::OutByte(0x502), 0x502),
        (Step::OutByte(0x80), 0x80),
        (Step::In(0x502), 0x502),
        (Step::Call(0, DATA), 0x500),
        (Step::Call(9, DATA), 0x509),
        (Step::Call(0x100, DATA), 0x600),
        (Step::Call(0xfaff, DATA), 0xffff),
    ] {
        let cause = cause_of(step);
        assert!(cause.starts_with(&format!("port {port:#x} is no hypercall")), "{step:?}: {cause}");
    }
}

fn every_terminating_signal_ends_a_guest() {
    use libc::{SIGABRT, SIGALRM, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
    let guest = Guest::new(&image(&[print(5), wait()].concat(), b"idle\n"));
    let signals = [SIGABRT, SIGALRM, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ];
    for signal in signals.into_iter().chain([32, 34, 64]) {
        let guest = guest.start();
        assert_eq!((guest.line.as_str(), guest.said.len()), ("idle\n", 1));
        assert_eq!(guest.stop(signal), 128 + signal);
    }
}

fn a_busy_guest_can_be_stopped() {
    let guest = Guest::new(&image(&[print(5), vec![Step::Spin]].concat(), b"busy\n"));
    for signal in [libc::SIGTERM, libc::SIGINT] {
        assert_eq!(guest.start().stop(signal), 128 + signal);
    }
}

/// A stop and its end interrupt KVM_RUN and epoll_pwait; the guest does not notice.
fn harmless_signals_do_nothing() {
    for last in [wait(), vec![Step::Spin]] {
        let guest = Guest::new(&image(&[print(5), last].concat(), b"idle\n")).start();
        for signal in [libc::SIGCHLD, libc::SIGWINCH, libc::SIGURG, libc::SIGSTOP, libc::SIGCONT] {
            guest.signal(signal);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(guest.stop(libc::SIGTERM), 143);
    }
}

/// In a pid namespace, as user 65534, in an empty root without /proc.
fn jailed(steps: &[Step]) -> Guest {
    let mut guest = Guest::new(&image(steps, b"idle\n"));
    let root = guest.path("root");
    std::fs::create_dir(&root).unwrap();
    guest.orders.pid1_in = Some(root);
    guest
}

fn first_process_in_an_empty_root() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, 64] {
        let guest = jailed(&[print(5), wait()].concat()).start();
        let status = guest.proc("status");
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(value("NSpid:").last().unwrap(), "1");
        assert_eq!(value("Uid:"), ["65534"; 4]);
        assert_eq!((value("NoNewPrivs:"), value("Seccomp:")), (vec!["1".into()], vec!["2".into()]));
        assert_eq!(value("CapEff:"), ["0000000000000000"]);
        assert_eq!(guest.stop(signal), 128 + signal);
    }
    assert_eq!(jailed(&exit(255)).run().code, 255);
    assert_eq!(jailed(&[Step::Undefined]).run().code, 1);
}

fn first_process_that_is_busy() {
    assert_eq!(jailed(&[print(5), vec![Step::Spin]].concat()).start().stop(libc::SIGTERM), 143);
}

/// A guest whose reader has gone ends as any program does.
fn the_console_may_be_gone() {
    let guest = Guest::new(&image(&[print(5), print(5), exit(3)].concat(), b"once\n"));
    let mut running = guest.start();
    running.hang_up();
    let code = running.wait();
    // The second line came before or after the end of the pipe.
    assert!(code == 3 || code == 128 + libc::SIGPIPE, "{code}");
}
