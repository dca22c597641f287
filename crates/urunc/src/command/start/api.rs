//! Monitors that say over HTTP, on a Unix socket that they make themselves, whether their machine runs.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::bail;
use urunc_sys::{fdpass, process};

/// A new monitor is asked again after this time: nothing tells that a socket listens.
const AGAIN: Duration = Duration::from_millis(2);
/// Longest answer that is read, bytes.
const LONGEST: usize = 64 << 10;

/// Waits until the machine runs, by the answer to `GET path` on the socket of the private root.
///
/// # Errors
/// The monitor ends, or takes longer than `patience` in all.
pub(super) fn runs(
    (root, socket): (&OwnedFd, &str),
    path: &str,
    monitor: &OwnedFd,
    patience: Duration,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match fdpass::connect(root.as_fd(), socket.trim_start_matches('/')) {
            Ok(connection) => match ask(&connection, path, monitor, deadline)? {
                Some(answer) if is_running(&answer) => return Ok(()),
                _ => {}
            },
            Err(error)
                if matches!(error.source.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(error.into()),
        }
        if process::wait_readable(&[monitor.as_fd()], Some(AGAIN))? == [true] {
            bail!("ended before its machine ran");
        }
        if Instant::now() >= deadline {
            bail!("its machine does not run within {} s", patience.as_secs());
        }
    }
}

/// The whole answer; `None` when there is none, because the monitor has ended, closed the connection or waits for something.
fn ask(
    connection: &OwnedFd,
    path: &str,
    monitor: &OwnedFd,
    deadline: Instant,
) -> anyhow::Result<Option<Vec<u8>>> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n");
    if rustix::io::write(connection, request.as_bytes()) != Ok(request.len()) {
        return Ok(None);
    }
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    while !is_whole(&answer) && answer.len() < LONGEST {
        let left = deadline.saturating_duration_since(Instant::now());
        let events = process::wait_readable(&[connection.as_fd(), monitor.as_fd()], Some(left))?;
        match events.as_slice() {
            [true, ..] => match rustix::io::read(connection, &mut chunk).unwrap_or(0) {
                0 => break,
                count => answer.extend(chunk.iter().take(count)),
            },
            _ => break,
        }
    }
    Ok(is_whole(&answer).then_some(answer))
}

/// Head and body, by `Content-Length` (RFC 9112, section 6.3).
fn is_whole(answer: &[u8]) -> bool {
    let Some((head, body)) = parts(answer) else { return false };
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.next().and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0);
    body.len() >= length
}

fn parts(answer: &[u8]) -> Option<(&str, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = answer.split_at(end);
    Some((str::from_utf8(head).ok()?, body.get(4..)?))
}

/// Both of them answer with an object whose `state` is this.
fn is_running(answer: &[u8]) -> bool {
    let Some((head, body)) = parts(answer) else { return false };
    let object: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    head.starts_with("HTTP/1.1 200 ") && object.get("state").is_some_and(|state| state == "Running")
}

#[cfg(test)]
mod tests {
    use super::{is_running, is_whole};

    const ANSWER: &[u8] = b"HTTP/1.1 200 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\
        Content-Type: application/json\r\nContent-Length: 71\r\n\r\n\
        {\"id\":\"a\",\"state\":\"Running\",\"vmm_version\":\"1.16.1\",\"app_name\":\"Firecr\"}";

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        for length in 0..ANSWER.len() {
            assert!(!is_whole(&ANSWER[..length]) && !is_running(&ANSWER[..length]), "{length}");
        }
        assert!(is_whole(ANSWER) && is_running(ANSWER));
    }

    #[test]
    fn only_a_machine_that_runs_runs() {
        let body = |status: &str, body: &str| {
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
        };
        assert!(is_running(&body("200 OK", r#"{"config":{},"state":"Running"}"#)));
        assert!(!is_running(&body("200 OK", r#"{"state":"Not started"}"#)));
        assert!(!is_running(&body("500 ", r#"{"state":"Running"}"#)));
        assert!(!is_running(&body("200 ", "state: Running")));
        assert!(!is_running(&body("200 ", r#"{"config":{"state":"Running"}}"#)));
        assert!(is_whole(b"HTTP/1.1 204 \r\n\r\n"));
    }
}
