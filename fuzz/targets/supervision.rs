//! What a monitor says over QMP, as events, in its log and to a request; what its guest writes on the console; and the
//! record that init makes of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc::exit::{self, Exit};
use urunc_plan::launch::{StatusMap, Voice};
use urunc_plan::supervision::{
    Answer, Console, Ending, Events, Evidence, Fate, Lines, Log, REBOOTING, Said, Text, hear,
};

fuzz_target!(|bytes: &[u8]| {
    let cut = usize::from(bytes.first().copied().unwrap_or(1)).max(1);
    let (mut console, mut lines) = (Console::default(), Lines::<256>::default());
    let (mut events, mut log, mut answer) = (Events::default(), Log::default(), Answer::default());
    let (mut reason, mut seen) = (None, 0);
    for piece in bytes.chunks(cut) {
        console.feed(piece);
        log.feed(piece);
        answer.feed(piece);
        lines.feed(piece, |line, whole| {
            assert!(line.len() <= 256);
            seen += 1;
            if events.hear(line, whole) == Said::Rebooting {
                reason = Some(Text::<32>::cut(REBOOTING));
            }
            match hear(line) {
                Said::Shutdown(why) if whole => reason = Some(Text::<32>::cut(why)),
                said => drop(said.port()),
            }
        });
    }
    // However it is cut, it is the same.
    assert_eq!(seen, bytes.iter().filter(|byte| **byte == b'\n').count());
    let mut whole = Console::default();
    whole.feed(bytes);
    assert_eq!((whole.panic(), whole.restarted()), (console.panic(), console.restarted()));
    assert_eq!(whole.tail().concat(), console.tail().concat());
    let mut read = Log::default();
    read.feed(bytes);
    assert_eq!(log.last(), read.last());
    assert_eq!(answer.accepted() == Some(true), bytes.starts_with(b"HTTP/1.1 2"));
    let statuses = StatusMap { debug_exit: true, ..StatusMap::default() }.table();
    let voices =
        [Voice::Status, Voice::Qmp, Voice::Firecracker, Voice::CloudHypervisor, Voice::Solo5].into_iter();
    let fates = [Fate::Exited(0), Fate::Exited(1), Fate::Exited(85), Fate::Killed(9)];
    for (voice, fate) in voices.flat_map(|voice| fates.map(|fate| (voice, fate))) {
        let ending = Ending::of(&Evidence {
            voice,
            fate,
            shutdown: reason.as_ref().map(Text::bytes),
            panicked: false,
            broken: false,
            stop: None,
            oom: false,
            console: &console,
            log: Some(&log),
            statuses: &statuses,
        });
        let record = exit::record(&ending, console.tail());
        let read = Exit::parse(record.bytes().trim_ascii_end()).expect("our own record");
        assert_eq!((read.cause.as_str(), read.status), (ending.cause.name(), ending.status));
    }
    let _ = Exit::parse(bytes);
});
