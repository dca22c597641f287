//! How guests end: exit codes, faults, signals.

use crate::guest::{self, DATA, Step, WAIT, exit, image, print};
use crate::run::{End, Guest};

crate::tests! {
    prints_and_exits_with_its_status, old_abi_runs_too, entry_state_is_clean, reads_its_command_line,
    faults_are_deaths_by_signal, forbidden_calls_are_deaths_by_sigsys, every_terminating_signal_ends_a_guest,
    a_busy_guest_can_be_stopped, harmless_signals_do_nothing, first_process_in_an_empty_root,
    faults_kill_the_first_process_too, a_guest_cannot_hold_off_the_stop_signal,
    a_guest_cannot_spoil_the_signal_stack, the_console_may_be_gone,
}

fn prints_and_exits_with_its_status() {
    for status in [0, 42, 255, 256 + 7] {
        let end = Guest::new(&image(&[print(6), exit(status)], b"hello\n")).run();
        let code = i32::try_from(status & 0xff).unwrap();
        assert_eq!(end, End { code, out: "hello\n".to_owned(), err: "ready\n".to_owned() });
    }
}

fn old_abi_runs_too() {
    let mut image = image(&[print(3)], b"v1\n");
    image.version = 1;
    assert_eq!(Guest::new(&image).output(), b"v1\n");
}

fn entry_state_is_clean() {
    let guest = Guest::new(&image(&[Step::Entry((16 << 20) - 8)], b""));
    assert_eq!(guest.run().code, 0);
}

fn reads_its_command_line() {
    // Behind the boot information, 40 bytes, and a manifest of one entry, 8 + 104.
    let text = 0x1_1000 + 40 + 8 + 104;
    let show = |len: u64| Step::Call(libc::SYS_write, [1, text, len, 0, 0, 0], len.cast_signed());
    for cmdline in ["", "a", "--ipv4=10.0.0.2/24 \"quoted\" \u{e4}", &"x".repeat(8191)] {
        let mut guest = Guest::new(&image(&[show(cmdline.len() as u64 + 1)], b""));
        cmdline.clone_into(&mut guest.orders.plan.cmdline);
        assert_eq!(guest.run().out, format!("{cmdline}\0"));
    }
}

fn faults_are_deaths_by_signal() {
    let faults = [
        Step::Read(0),
        Step::Read(0xffff),
        Step::Read(16 << 20),
        Step::Read(0x7fff_ffff_e000),
        Step::Write(0x10_0000),
        Step::Write(0x2_4000),
        Step::Jump(DATA),
        Step::Jump(0x1_1000),
        Step::Jump((16 << 20) - 4096),
    ];
    for fault in faults {
        let end = Guest::new(&image(&[print(3), fault, print(3)], b"in\n")).run();
        assert_eq!((end.code, end.out.as_str()), (128 + libc::SIGSEGV, "in\n"));
    }
}

fn forbidden_calls_are_deaths_by_sigsys() {
    let write = libc::SYS_write;
    let calls = [
        (libc::SYS_getpid, [0; 6]),
        (write, [0, DATA, 1, 0, 0, 0]),
        (write, [2, DATA, 1, 0, 0, 0]),
        (write, [1 << 32 | 1, DATA, 1, 0, 0, 0]),
        (write | 0x4000_0000, [1, DATA, 1, 0, 0, 0]),
        (libc::SYS_read, [0, DATA, 1, 0, 0, 0]),
        (libc::SYS_exit, [0; 6]),
        (libc::SYS_munmap, [0x10_0000, 4096, 0, 0, 0, 0]),
        (libc::SYS_mprotect, [DATA, 4096, 7, 0, 0, 0]),
        (libc::SYS_rt_sigreturn, [0; 6]),
        (libc::SYS_arch_prctl, [0x1001, 0, 0, 0, 0, 0]),
        (libc::SYS_clock_gettime, [2, DATA, 0, 0, 0, 0]),
        (libc::SYS_epoll_pwait, [guest::TIMER, DATA, 1, 0, 0, 0]),
        (libc::SYS_timerfd_settime, [guest::EPOLL, 0, DATA, 0, 0, 0]),
        (-1, [0; 6]),
    ];
    for (number, arguments) in calls {
        let end = Guest::new(&image(&[Step::Try(number, arguments), print(3)], b"ok\n")).run();
        assert_eq!((end.code, end.out.as_str()), (128 + libc::SIGSYS, ""), "{number} {arguments:?}");
    }
}

fn every_terminating_signal_ends_a_guest() {
    use libc::{
        SIGABRT, SIGALRM, SIGHUP, SIGINT, SIGPIPE, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ,
    };
    let guest = Guest::new(&image(&[print(5), WAIT], b"idle\n"));
    let signals =
        [SIGABRT, SIGALRM, SIGHUP, SIGINT, SIGPIPE, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ];
    for signal in signals.into_iter().chain([32, 34, 64]) {
        let guest = guest.start();
        assert_eq!(guest.line, "idle\n");
        assert_eq!(guest.stop(signal), 128 + signal);
    }
}

fn a_busy_guest_can_be_stopped() {
    assert_eq!(Guest::new(&image(&[print(5), Step::Spin], b"busy\n")).start().stop(libc::SIGTERM), 143);
}

fn harmless_signals_do_nothing() {
    let guest = Guest::new(&image(&[print(5), WAIT, WAIT, WAIT, WAIT], b"idle\n")).start();
    for signal in [libc::SIGCHLD, libc::SIGWINCH, libc::SIGURG, libc::SIGCONT] {
        guest.signal(signal);
    }
    assert_eq!(guest.stop(libc::SIGTERM), 143);
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
        let guest = jailed(&[print(5), WAIT]).start();
        let status = guest.proc("status");
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(value("NSpid:").last().unwrap(), "1");
        assert_eq!(value("Uid:"), ["65534"; 4]);
        assert_eq!(
            (value("NoNewPrivs:"), value("Seccomp:"), value("Threads:")),
            (vec!["1".into()], vec!["2".into()], vec!["1".into()])
        );
        assert_eq!(value("CapEff:"), ["0000000000000000"]);
        assert_eq!(guest.stop(signal), 128 + signal);
    }
}

fn faults_kill_the_first_process_too() {
    assert_eq!(jailed(&[Step::Read(0)]).run().code, 139);
    assert_eq!(jailed(&[Step::Try(libc::SYS_getpid, [0; 6])]).run().code, 159);
    assert_eq!(jailed(&[exit(255)]).run().code, 255);
}

/// A signal mask in epoll_pwait would do it.
fn a_guest_cannot_hold_off_the_stop_signal() {
    let wait = Step::Try(libc::SYS_epoll_pwait, [guest::EPOLL, DATA + 0x1000, 4, u64::MAX, DATA, 8]);
    assert_eq!(Guest::new(&image(&[wait], &[0xff; 8])).run().code, 159);
}

/// The signal stack is in guest memory, at 0x30000: with the guest's own stack in its last bytes there would be no
/// room for a frame.
fn a_guest_cannot_spoil_the_signal_stack() {
    for stack in [0x3_0000, 0x3_0100, 0x3_ffff, 0, u64::MAX] {
        let steps = [Step::Write(0x3_0000), print(5), Step::Stack(stack), Step::Spin];
        assert_eq!(Guest::new(&image(&steps, b"busy\n")).start().stop(libc::SIGTERM), 143, "{stack:#x}");
    }
}

/// A guest whose reader has gone ends as any program does.
fn the_console_may_be_gone() {
    let again = Step::Try(libc::SYS_write, [1, DATA, 5, 0, 0, 0]);
    let mut guest = Guest::new(&image(&[print(5), again, WAIT], b"once\n")).start();
    guest.hang_up();
    // The second line came before or after the end of the pipe.
    let code = guest.stop(libc::SIGTERM);
    assert!(code == 128 + libc::SIGTERM || code == 128 + libc::SIGPIPE, "{code}");
}
