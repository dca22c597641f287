//! The probe as Firecracker, Cloud Hypervisor or a tender of Solo5: as strict about what it is told as they are, it opens
//! what they open, says what it got in one line of JSON, and answers on the API's socket, if there is one, until it is
//! told to end its machine.

mod cloud_hypervisor;
mod firecracker;
mod solo5;

use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;

/// What stays open while the machine runs.
type Opened = Vec<File>;
/// Why the monitor would not run: its exit status and its last words.
type Refusal = (u8, String);

/// A machine that was accepted.
struct Machine {
    api: Option<Api>,
    /// What it was told.
    told: Value,
    _opened: Opened,
}

/// What is answered.
struct Api {
    /// Its socket.
    socket: String,
    /// What is asked for to learn whether the machine runs, and the answer.
    running: (&'static str, Value),
    /// What ends it.
    stop: &'static str,
}

/// Plays the monitor of that name; `None`: it is none of them.
pub(crate) fn play(argv: &[String], fds: &Value, env: &[String]) -> Option<ExitCode> {
    let name = argv.first()?.rsplit('/').next()?;
    let machine = match name {
        "firecracker" => firecracker::accept(argv),
        "cloud-hypervisor" => cloud_hypervisor::accept(argv),
        "solo5-hvt" | "solo5-spt" => solo5::accept(argv),
        _ => return None,
    };
    Some(match machine.and_then(|machine| run(&machine, argv, fds, env)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((status, why)) => {
            eprintln!("Error: {why}");
            ExitCode::from(status)
        }
    })
}

fn run(machine: &Machine, argv: &[String], fds: &Value, env: &[String]) -> Result<(), Refusal> {
    crate::system::exit_on_signals();
    let bind = |api: &Api| UnixListener::bind(&api.socket).map_err(|e| (1, format!("{}: {e}", api.socket)));
    let listener = machine.api.as_ref().map(bind).transpose()?;
    println!("{}", json!({"argv": argv, "env": env, "fds": fds, "machine": machine.told}));
    let (Some(listener), Some(api)) = (listener, &machine.api) else { crate::system::sleep_until_signal() };
    while let Ok((stream, _)) = listener.accept() {
        if answers(api, stream) == Some(true) {
            return Ok(());
        }
    }
    Ok(())
}

/// Answers one client; true when it asked for the machine's end.
fn answers(api: &Api, stream: UnixStream) -> Option<bool> {
    let mut writer = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        // Bodies are of one line without an end: none is waited for.
        let _headers = lines.by_ref().take_while(|line| !line.is_empty()).count();
        let (what, running) = &api.running;
        let answer = match request.strip_suffix(" HTTP/1.1")? {
            known if known == *what => response("200 OK", &running.to_string()),
            known if known == api.stop => response("204 No Content", ""),
            _ => response("400 Bad Request", r#"{"fault_message":"probe"}"#),
        };
        writer.write_all(answer.as_bytes()).ok()?;
        if request.starts_with(api.stop) {
            return Some(true);
        }
    }
    Some(false)
}

fn response(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A file of the machine, and its length.
fn file(opened: &mut Opened, path: &str, writable: bool) -> Result<u64, Refusal> {
    let fail = |e: std::io::Error| (1, format!("{path}: {e}"));
    let file = File::options().read(true).write(writable).open(path).map_err(fail)?;
    // Neither has every call of stat's family: seek.
    let length = std::io::Seek::seek(&mut &file, std::io::SeekFrom::End(0)).map_err(fail)?;
    opened.push(file);
    Ok(length)
}

/// `/dev/kvm`, as the first thing that is opened for writing.
fn kvm(opened: &mut Opened) -> Result<(), Refusal> {
    let device = File::options().read(true).write(true).open("/dev/kvm");
    opened.push(device.map_err(|e| (1, format!("/dev/kvm: {e}")))?);
    Ok(())
}
