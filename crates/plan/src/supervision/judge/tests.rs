use super::*;
use crate::launch::StatusMap;
use crate::supervision::Console;

fn judge(change: impl FnOnce(&mut Evidence<'_>), said: &str, statuses: &StatusMap) -> (&'static str, u8) {
    judge_with_log("", change, said, statuses)
}

fn judge_with_log(
    logged: &str,
    change: impl FnOnce(&mut Evidence<'_>),
    said: &str,
    statuses: &StatusMap,
) -> (&'static str, u8) {
    let (mut console, mut log) = (Console::default(), Log::default());
    console.feed(said.as_bytes());
    log.feed(logged.as_bytes());
    let mut seen = Evidence {
        voice: Voice::Qmp,
        fate: Fate::Exited(0),
        shutdown: None,
        panicked: false,
        broken: false,
        stop: None,
        oom: false,
        console: &console,
        log: Some(&log),
        statuses: &statuses.table(),
    };
    change(&mut seen);
    let ending = Ending::of(&seen);
    (ending.cause.name(), ending.status)
}

#[test]
fn every_end_has_one_cause() {
    let none = StatusMap::default();
    let reset = |said: &str| judge(|seen| seen.shutdown = Some(b"guest-reset"), said, &none);
    let panic = "Kernel panic - not syncing: ";
    assert_eq!(judge(|seen| seen.shutdown = Some(b"guest-shutdown"), "", &none), ("power-off", 0));
    // Words on the console prove nothing about a power-off.
    assert_eq!(judge(|seen| seen.shutdown = Some(b"guest-shutdown"), panic, &none), ("power-off", 0));
    assert_eq!(reset(""), ("reset", 255));
    assert_eq!(reset("reboot: Restarting system\n"), ("reboot", 0));
    assert_eq!(reset(&format!("{panic}VFS\nreboot: Restarting system\n")), ("panic", 255));
    assert_eq!(reset(&format!("{panic}Attempted to kill init! exitcode=0x00002a00\n")), ("exit", 42));
    assert_eq!(judge(|seen| seen.panicked = true, "", &none), ("panic", 255));
    assert_eq!(judge(|seen| seen.shutdown = Some(b"guest-panic"), "", &none), ("panic", 255));
    assert_eq!(judge(|seen| seen.shutdown = Some(b"host-qmp-quit"), "", &none), ("monitor", 0));
    // Another one's word.
    assert_eq!(judge(|seen| seen.shutdown = Some(REBOOTING), "", &none), ("monitor", 0));
    assert_eq!(judge(|_| (), "", &none), ("monitor", 0));
}

#[test]
fn signals_and_statuses() {
    let none = StatusMap::default();
    let killed = |signal, oom, stop| {
        judge(|seen| (seen.fate, seen.oom, seen.stop) = (Fate::Killed(signal), oom, stop), "", &none)
    };
    assert_eq!(killed(9, true, None), ("oom", 137));
    assert_eq!(killed(9, false, None), ("monitor", 137));
    assert_eq!(killed(9, false, Some(15)), ("stopped", 143));
    assert_eq!(killed(31, false, None), ("seccomp", 159));
    // The limit was hit, but that did not end it.
    assert_eq!(killed(11, true, None), ("monitor", 139));
    let stop = |seen: &mut Evidence<'_>| (seen.stop, seen.shutdown) = (Some(2), Some(&b"host-signal"[..]));
    assert_eq!(judge(stop, "", &none), ("stopped", 130));
    // It was asked to power off, and did.
    let asked =
        |seen: &mut Evidence<'_>| (seen.stop, seen.shutdown) = (Some(15), Some(&b"guest-shutdown"[..]));
    assert_eq!(judge(asked, "", &none), ("power-off", 0));
    let broken = |seen: &mut Evidence<'_>| (seen.fate, seen.broken) = (Fate::Killed(9), true);
    assert_eq!(judge(broken, "", &none), ("monitor", 1));
    let mapped = StatusMap { exact: [(3, 0)].into(), debug_exit: true };
    let exit = |code| judge(|seen| seen.fate = Fate::Exited(code), "", &mapped);
    assert_eq!([exit(3), exit(85), exit(2)], [("exit", 0), ("exit", 42), ("monitor", 2)]);
    // QEMU fails so before a guest can speak.
    let mapped = StatusMap { exact: [(1, 0)].into(), debug_exit: true };
    let failed = |said| judge(|seen| seen.fate = Fate::Exited(1), said, &mapped);
    assert_eq!([failed(""), failed("mewz\n")], [("monitor", 1), ("exit", 0)]);
}

const PANIC: &str = "Kernel panic - not syncing: Fatal exception\n";
const INIT: &str = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00002a00\n";
const TRIPLE: &str = "[a:fc_vcpu 0] Unexpected exit reason on vcpu run: Shutdown\n";
const OFF: &str = "<vmm> INFO:vmm/src/lib.rs:1 -- VM guest exit event\n";

fn firecracker(fate: Fate, logged: &str, said: &str, stop: Option<u8>) -> (&'static str, u8) {
    let change =
        |seen: &mut Evidence<'_>| (seen.voice, seen.fate, seen.stop) = (Voice::Firecracker, fate, stop);
    judge_with_log(logged, change, said, &StatusMap::default())
}

#[test]
fn firecracker_tells_a_fault_in_its_log() {
    let exited = |code, logged: &str, said: &str| firecracker(Fate::Exited(code), logged, said, None);
    assert_eq!(exited(0, "", ""), ("reset", 0));
    assert_eq!(exited(0, "", PANIC), ("panic", 255));
    assert_eq!(exited(0, "", INIT), ("exit", 42));
    assert_eq!(exited(0, "", "reboot: Restarting system\n"), ("reboot", 0));
    // Either status, whatever was on the console.
    assert_eq!([0, 1].map(|code| exited(code, TRIPLE, PANIC)), [("triple-fault", 255); 2]);
    let broken = "Received KVM_EXIT_INTERNAL_ERROR signal\n";
    assert_eq!([0, 1].map(|code| exited(code, broken, "")), [("monitor", 1); 2]);
    assert_eq!(exited(148, "", ""), ("seccomp", 159));
    assert_eq!(exited(1, "", ""), ("monitor", 1));
    assert_eq!(exited(150, TRIPLE, ""), ("monitor", 150));
    let asked = Some(15);
    assert_eq!(firecracker(Fate::Exited(0), "", "", asked), ("reset", 0));
    assert_eq!(firecracker(Fate::Killed(15), "", "", asked), ("stopped", 143));
    assert_eq!(firecracker(Fate::Killed(15), "", "", None), ("monitor", 143));
    let unread = |seen: &mut Evidence<'_>| (seen.voice, seen.log) = (Voice::Firecracker, None);
    assert_eq!(judge(unread, "", &StatusMap::default()), ("monitor", 0));
}

#[test]
fn cloud_hypervisor_tells_a_power_off_in_its_log_and_a_reset_by_an_event() {
    let judge = |logged: &str, said: &str, change: fn(&mut Evidence<'_>)| {
        let change = |seen: &mut Evidence<'_>| {
            seen.voice = Voice::CloudHypervisor;
            change(seen);
        };
        judge_with_log(logged, change, said, &StatusMap::default())
    };
    let reset = |seen: &mut Evidence<'_>| (seen.shutdown, seen.fate) = (Some(REBOOTING), Fate::Killed(9));
    assert_eq!(judge(OFF, PANIC, |_| ()), ("power-off", 0));
    assert_eq!(judge(OFF, "", |seen| seen.stop = Some(15)), ("power-off", 0));
    assert_eq!(judge("", "", |seen| seen.stop = Some(15)), ("stopped", 143));
    assert_eq!(judge("", "", |_| ()), ("monitor", 0));
    assert_eq!(judge(OFF, "", |seen| seen.fate = Fate::Exited(1)), ("monitor", 1));
    assert_eq!(judge(OFF, "", |seen| seen.panicked = true), ("panic", 255));
    assert_eq!(judge("-- VCPU generated error: x\n", "", |_| ()), ("monitor", 1));
    assert_eq!(judge("", "", reset), ("reset", 0));
    assert_eq!(judge("", INIT, reset), ("exit", 42));
    assert_eq!(judge("-- Guest likely triple-faulted\n", "", reset), ("triple-fault", 255));
    assert_eq!(judge("", "", |seen| (seen.shutdown, seen.log) = (Some(REBOOTING), None)), ("monitor", 255));
    // It says so, and crashes.
    assert_eq!(
        judge("", "", |seen| (seen.shutdown, seen.fate) = (Some(REBOOTING), Fate::Killed(11))),
        ("monitor", 139)
    );
}

#[test]
fn a_tender_ends_as_its_guest() {
    let tender = |code, logged: &str, stop| {
        let change = |seen: &mut Evidence<'_>| {
            (seen.voice, seen.fate, seen.stop) = (Voice::Solo5, Fate::Exited(code), stop);
        };
        judge_with_log(logged, change, "", &StatusMap::default())
    };
    let said = "solo5-hvt: warning\n";
    assert_eq!([0, 1, 42, 255].map(|code| tender(code, "", None).1), [0, 1, 42, 255]);
    assert_eq!(tender(1, "", None), ("exit", 1));
    assert_eq!(tender(1, said, None), ("monitor", 1));
    assert_eq!(tender(42, said, None), ("exit", 42));
    assert_eq!(tender(1, "solo5-hvt: Exiting on signal 15\n", Some(15)), ("stopped", 143));
}
