//! The HTTP API on a socket that the monitor makes, polite or not.

use super::guest::{Guest, Way};
use super::{Refusal, Turn};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

/// What is answered.
pub(super) struct Api {
    /// Its socket.
    pub(super) socket: String,
    /// What is asked for to learn whether the machine runs, and the answer.
    pub(super) running: (&'static str, Value),
    /// What asks the guest to end: request line, and body.
    pub(super) stop: (&'static str, &'static str),
}

impl Api {
    pub(super) fn listen(&self) -> Result<UnixListener, Refusal> {
        UnixListener::bind(&self.socket).map_err(|e| (1, format!("{}: {e}", self.socket)))
    }

    /// Answers one client after the other, until the guest's turn has come.
    pub(super) fn serve(&self, listener: &UnixListener, guest: &Guest) -> Turn {
        loop {
            let turn = listener.accept().ok().and_then(|(stream, _)| self.answer(stream, guest));
            if let Some(turn @ (Turn::Alone | Turn::Asked(_))) = turn {
                return turn;
            }
        }
    }

    fn answer(&self, stream: UnixStream, guest: &Guest) -> Option<Turn> {
        let mut writer = stream.try_clone().ok()?;
        let mut reader = BufReader::new(stream);
        loop {
            let (request, body) = request(&mut reader)?;
            let (what, running) = &self.running;
            if request == *what {
                writer.write_all(response("200 OK", &running.to_string()).as_bytes()).ok()?;
                if guest.way().is_some() {
                    return Some(Turn::Alone);
                }
            } else if (request.as_str(), body.as_str()) == self.stop {
                let (answer, turn) = asked(guest.word("api"));
                // A client that has heard enough goes away.
                let _ = writer.write_all(&answer);
                match turn {
                    Some(turn) => return Some(turn),
                    None => std::thread::park(),
                }
            } else {
                writer
                    .write_all(response("400 Bad Request", r#"{"fault_message":"probe"}"#).as_bytes())
                    .ok()?;
            }
        }
    }
}

/// Method and path, and body.
fn request(reader: &mut BufReader<UnixStream>) -> Option<(String, String)> {
    let (mut first, mut length) = (None, 0);
    for line in reader.by_ref().lines().map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.parse().ok()?;
        }
        first.get_or_insert(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request = first?.strip_suffix(" HTTP/1.1")?.to_owned();
    Some((request, String::from_utf8(body).ok()?))
}

/// The answer to the request to end, and whose turn it is then; nobody's: it is never answered further.
fn asked(how: Option<&str>) -> (Vec<u8>, Option<Turn>) {
    let done = response("204 No Content", "").into_bytes();
    match how {
        None => (done, Some(Turn::Asked(Way::Graceful))),
        // The guest does not mind.
        Some("unheard") => (done, None),
        Some("refuses") => (response("400 Bad Request", "{}").into_bytes(), None),
        Some("half") => (b"HTTP/1.".to_vec(), None),
        Some("garbage") => (b"{\"return\": {}}\r\n".repeat(100_000), None),
        Some("endless") => ([done, vec![b'x'; 4 << 20]].concat(), None),
        Some("closes") => (Vec::new(), Some(Turn::Again)),
        // Silent.
        Some(_) => (Vec::new(), None),
    }
}

fn response(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
