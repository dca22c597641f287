//! `first-byte FIFO COMMAND [ARGUMENT]...`: the time from spawning a command to the first byte that a pipe carries.
//!
//! The command's standard output is the pipe, and so may be that of a container created before. Everything that comes
//! is copied to standard output until the last writer is gone; the last line, on standard error, is the time.
#![allow(clippy::print_stderr, clippy::exit)]

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.as_slice() {
        [fifo, program, arguments @ ..] => measure(fifo, program, arguments),
        _ => Err(Error::new(ErrorKind::InvalidInput, "usage: first-byte FIFO COMMAND [ARGUMENT]...")),
    };
    if let Err(error) = outcome {
        eprintln!("first-byte: {error}");
        std::process::exit(1);
    }
}

fn measure(fifo: &str, program: &str, arguments: &[String]) -> Result<()> {
    // Open both ways first: opening one end alone waits for the other (fifo(7)).
    let both = File::options().read(true).write(true).open(fifo)?;
    let mut output = File::open(fifo)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(File::options().write(true).open(fifo)?);
    drop(both);

    let begin = Instant::now();
    let mut child = command.spawn()?;
    drop(command);
    let mut bytes = vec![0; 65536];
    let length = output.read(&mut bytes)?;
    let elapsed = begin.elapsed();

    bytes.truncate(length);
    output.read_to_end(&mut bytes)?;
    std::io::stdout().write_all(&bytes)?;
    let status = child.wait()?;
    if !status.success() || length == 0 {
        return Err(Error::other(format!("{program}: {status}, first read gave {length} bytes")));
    }
    eprintln!("first byte after {:.2} ms", elapsed.as_secs_f64() * 1000.0);
    Ok(())
}
