//! Lines at a guest's limit and one byte longer, and environments that are long or odd: carried, or refused by name.

use urunc_plan::PlanError;
use urunc_plan::cmdline::{LINUX_LIMIT, MULTIBOOT_LIMIT, SOLO5_LIMIT};
use urunc_plan::guest;

use super::boot;

/// Guests that are told their command, and the longest line of each, bytes.
const LONGEST: [(&str, usize); 7] = [
    ("hermit", MULTIBOOT_LIMIT),
    ("linux", LINUX_LIMIT),
    ("mirage", SOLO5_LIMIT),
    ("osv", MULTIBOOT_LIMIT),
    ("rumprun", SOLO5_LIMIT),
    ("solo5", SOLO5_LIMIT),
    ("unikraft", MULTIBOOT_LIMIT),
];

/// Guests that are told their environment, and what is wrong with each of: 33 variables, 1000, a double quote, a
/// closing bracket at the end, a newline, a NUL. Nothing: the guest sees it as it is.
const ENVIRONMENTS: [(&str, [&str; 6]); 5] = [
    ("hermit", ["", "the guest takes at most 8177", "", "", "", "NUL"]),
    ("linux", ["at most 31 variables", "at most 31 variables", "'\"'", "", "'\\n'", "'\\0'"]),
    ("osv", ["", "the guest takes at most 8177", "", "", "'\\n'", "'\\0'"]),
    ("rumprun", ["", "the guest takes at most 8191", "'\"'", "", "'\\n'", "'\\0'"]),
    ("unikraft", ["", "at most 58 words", "", "", "", "NUL"]),
];

fn line(name: &str, args: &[String], env: &[String]) -> Result<String, PlanError> {
    guest::find(name).unwrap().cmdline(&boot(args, env, ""))
}

#[test]
fn a_line_may_be_as_long_as_the_guest_takes_and_no_byte_longer() {
    for (name, longest) in LONGEST {
        let with = |bytes: usize| line(name, &["/app".to_owned(), "x".repeat(bytes)], &[]);
        let more = longest - with(1).unwrap().len();
        assert_eq!(with(1 + more).unwrap().len(), longest, "{name}");
        let refusal = with(2 + more).unwrap_err().to_string();
        let expected = format!("command line: {} bytes, the guest takes at most {longest}", longest + 1);
        assert_eq!(refusal, expected, "{name}");
    }
}

#[test]
fn an_environment_that_is_long_or_odd_is_carried_or_refused() {
    let many = |count: usize| (0..count).map(|index| format!("VAR{index}=")).collect::<Vec<_>>();
    let one = |value: &str| vec![format!("A={value}")];
    let environments = [many(33), many(1000), one("b\"c"), one("bc]"), one("b\nc"), one("b\0c")];
    for (name, expected) in ENVIRONMENTS {
        for (env, expected) in environments.iter().zip(expected) {
            let made = line(name, &["/app".to_owned()], env);
            let refusal = made.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refusal.starts_with("command line: ") || refusal.is_empty(), "{name}: {refusal}");
            assert!(
                refusal.contains(expected) && refusal.is_empty() == expected.is_empty(),
                "{name}: {refusal}"
            );
        }
    }
}
