//! Words survive: each guest's line goes through a model of that guest's own parser, and what comes out is what went in.
//! What cannot survive is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use urunc_plan::guest::{self, Boot};
use urunc_plan::machine::Board;

mod hermit;
mod limits;
mod linux;
mod osv;
mod unikraft;

/// What a program in the guest sees.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
}

fn boot<'a>(args: &'a [String], env: &'a [String], version: &'a str) -> Boot<'a> {
    Boot {
        args,
        env,
        cwd: "/",
        user: (0, 0),
        version,
        board: Board::Own,
        hostname: None,
        tap: None,
        initrd: true,
        disk: false,
        mount_point: "",
        readonly: false,
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z/=.-]{1,8}",
        "[ -~\t\n]{0,12}",
        "[ '\"\\\\\\]\\[=$;&a]{0,8}",
        Just("--".to_owned()),
        Just("caf\u{e9}".to_owned()),
        Just("na\u{ef}\u{a0}ve".to_owned()),
    ]
}

fn entry() -> impl Strategy<Value = String> {
    prop_oneof![("[A-Z_]{1,4}", word()).prop_map(|(name, value)| format!("{name}={value}")), word()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn words_survive_the_guests_parser(
        args in prop::collection::vec(word(), 1..6),
        env in prop::collection::vec(entry(), 0..5),
    ) {
        let line = |name: &str, version: &str| guest::find(name).unwrap().cmdline(&boot(&args, &env, version)).ok();
        let sent = |args: &[String]| Seen { args: args.to_vec(), env: env.clone() };
        for version in ["", "0.17.0"] {
            if let Some(line) = line("unikraft", version) {
                for releases in [unikraft::Quotes::Plain, unikraft::Quotes::Escapes] {
                    let seen = unikraft::parse(&format!("/guest/kernel {line}"), releases);
                    prop_assert_eq!(sorted(seen), sorted(sent(&args)), "{:?}", line);
                }
            }
        }
        // The program's name is the kernel's own there.
        if let Some(line) = line("unikraft", "0.13.1") {
            let seen = unikraft::parse(&line, unikraft::Quotes::Plain);
            prop_assert_eq!(sorted(seen), sorted(sent(&args[1..])), "{:?}", line);
        }
        if let Some(line) = line("hermit", "") {
            prop_assert_eq!(hermit::parse(&format!("/guest/kernel {line}")), sent(&args), "{:?}", line);
        }
        if let Some(line) = line("osv", "") {
            prop_assert_eq!(osv::parse(&line), sent(&args), "{:?}", line);
        }
        if let Some(line) = line("linux", "") {
            let seen = linux::parse(line.as_bytes());
            prop_assert_eq!(seen, sent(&args), "{:?}", line);
        }
    }
}

/// Entries that end with a bracket come last.
fn sorted(seen: Seen) -> Seen {
    let Seen { args, mut env } = seen;
    env.sort();
    Seen { args, env }
}

/// The refusals are narrow: what is usual in containers gets through.
#[test]
fn usual_words_are_carried_by_every_guest() {
    let args = ["/bin/sh", "-c", "a && b; c", "--flag=x y", "100%"].map(str::to_owned);
    let env = ["PATH=/usr/local/sbin:/bin", "TERM=xterm", "LIST=[a,b]", "URL=http://x:80/?a=b&c"]
        .map(str::to_owned);
    for guest in ["hermit", "linux", "mirage", "osv", "rumprun", "solo5", "unikraft"] {
        guest::find(guest).unwrap().cmdline(&boot(&args, &env, "")).unwrap_or_else(|error| panic!("{error}"));
    }
}
