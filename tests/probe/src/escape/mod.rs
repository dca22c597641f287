//! The probe as a hostile monitor: every way out of a jail that is known, tried one after the other.
//!
//! A try is `Ok` when it got what it wanted, or got past the check of its permission where more would hurt the host.
//! Each runs in a child of its own: whatever a filter or the kernel does to it, the next one is tried. No call here
//! needs more than an ordinary monitor's filter allows: the calls of the tries themselves are the question.

mod call;
mod descriptors;
mod files;
mod identity;
mod kernel;
mod limits;
mod mounts;
mod network;
mod objects;
mod processes;

use serde_json::{Map, Value, json};
use std::io;

/// One way out.
type Try = fn(&Host) -> io::Result<()>;

/// What a try may look for on the host.
#[derive(Debug)]
pub(crate) struct Host {
    /// Process that is not the container's.
    pid: usize,
    /// System V shared memory.
    memory: usize,
    /// Names an abstract socket, a message queue and POSIX memory.
    tag: String,
    /// Absolute path of a file.
    file: String,
}

impl Host {
    /// From `PID,MEMORY,TAG,FILE`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ',').map(str::to_owned);
        let mut number = || parts.next()?.parse().ok();
        Some(Self { pid: number()?, memory: number()?, tag: parts.next()?, file: parts.next()? })
    }
}

/// A try without an answer after so many milliseconds hangs.
const PATIENCE: i32 = 10_000;

/// All tries in order; the last ones use up what they are given.
fn tries() -> impl Iterator<Item = &'static (&'static str, Try)> {
    let tables: [&[(&str, Try)]; 9] = [
        // Before the mounts: one on the root makes a chroot of it, from which there is no way to new users.
        processes::TRIES,
        mounts::TRIES,
        files::TRIES,
        identity::TRIES,
        network::TRIES,
        objects::TRIES,
        kernel::TRIES,
        descriptors::TRIES,
        limits::TRIES,
    ];
    tables.into_iter().flatten()
}

/// Tries everything: name of each try and what became of it, `escaped` or what the kernel said.
pub(crate) fn run(host: &str) -> Value {
    let ends = call::Ends::expect();
    let outcome = |(name, attempt): &(&str, Try)| {
        let outcome = match (&ends, Host::parse(host)) {
            (Err(error), _) => format!("no way to hear of an end: {error}"),
            (_, None) => "no host".to_owned(),
            (Ok(ends), Some(host)) => judge(*attempt, &host, ends),
        };
        ((*name).to_owned(), json!(outcome))
    };
    json!({"escapes": tries().map(outcome).collect::<Map<_, _>>()})
}

/// One try in a child.
fn judge(attempt: Try, host: &Host, ends: &call::Ends) -> String {
    const NO_ANSWER: i32 = i32::MIN;
    let Ok(answer) = call::Shared::new(NO_ANSWER) else { return "no memory".to_owned() };
    let child = match call::fork() {
        Ok(0) => {
            answer.set(attempt(host).err().map_or(0, |error| error.raw_os_error().unwrap_or(-1)));
            call::exit();
        }
        Ok(child) => child,
        Err(error) => return format!("no child: {error}"),
    };
    let Some(signal) = ends.next(PATIENCE) else {
        call::kill(child);
        ends.next(PATIENCE);
        return "hangs".to_owned();
    };
    match answer.get() {
        NO_ANSWER => format!("killed by signal {signal}"),
        0 => "escaped".to_owned(),
        code => io::Error::from_raw_os_error(code).to_string(),
    }
}
