//! A bus of our own on the other end, and foreign bytes.

use super::*;
use proptest::prelude::*;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);

/// A bus that accepts one client and then lets `talk` answer.
fn bus(talk: impl FnOnce(&mut UnixStream) + Send + 'static) -> (tempfile::TempDir, JoinHandle<()>) {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("bus")).unwrap();
    let server = thread::spawn(move || talk(&mut listener.accept().unwrap().0));
    (dir, server)
}

fn open(dir: &tempfile::TempDir, patience: Duration) -> Result<Connection> {
    Connection::open(&dir.path().join("bus"), patience)
}

/// The bus's part of the authentication.
fn welcome(client: &mut UnixStream) {
    let mut line = [0; 4096];
    let length = client.read(&mut line).unwrap();
    let uid = rustix::process::geteuid().as_raw();
    let claim: String = uid.to_string().chars().flat_map(|digit| ['3', digit]).collect();
    assert_eq!(&line[..length], format!("\0AUTH EXTERNAL {claim}\r\n").as_bytes());
    client.write_all(b"OK 0123456789abcdef\r\n").unwrap();
    let mut begin = [0; 7];
    client.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"BEGIN\r\n");
}

/// The next call of the client: its bytes.
fn next(client: &mut UnixStream) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    client.read_exact(&mut bytes).unwrap();
    bytes.resize(message::length(&bytes).unwrap(), 0);
    client.read_exact(&mut bytes[HEADER..]).unwrap();
    bytes
}

/// A message of the bus: kind, serial that it answers, and a string as body.
fn message(kind: u8, reply_to: u32, text: &str) -> Vec<u8> {
    let mut body = Writer::default();
    body.string(text);
    let mut out = Writer::default();
    out.bytes.extend([b'l', kind, 0, 1]);
    out.u32(u32::try_from(body.bytes.len()).unwrap());
    out.u32(99);
    out.array(8, |out| {
        for (code, value) in [(7, "org.example.Bus"), (3, "Member"), (4, "org.example.Error")] {
            out.align(8);
            out.byte(code);
            out.signature("s");
            out.string(value);
        }
        out.align(8);
        out.byte(5);
        out.signature("u");
        out.u32(reply_to);
    });
    out.align(8);
    out.bytes.extend(body.bytes);
    out.bytes
}

type Talk = fn(&mut UnixStream);

const PING: Call<'static> = Call { member: "Ping", ..BUS };

#[test]
fn a_call_is_answered_and_signals_are_kept() {
    let (dir, server) = bus(|client| {
        welcome(client);
        next(client);
        client.write_all(&message(2, 1, ":1.7")).unwrap();
        next(client);
        for (kind, serial, text) in
            [(4, 0, "early"), (2, 1, "of another call"), (2, 2, "pong"), (4, 0, "late")]
        {
            client.write_all(&message(kind, serial, text)).unwrap();
        }
    });
    let mut connection = open(&dir, LONG).unwrap();
    let Answer::Return(answer) = connection.call(&PING).unwrap() else { panic!("an error") };
    assert_eq!(Reader::new(&answer.body).string(), Some("pong"));
    for text in ["early", "late"] {
        let signal = connection.signal().unwrap();
        assert_eq!((signal.sender.as_str(), signal.member.as_str()), ("org.example.Bus", "Member"));
        assert_eq!(Reader::new(&signal.body).string(), Some(text));
    }
    server.join().unwrap();
}

#[test]
fn an_error_has_name_and_text() {
    let (dir, server) = bus(|client| {
        welcome(client);
        next(client);
        client.write_all(&message(2, 1, ":1.7")).unwrap();
        next(client);
        client.write_all(&message(3, 2, "not today")).unwrap();
    });
    let answer = open(&dir, LONG).unwrap().call(&PING).unwrap();
    let Answer::Error(name, text) = answer else { panic!("an answer") };
    assert_eq!((name.as_str(), text.as_str()), ("org.example.Error", "not today"));
    server.join().unwrap();
}

#[test]
fn a_bus_that_is_absent_silent_or_no_bus_is_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = |result: Result<Connection>| {
        let error = result.err().unwrap();
        format!("{error}: {}", std::error::Error::source(&error).unwrap())
    };
    assert!(refusal(open(&dir, LONG)).contains("No such file"), "absent");
    let talks: [(Talk, Duration, &str); 6] = [
        (wait, SHORT, "no answer in time"),
        (
            |client| {
                // In time or not.
                let _ = client.read(&mut [0; 64]).and_then(|_| client.write_all(b"OK 0123456789abcdef\r\n"));
                wait(client);
            },
            SHORT,
            "no answer in time",
        ),
        (|client| drop(client.read(&mut [0; 64])), LONG, "unexpected end of file"),
        (|client| say(client, b"REJECTED EXTERNAL\r\n"), LONG, "does not accept us"),
        (|client| say(client, &[b'x'; 1024]), LONG, "does not speak D-Bus"),
        (
            |client| {
                welcome(client);
                next(client);
                client.write_all(&[0xff; 64]).unwrap();
            },
            LONG,
            "broken",
        ),
    ];
    for (talk, patience, words) in talks {
        let (dir, server) = bus(talk);
        let error = refusal(open(&dir, patience));
        assert!(error.contains(words), "{error}");
        server.join().unwrap();
    }
}

/// Reads until the client goes.
fn wait(client: &mut UnixStream) {
    while client.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
}

/// Says one thing to the client's first words, and waits.
fn say(client: &mut UnixStream, words: &[u8]) {
    assert!(client.read(&mut [0; 64]).unwrap() > 0);
    client.write_all(words).unwrap();
    wait(client);
}

#[test]
fn a_call_is_what_the_specification_says() {
    let mut body = Writer::default();
    body.string("hi");
    let call = Call {
        path: "/",
        interface: "a.b",
        member: "M",
        destination: "c.d",
        signature: "s",
        body: &body.bytes,
    };
    let wanted = [
        &b"l\x01\0\x01\x07\0\0\0\x05\0\0\0\x47\0\0\0"[..],
        b"\x01\x01o\0\x01\0\0\0/\0\0\0\0\0\0\0",
        b"\x02\x01s\0\x03\0\0\0a.b\0\0\0\0\0",
        b"\x03\x01s\0\x01\0\0\0M\0\0\0\0\0\0\0",
        b"\x06\x01s\0\x03\0\0\0c.d\0\0\0\0\0",
        b"\x08\x01g\0\x01s\0\0",
        b"\x02\0\0\0hi\0",
    ];
    assert_eq!(message::method_call(&call, 5), wanted.concat());
}

proptest! {
    #[test]
    fn what_is_written_is_read(texts in proptest::collection::vec(".{0,20}", 0..8), number: u32) {
        let mut out = Writer::default();
        for text in &texts {
            out.string(text);
            out.u32(number);
        }
        let mut reader = Reader::new(&out.bytes);
        for text in &texts {
            prop_assert_eq!(reader.string(), Some(text.as_str()));
            prop_assert_eq!(reader.u32(), Some(number));
        }
    }

    #[test]
    fn an_array_has_the_length_of_its_elements(before in 0usize..9, numbers in proptest::collection::vec(any::<u64>(), 0..8)) {
        let mut out = Writer { bytes: vec![0; before] };
        out.array(8, |out| numbers.iter().for_each(|number| out.u64(*number)));
        let place = before.next_multiple_of(4);
        let length = u32::from_le_bytes(out.bytes[place..place + 4].try_into().unwrap());
        prop_assert_eq!(usize::try_from(length).unwrap(), numbers.len() * 8);
        prop_assert_eq!(out.bytes.len(), (place + 4).next_multiple_of(8) + numbers.len() * 8);
    }

    /// Bytes of a bus are foreign: whatever they are, they are a message or they are not.
    #[test]
    fn foreign_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), good in any::<bool>()) {
        if good && bytes.len() >= HEADER {
            bytes[..4].copy_from_slice(b"l\x02\0\x01");
            bytes[12..16].copy_from_slice(&64u32.to_le_bytes());
        }
        let _ = message::length(&bytes);
        let _ = parse(&bytes);
    }

    #[test]
    fn a_changed_message_never_panics(at in 0usize..140, value: u8) {
        let mut bytes = message(2, 1, "text");
        let at = at % bytes.len();
        bytes[at] = value;
        if message::length(&bytes) == Some(bytes.len()) {
            let _ = parse(&bytes).map(|message| Reader::new(&message.body).string().map(str::len));
        }
    }
}
