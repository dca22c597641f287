//! Signal names and numbers, see signal(7).

/// Names without `SIG`, by number on x86_64 and aarch64; aliases follow the table.
static NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
static ALIASES: [(&str, i32); 3] = [("IOT", 6), ("CLD", 17), ("POLL", 29)];
/// First real-time signal that a program with a C library may use (32 and 33 are the library's own).
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// The number of a signal given by number or by name, with or without `SIG`, in either case; `RTMIN+n` and
/// `RTMAX-n` too. `None` if there is no such signal; 0 is none.
pub fn parse(text: &str) -> Option<i32> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().filter(|n| (1..=RTMAX).contains(n));
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let plain = NAMES.iter().zip(1..).find(|(n, _)| **n == name).map(|(_, number)| number);
    let alias = || ALIASES.iter().find(|(n, _)| *n == name).map(|(_, number)| *number);
    plain.or_else(alias).or_else(|| real_time(name))
}

fn real_time(name: &str) -> Option<i32> {
    let (base, offset) = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => (RTMIN, rest),
        (_, Some(rest)) => (RTMAX, rest),
        _ => return None,
    };
    let number = match offset.as_bytes() {
        [] => base,
        [b'+' | b'-', b'0'..=b'9', ..] => base + offset.parse::<i8>().ok().map(i32::from)?,
        _ => return None,
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

/// Does its default action end a process? Not that of SIGCHLD, SIGCONT, SIGURG, SIGWINCH and the stop signals
/// (signal(7)).
pub fn ends_a_process(number: i32) -> bool {
    !matches!(number, 17..=23 | 28)
}

/// The name with `SIG`, as `state` and messages show it.
pub fn name(number: i32) -> String {
    match usize::try_from(number).ok().and_then(|n| NAMES.get(n.wrapping_sub(1))) {
        Some(name) => format!("SIG{name}"),
        None if (RTMIN..=RTMAX).contains(&number) => format!("SIGRTMIN+{}", number - RTMIN),
        None => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let cases = [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigterm", 15),
            ("kill", 9),
            ("9", 9),
            ("64", 64),
            ("SIGIOT", 6),
            ("CLD", 17),
            ("POLL", 29),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmax-1", 63),
            ("RTMAX", 64),
        ];
        for (text, number) in cases {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in [
            "", "0", "65", "-9", "SIG", "SIGFOO", "TERM ", "RTMIN+31", "RTMAX+1", "RTMIN+", "RTMIN3", "9x",
            "RTMIN+-1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_name_is_read_back() {
        for number in (1..=31).chain(34..=64) {
            assert_eq!(parse(&name(number)), Some(number));
        }
        assert_eq!(name(0), "signal 0");
        assert_eq!(name(33), "signal 33");
    }
}
