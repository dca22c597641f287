//! A nameserver for tests: the address of every name is the same, and it knows nothing else (RFC 1035, section 4.1).

use std::net::{Ipv4Addr, UdpSocket};

/// A header, and the end of a question: type A, class IN.
const HEADER: usize = 12;
const ADDRESS: [u8; 4] = [0, 1, 0, 1];

/// Waits for one question and answers it; false when none comes within the socket's time.
pub fn answer_one(socket: &UdpSocket, answer: Ipv4Addr) -> bool {
    let mut question = [0; 512];
    let Ok((length, asker)) = socket.recv_from(&mut question) else { return false };
    if let Some(reply) = reply(&question[..length], answer) {
        // An asker that has gone misses nothing.
        let _ = socket.send_to(&reply, asker);
    }
    true
}

/// The first question comes back, what follows it does not.
fn reply(question: &[u8], answer: Ipv4Addr) -> Option<Vec<u8>> {
    let name = question.get(HEADER..)?;
    let end = HEADER + name.iter().position(|&byte| byte == 0)? + 1 + ADDRESS.len();
    let asked = question.get(HEADER..end)?;
    let known = asked.ends_with(&ADDRESS);
    // A response, recursion desired and available; one question, at most one answer.
    let mut reply = [&question[..2], &[0x81, 0x80, 0, 1, 0, known.into(), 0, 0, 0, 0], asked].concat();
    if known {
        // Name as at offset 12, type, class, time to live, length.
        reply.extend([&[0xc0, 12][..], &ADDRESS, &[0, 0, 0, 0, 0, 4], &answer.octets()].concat());
    }
    Some(reply)
}
