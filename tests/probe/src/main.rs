//! The probe plays a monitor (or any container process): it prints what it sees as one line of JSON, then does what the
//! words `probe=…` in its arguments say. In a unikernel bundle they are put into the guest's command line.
//!
//! | word | meaning |
//! |---|---|
//! | `probe=quiet` | no report |
//! | `probe=brief` | argv, environment, host name and descriptors only: under a filter that kills, more is deadly |
//! | `probe=stderr:TEXT` | a line on standard error |
//! | `probe=print:N` | N MiB of lines on standard output |
//! | `probe=escape:PID,MEMORY,TAG,FILE` | tries every way out (`escape`) and prints what became of each as one line of JSON |
//! | `probe=qmp` | greets and answers on the connected socket that `-chardev socket,…,fd=N` names, until `quit` |
//! | `probe=greet` | greets there, answers once, and goes on |
//! | `probe=event:NAME,REASON` | says there that something happened |
//! | `probe=noise:SEED` | says what it likes, on standard error and to the client of its control socket |
//! | `probe=fill` | fills memory without end |
//! | `probe=forbidden` | makes a socket, which no monitor may |
//! | `probe=deaf` | lives and ignores every signal |
//! | `probe=sleep` | lives until SIGTERM, SIGINT or SIGHUP, then exits with 0 as QEMU does |
//! | `probe=signal:N` | raises signal N |
//! | `probe=exit:N` | exits with N |
//!
//! A program called `monitor` does as with `probe=brief probe=qmp`: no word of the tests is in its argv.
//!
//! A program called `firecracker`, `cloud-hypervisor`, `solo5-hvt` or `solo5-spt` plays these (`vmm`), whatever its words are.
//!
//! Asked for `--version` alone, it says what `PROBE_VERSION` does, if it is set.
//!
//! Without a word it exits with 0. It uses plain system calls: there is no /proc in a monitor's jail.
#![allow(clippy::print_stdout)]

mod escape;
mod files;
mod identity;
mod noise;
mod qmp;
mod system;
mod vmm;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else is opened: what was inherited is the question.
    let fds = files::descriptors();
    let argv: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    if let ([_, "--version"], Ok(version)) =
        (argv.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), std::env::var("PROBE_VERSION"))
    {
        println!("{version}");
        return ExitCode::SUCCESS;
    }
    if let Some(status) = vmm::play(&argv, &fds, &environment()) {
        return status;
    }
    let mut words: Vec<&str> =
        argv.iter().flat_map(|a| a.split_whitespace()).filter_map(|w| w.strip_prefix("probe=")).collect();
    if argv.first().is_some_and(|name| name.ends_with("/monitor")) {
        words.extend(["brief", "qmp"]);
    }
    if !words.contains(&"quiet") {
        let all = !words.contains(&"brief");
        println!("{}", if all { report(&argv, &fds) } else { brief(&argv, &fds) });
    }
    for word in words {
        match word.split_once(':').unwrap_or((word, "")) {
            ("stderr", text) => eprintln!("{text}"),
            ("print", mebibytes) => print_lines(mebibytes.parse().unwrap_or(1)),
            ("escape", host) => println!("{}", escape::run(host)),
            ("qmp", _) => qmp::talk(&argv, true),
            ("greet", _) => qmp::talk(&argv, false),
            ("event", event) => qmp::tell(&argv, event),
            ("noise", seed) => noise::serve(&argv, seed.parse().unwrap_or(0)),
            ("fill", _) => fill(),
            ("forbidden", _) => drop(std::os::unix::net::UnixStream::pair()),
            ("deaf", _) => system::sleep_deaf(),
            ("sleep", _) => system::sleep_until_signal(),
            ("signal", number) => system::raise(number.parse().unwrap_or(libc::SIGABRT)),
            ("exit", code) => return ExitCode::from(code.parse().unwrap_or(255)),
            _ => {}
        }
    }
    ExitCode::SUCCESS
}

/// Stops when nobody takes more.
fn print_lines(mebibytes: usize) {
    let lines = [[b'x'; 63].as_slice(), b"\n"].concat().repeat(1 << 14);
    for _ in 0..mebibytes {
        if std::io::Write::write_all(&mut std::io::stdout(), &lines).is_err() {
            return;
        }
    }
}

/// Every page is written to: it has to be there.
fn fill() -> ! {
    let mut pages = Vec::new();
    loop {
        pages.push(vec![1_u8; 1 << 20]);
    }
}

fn brief(argv: &[String], fds: &serde_json::Value) -> serde_json::Value {
    let names = rustix::system::uname();
    serde_json::json!({
        "argv": argv,
        "env": environment(),
        "hostname": names.nodename().to_string_lossy(),
        "domainname": names.domainname().to_string_lossy(),
        "fds": fds,
    })
}

fn environment() -> Vec<String> {
    std::env::vars_os()
        .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
        .collect()
}

fn report(argv: &[String], fds: &serde_json::Value) -> serde_json::Value {
    let names = rustix::system::uname();
    let tty = rustix::termios::ttyname(std::io::stdin(), Vec::new()).ok();
    serde_json::json!({
        "argv": argv,
        "env": environment(),
        "cwd": std::env::current_dir().ok(),
        "identity": identity::identity(),
        "rlimits": identity::rlimits(),
        "oom_score_adj": text("/proc/self/oom_score_adj"),
        "namespaces": identity::namespaces(),
        "hostname": names.nodename().to_string_lossy(),
        "domainname": names.domainname().to_string_lossy(),
        "tty": tty.map(|t| t.to_string_lossy().into_owned()),
        "controls_tty": std::fs::File::open("/dev/tty").is_ok(),
        "fds": fds,
        "interfaces": system::interfaces(),
        "tree": files::tree(),
    })
}

/// A small file's text without its end of line; `None` without the file.
fn text(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|t| t.trim_end().to_owned())
}
