//! What a monitor says over QMP, what its guest writes on the console, and the record that init makes of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc::exit::{self, Exit};
use urunc_plan::launch::StatusMap;
use urunc_plan::supervision::{Console, Ending, Evidence, Fate, Lines, Said, Text, hear};

fuzz_target!(|bytes: &[u8]| {
    let cut = usize::from(bytes.first().copied().unwrap_or(1)).max(1);
    let (mut console, mut lines) = (Console::default(), Lines::<256>::default());
    let (mut reason, mut seen) = (None, 0);
    for piece in bytes.chunks(cut) {
        console.feed(piece);
        lines.feed(piece, |line, whole| {
            assert!(line.len() <= 256);
            seen += 1;
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
    let statuses = StatusMap { debug_exit: true, ..StatusMap::default() }.table();
    for fate in [Fate::Exited(0), Fate::Exited(85), Fate::Killed(9)] {
        let ending = Ending::of(&Evidence {
            fate,
            shutdown: reason.as_ref().map(Text::bytes),
            panicked: false,
            broken: false,
            stop: None,
            oom: false,
            console: &console,
            statuses: &statuses,
        });
        let record = exit::record(&ending, console.tail());
        let read = Exit::parse(record.bytes().trim_ascii_end()).expect("our own record");
        assert_eq!((read.cause.as_str(), read.status), (ending.cause.name(), ending.status));
    }
    let _ = Exit::parse(bytes);
});
