use super::*;
use std::os::unix::ffi::OsStringExt;

fn run(line: &str) -> Result<Invocation, Box<Usage>> {
    parse(std::iter::once(PROGRAM).chain(line.split_whitespace()).map(OsString::from))
}
fn command(line: &str) -> Command {
    run(line).unwrap_or_else(|e| panic!("{line}: {e:?}")).command
}
fn text(line: &str) -> String {
    match command(line) {
        Command::Text(text) => text,
        other => panic!("{line}: {other:?}"),
    }
}
fn launch(id: &str) -> Launch {
    Launch {
        id: id.into(),
        bundle: ".".into(),
        console_socket: None,
        pid_file: None,
        pidfd_socket: None,
        no_pivot: false,
        no_new_keyring: false,
        preserve_fds: 0,
    }
}

#[test]
fn as_engines_call_it() {
    let found = run(
        "--root /run/docker/runtime-runc/moby --log /b/log.json --log-format json --systemd-cgroup create \
         --bundle /b --pid-file /b/init.pid --console-socket /b/pty.sock --no-pivot --no-new-keyring 0123abc",
    )
    .unwrap();
    assert_eq!(
        found.global,
        Global {
            root: "/run/docker/runtime-runc/moby".into(),
            log: Some("/b/log.json".into()),
            log_format: LogFormat::Json,
            systemd_cgroup: true,
            ..Global::default()
        }
    );
    assert_eq!(
        found.command,
        Command::Create(Launch {
            bundle: "/b".into(),
            pid_file: Some("/b/init.pid".into()),
            console_socket: Some("/b/pty.sock".into()),
            no_pivot: true,
            no_new_keyring: true,
            ..launch("0123abc")
        })
    );
    assert_eq!(
        command("--log l --log-format json delete --force x"),
        Command::Delete { id: "x".into(), force: true }
    );
    assert_eq!(
        command("--cgroup-manager=cgroupfs --rootless true --criu /c kill x 15"),
        Command::Kill { id: "x".into(), signal: 15, all: false }
    );
    assert_eq!(run("list").unwrap().global, Global::default());
}

#[test]
fn flags_stand_anywhere_after_the_command() {
    let wanted = Command::Run {
        launch: Launch { bundle: "/b".into(), preserve_fds: 2, ..launch("x") },
        detach: true,
        keep: true,
        no_subreaper: false,
    };
    for line in [
        "run -d --keep -b /b --preserve-fds 2 x",
        "run x --detach --keep --bundle=/b --preserve-fds=2",
        "run --keep x -d -b/b --preserve-fds 2",
        "run --keep=true --no-subreaper=false -db /b --preserve-fds 9 --preserve-fds 2 -- x",
    ] {
        assert_eq!(command(line), wanted, "{line}");
    }
    assert_eq!(command("start -- -x"), Command::Start { id: "-x".into() });
}

#[test]
fn verbatim_after_the_id() {
    let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    assert_eq!(
        command("ps -f json x -ef --help"),
        Command::Ps { id: "x".into(), format: Format::Json, args: args(&["-ef", "--help"]) }
    );
    assert_eq!(
        command("exec --tty -e A=1 --process p.json -u 1:1 --cap CAP_KILL x ls -l -- -h"),
        Command::Exec { id: "x".into(), args: args(&["ls", "-l", "--", "-h"]) }
    );
}

#[test]
fn every_other_command() {
    let id = || "x".to_owned();
    let cases = [
        ("state x", Command::State { id: id() }),
        ("kill x", Command::Kill { id: id(), signal: 15, all: false }),
        ("kill -a x SIGRTMIN+3", Command::Kill { id: id(), signal: 37, all: true }),
        ("kill x hup --all", Command::Kill { id: id(), signal: 1, all: true }),
        ("delete x", Command::Delete { id: id(), force: false }),
        ("list -q -f json", Command::List { format: Format::Json, quiet: true }),
        ("list", Command::List { format: Format::Table, quiet: false }),
        ("features", Command::Features),
        ("spec -b /d --rootless", Command::Spec { bundle: "/d".into(), rootless: true }),
        ("doctor --security", Command::Doctor { security: true }),
        ("pause x", Command::Unbuilt { name: "pause", id: id() }),
        ("update --memory 1 -r - x", Command::Unbuilt { name: "update", id: id() }),
        ("events --stats --interval 1s x", Command::Unbuilt { name: "events", id: id() }),
        ("checkpoint --image-path /i --leave-running x", Command::Unbuilt { name: "checkpoint", id: id() }),
        ("restore -d --image-path /i --bundle /b x", Command::Unbuilt { name: "restore", id: id() }),
    ];
    for (line, wanted) in cases {
        let found = command(line);
        assert_eq!(found, wanted, "{line}");
        assert_eq!(
            found.id(),
            line.contains('x').then_some("x").filter(|_| !line.starts_with("features")),
            "{line}"
        );
    }
    let planned = Planned {
        id: None,
        bundle: "/b".into(),
        json: true,
        host: Some("h".into()),
        net: None,
        request: None,
    };
    assert_eq!(command("plan --bundle /b --json --host h"), Command::Plan(planned));
}

#[test]
fn refusals() {
    let cases = [
        ("frob x", 3, false, "No help topic for 'frob'"),
        ("help frob", 3, false, "No help topic for 'frob'"),
        ("man frob", 3, false, "No help topic for 'frob'"),
        ("--bogus list", 1, true, "flag provided but not defined: -bogus"),
        ("list --bogus", 1, true, "flag provided but not defined: -bogus"),
        ("list -x", 1, true, "flag provided but not defined: -x"),
        ("list --root /x", 1, true, "flag provided but not defined: -root"),
        ("--root", 1, true, "flag needs an argument: --root"),
        ("create x -b", 1, true, "flag needs an argument: --bundle"),
        ("create --no-pivot=maybe x", 1, true, "invalid boolean value \"maybe\" for --no-pivot"),
        ("create x --preserve-fds -1", 1, true, "--preserve-fds: \"-1\" is not a count"),
        ("state", 1, true, "urunc: \"state\" requires exactly 1 argument(s)"),
        ("state a b", 1, true, "urunc: \"state\" requires exactly 1 argument(s)"),
        ("list a", 1, true, "urunc: \"list\" requires exactly 0 argument(s)"),
        ("kill", 1, true, "urunc: \"kill\" requires a minimum of 1 argument(s)"),
        ("kill a 9 9", 1, true, "urunc: \"kill\" requires a maximum of 2 argument(s)"),
        ("kill a FOO", 1, false, "unknown signal \"FOO\""),
        ("kill a 0", 1, false, "unknown signal \"0\""),
        ("kill a 65", 1, false, "unknown signal \"65\""),
        ("state a/b", 1, false, "invalid container ID format: \"a/b\""),
        ("exec ..", 1, false, "invalid container ID format: \"..\""),
        ("list -f yaml", 1, false, "invalid format option \"yaml\", use table or json"),
        ("--log-format=x list", 1, false, "invalid log-format: \"x\", use text or json"),
        ("--rootless x list", 1, false, "--rootless: \"x\" is none of true, false, auto"),
        ("--root /.. list", 1, false, "--root: / cannot hold the state of containers"),
        (
            "plan x --bundle /b",
            1,
            true,
            "plan: give a container id or a bundle or a request, not two of them",
        ),
        ("completion csh", 1, true, "completion: no such shell \"csh\""),
    ];
    for (line, code, help, message) in cases {
        let usage = run(line).expect_err(line);
        assert_eq!((usage.code, usage.message.as_str()), (code, message), "{line}");
        assert_eq!(!usage.help.is_empty(), help, "{line}");
        assert!(!help || usage.help.starts_with(&format!("Incorrect Usage: {message}\n\nNAME:")), "{line}");
    }
}

#[test]
fn odd_words() {
    let parts = |words: &[&[u8]]| {
        let words = words.iter().map(|w| OsString::from_vec(w.to_vec())).collect::<Vec<_>>();
        parse(words.into_iter()).map(|i| i.command).map_err(|e| (e.code, e.message))
    };
    let refused = |code, message: &str| Err((code, message.to_owned()));
    assert_eq!(parts(&[b"urunc", b"start", b""]), refused(1, "container id cannot be empty"));
    assert_eq!(
        parts(&[b"urunc", b"start", b"\xff"]),
        refused(1, "invalid container ID format: \"\u{fffd}\"")
    );
    assert_eq!(parts(&[b"urunc", b"a\nb"]), refused(3, "No help topic for 'a\\nb'"));
    assert!(parts(&[b"urunc", b"--log-format", b"\xff", b"list"]).is_err());
    // Empty values count as not given.
    let empty = parts(&[b"urunc", b"--root", b"", b"create", b"--bundle", b"", b"--pid-file", b"", b"x"]);
    assert_eq!(empty, Ok(Command::Create(launch("x"))));
    assert!(matches!(parts(&[]), Ok(Command::Text(_))));
}

#[test]
fn the_log_of_a_usage_error_is_known() {
    let usage = run("--log /l --log-format json list --bogus").unwrap_err();
    assert_eq!((usage.global.log, usage.global.log_format), (Some("/l".into()), LogFormat::Json));
}

#[test]
fn version_has_the_lines_engines_read() {
    let shown = text("--version");
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[0], format!("urunc version {}", env!("CARGO_PKG_VERSION")));
    assert!(lines[1].starts_with("commit: "));
    assert_eq!(lines[2..], ["spec: 1.3.0"]);
    assert_eq!(text("-v"), shown);
}

#[test]
fn help_in_every_spelling() {
    let program = text("");
    for line in ["--help", "-h", "help", "h", "--help frob", "--debug"] {
        assert_eq!(text(line), program, "{line}");
    }
    for spec in table::COMMANDS {
        assert!(program.contains(&format!("   {} ", spec.name)) && program.contains(spec.summary));
        let page = text(&format!("{} --help", spec.name));
        assert_eq!(page, text(&format!("help {}", spec.name)));
        for flag in spec.flags() {
            assert!(page.contains(&format!("--{}", flag.long)) && page.contains(flag.help));
        }
    }
}

#[test]
fn scripts_name_every_flag_and_are_valid() {
    use std::process::Command as Process;
    let bash = text("completion bash");
    let checked = Process::new("bash").args(["-n", "-c", &bash]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let script =
        format!("{bash}COMP_WORDS=(urunc --log f run --pi); COMP_CWORD=4; _urunc; echo ${{COMPREPLY[*]}}");
    let completed = Process::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&completed.stdout), "--pid-file --pidfd-socket\n");
    let (zsh, fish) = (text("completion zsh"), text("completion fish"));
    for flag in table::COMMANDS.iter().flat_map(table::CommandSpec::flags).chain(flags::GLOBAL) {
        assert!(bash.contains(&format!("--{}", flag.long)));
        assert!(zsh.contains(&format!("'--{}[", flag.long)));
        assert!(fish.contains(&format!(" -l {}", flag.long)));
    }
    // Quotes are balanced on every line that holds words of the table.
    for line in zsh.lines().chain(fish.lines()) {
        assert_eq!(line.matches('\'').count() % 2, 0, "{line}");
    }
}

#[test]
fn man_pages_are_roff() {
    let pages = table::COMMANDS.iter().map(|c| text(&format!("man {}", c.name))).chain([text("man")]);
    for page in pages {
        assert!(page.starts_with(".TH URUNC"));
        let macros = [".TH ", ".SH ", ".TP", ".B ", ".BR "];
        assert!(page.lines().filter(|l| l.starts_with('.')).all(|l| macros.iter().any(|m| l.starts_with(m))));
        assert!(!page.contains("--"), "a hyphen of an option is escaped");
    }
    let create = text("man create");
    assert!(create.contains(".B \\-\\-bundle DIR, \\-b DIR\nthe bundle"));
}

#[test]
fn any_words_give_a_command_or_a_message() {
    let words =
        ["create", "kill", "exec", "x", "-", "--", "-d=", "--=", "--bundle=", "-b", "--root", "é", "\u{1}"];
    for a in words {
        for b in words {
            for c in words {
                match run(&format!("{a} {b} {c}")) {
                    Ok(found) => assert!(found.command.id().is_none_or(id::valid)),
                    Err(usage) => {
                        assert!(
                            !usage.message.is_empty() && !usage.message.contains(['\n', '\u{1}']),
                            "{usage:?}"
                        );
                        assert!([1, 3].contains(&usage.code));
                    }
                }
            }
        }
    }
}
