use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::{Connection, LARGEST, Site};

const CMDLINE: &str = "--ipv4=10.0.0.2/24 a \"b c\" <&>";

fn site() -> Site {
    let mut site = Site { name: "http", cmdline: CMDLINE, ..Site::default() };
    site.addresses.push(b"10.0.0.2");
    site
}

/// All that a fresh connection sends when it gets `input` in pieces, and whether it is over. `size` says the sizes of
/// the pieces taken and given.
fn serve(site: &mut Site, mut input: &[u8], mut size: impl FnMut() -> usize) -> (Vec<u8>, bool) {
    let mut connection = Connection::default();
    let mut output = Vec::new();
    loop {
        let taken = connection.receive(&input[..size().min(input.len())], site);
        input = &input[taken..];
        let mut piece = vec![0; size()];
        let sent = connection.send(&mut piece);
        output.extend_from_slice(&piece[..sent]);
        if sent == 0 && !connection.is_answering() && (input.is_empty() || connection.is_over()) {
            return (output, connection.is_over());
        }
    }
}

fn once(request: &str) -> (String, bool) {
    let (output, over) = serve(&mut site(), request.as_bytes(), || 4096);
    (String::from_utf8(output).unwrap(), over)
}

fn status(request: &str) -> (String, bool) {
    let (output, over) = once(request);
    (output.split(' ').nth(1).unwrap_or("none").into(), over)
}

/// Random numbers that a seed repeats: SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

#[test]
fn the_page_names_the_guest_and_counts() {
    let mut site = site();
    for count in 1..4 {
        let (output, over) = serve(&mut site, b"GET / HTTP/1.1\r\nHost: guest\r\n\r\n", || 4096);
        let output = String::from_utf8(output).unwrap();
        let (head, body) = output.split_once("\r\n\r\n").unwrap();
        assert!(!over);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert!(body.contains("<h1>http</h1>") && body.contains("10.0.0.2"), "{body}");
        assert!(body.contains(&format!("Request {count}.")), "{body}");
    }
}

#[test]
fn the_longest_page_is_whole() {
    let mut site = site();
    site.requests = u64::MAX - 1;
    site.addresses.push(&[b'9'; 200]);
    let (output, _) = serve(&mut site, b"GET / HTTP/1.1\r\nHost: guest\r\n\r\n", || 4096);
    assert!(output.ends_with(format!("{}.\n", u64::MAX).as_bytes()));
}

#[test]
fn the_command_line_is_shown_as_it_came() {
    let (output, _) = once("GET /env?x=1 HTTP/1.1\r\nHost: guest\r\n\r\n");
    assert_eq!(output.split_once("\r\n\r\n").unwrap().1, CMDLINE);
    assert!(output.contains("Content-Type: text/plain"));
}

#[test]
fn bytes_are_the_pattern_in_any_portions() {
    for (count, size) in [(0usize, 7), (1, 1), (250, 1), (100_000, 333), (1_000_003, 9000)] {
        let request = format!("GET /bytes/{count} HTTP/1.1\r\nHost: guest\r\n\r\n");
        let (output, _) = serve(&mut site(), request.as_bytes(), || size);
        let end = output.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        let body = &output[end..];
        assert_eq!(body.len(), count);
        assert!(body.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
    }
}

#[test]
fn head_is_get_without_body() {
    for path in ["/", "/env", "/bytes/100", "/none", "/bytes/x"] {
        let ask = |method: &str| once(&format!("{method} {path} HTTP/1.1\r\nHost: guest\r\n\r\n")).0;
        let (get, head) = (ask("GET"), ask("HEAD"));
        assert!(get.len() > head.len() && head.ends_with("\r\n\r\n"));
        assert_eq!(get.split_once("\r\n\r\n").unwrap().0, head.trim_end());
    }
}

#[test]
fn each_kind_of_request_gets_its_status_and_the_connection_its_end() {
    let long = "x".repeat(3000);
    let many = "a: b\r\n".repeat(100);
    let too_large = LARGEST + 1;
    #[rustfmt::skip]
    let cases = [
        // Good ones, and how they leave the connection.
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "200", false),
        ("GET / HTTP/1.1\nhost:\n\n".into(), "200", false),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "200", false),
        ("GET http://a/env HTTP/1.1\r\nHost: a\r\n\r\n".into(), "200", false),
        ("GET HTTP://a HTTP/1.1\r\nHost: a\r\n\r\n".into(), "200", false),
        ("GET / HTTP/1.9\r\nHost: a\r\n\r\n".into(), "200", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n".into(), "200", true),
        ("GET / HTTP/1.0\r\n\r\n".into(), "200", true),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n".into(), "200", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".into(), "200", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".into(), "200", true),
        // Resources and methods.
        ("GET /none HTTP/1.1\r\nHost: a\r\n\r\n".into(), "404", false),
        ("GET /bytes HTTP/1.1\r\nHost: a\r\n\r\n".into(), "404", false),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".into(), "404", false),
        ("GET /bytes/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), "400", false),
        ("GET /bytes/-1 HTTP/1.1\r\nHost: a\r\n\r\n".into(), "400", false),
        ("GET /bytes/99999999999999999999 HTTP/1.1\r\nHost: a\r\n\r\n".into(), "400", false),
        (format!("GET /bytes/{too_large} HTTP/1.1\r\nHost: a\r\n\r\n"), "400", false),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "405", false),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "405", false),
        ("POST /env HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".into(), "405", true),
        ("POST /env HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), "405", true),
        // No HTTP, or not by its rules.
        ("GET /\r\n\r\n".into(), "400", true),
        ("GET  / HTTP/1.1\r\n".into(), "400", true),
        ("GET / HTTP/1.1 \r\n".into(), "400", true),
        ("GET env HTTP/1.1\r\n".into(), "400", true),
        ("GET https://a/ HTTP/1.1\r\n".into(), "400", true),
        ("GET http:/// HTTP/1.1\r\n".into(), "400", true),
        ("GET /\u{e9} HTTP/1.1\r\n".into(), "400", true),
        ("G@T / HTTP/1.1\r\n".into(), "400", true),
        ("GET / HTTP/11\r\n".into(), "400", true),
        ("GET / FTP/1.1\r\n".into(), "400", true),
        ("GET / HTTP/2.0\r\n".into(), "505", true),
        ("GET / HTTP/1.1\r\n\r\n".into(), "400", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into(), "400", true),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n".into(), "400", true),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n".into(), "400", true),
        ("GET / HTTP/1.1\r\nno colon\r\n".into(), "400", true),
        ("GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n".into(), "400", true),
        ("GET / HTTP/1.1\rX".into(), "400", true),
        ("GET /\0".into(), "400", true),
        ("\u{16}\u{3}\u{1}\u{2}\0".into(), "400", true),
        (format!("GET /{long} HTTP/1.1\r\n"), "414", true),
        (format!("GET / HTTP/1.1\r\nCookie: {long}\r\n"), "431", true),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}"), "431", true),
        ("\r\n".repeat(100), "431", true),
        // Not complete: nothing to say yet.
        ("GET / HTTP/1.1\r\nHost: a\r\n".into(), "none", false),
        (String::new(), "none", false),
    ];
    for (request, expected, over) in cases {
        assert_eq!(status(&request), (expected.into(), over), "{request:?}");
    }
}

#[test]
fn a_refused_method_is_told_the_others() {
    assert!(once("PUT / HTTP/1.1\r\nHost: a\r\n\r\n").0.contains("\r\nAllow: GET, HEAD\r\n"));
    assert!(!once("GET /none HTTP/1.1\r\nHost: a\r\n\r\n").0.contains("Allow"));
}

#[test]
fn requests_in_a_pipeline_are_answered_in_order() {
    let mut random = Random(1);
    let paths = ["/", "/env", "/bytes/300", "/none", "/bytes/70000"];
    for _ in 0..200 {
        let chosen: Vec<&str> = (0..10).map(|_| paths[random.below(paths.len())]).collect();
        let request = |path: &&str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        let mut one = site();
        let expected: Vec<u8> =
            chosen.iter().flat_map(|path| serve(&mut one, &request(path), || 4096).0).collect();
        let all: Vec<u8> = chosen.iter().flat_map(request).collect();
        let (output, over) = serve(&mut site(), &all, || 1 + random.below(2000));
        assert!(output == expected && !over);
    }
}

/// Changed and random requests in random pieces: no panic, whole answers only, and the same ones in other pieces.
#[test]
fn garbage_is_answered_in_words_or_not_at_all() {
    let mut random = Random(20_261_121);
    let parts: &[&[u8]] = &[
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"/",
        b"/env",
        b"/bytes/",
        b"17",
        b"?",
        b"http://",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"Host: a\r\n",
        b"Connection: ",
        b"close",
        b"keep-alive",
        b"Content-Length: ",
        b":",
        b" ",
        b"\0",
        b"\xff",
        b"*",
    ];
    for round in 0..20_000 {
        let mut input = Vec::new();
        for _ in 0..random.below(40) {
            match random.below(12) {
                0 => input.push(random.below(256) as u8),
                1 if round % 50 == 0 => input.extend(vec![b'a'; random.below(4000)]),
                2 | 3 => input.extend(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                _ => input.extend(parts[random.below(parts.len())]),
            }
        }
        let whole = serve(&mut site(), &input, || 1 << 16);
        let pieces = serve(&mut site(), &input, || 1 + random.below(60));
        assert_eq!(whole, pieces, "{:?}", String::from_utf8_lossy(&input));
        let text = String::from_utf8_lossy(&whole.0);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 "), "{text}");
    }
}
