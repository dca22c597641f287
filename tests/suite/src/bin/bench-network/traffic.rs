//! What comes through the connection: one long body over TCP, and datagrams that come back.

use crate::percentile;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use suite::net_guest::client::Client;
use suite::net_guest::launch;
use suite::net_guest::wire::Wire;
use suite::sandbox::Sandbox;

/// Bytes of a body, and how many bodies.
const BODY: usize = 64 << 20;
const BODIES: usize = 11;
/// Bytes of a datagram, how many in a row, and how often.
const DATAGRAM: usize = 64;
const ROW: usize = 100;
const ROWS: usize = 20;

const SERVER: &str = "10.0.0.2";

pub(crate) fn compare(s: &Sandbox) {
    let [http, echo, native] = [0, 1, 2].map(|number| Wire::numbered(s, number));
    let guests = [launch(s, &http, "http", &["serve"]), launch(s, &echo, "udp-echo", &["serve"])];
    serve(&native);
    throughput(&http, &native);
    latency(&echo, &native);
    for guest in guests {
        guest.delete_force().ok();
    }
}

fn throughput(guest: &Wire, native: &Wire) {
    let connect = || Client::connect(format!("{SERVER}:80").parse().expect("an address"));
    let mut clients = [guest, native].map(|wire| wire.as_client(connect));
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..BODIES {
        for (client, rates) in clients.iter_mut().zip(&mut rates) {
            let begin = Instant::now();
            assert_eq!(client.get(&format!("/bytes/{BODY}")).body.len(), BODY);
            rates.push(f64::from(u32::try_from(BODY).expect("a size")) / 1e6 / begin.elapsed().as_secs_f64());
        }
    }
    let [tap, veth] = rates.each_mut().map(|rates| percentile(rates, 50));
    println!("throughput of one connection, {BODIES} bodies of {} MiB each: MB/s, median", BODY >> 20);
    println!(
        "unikernel through the tap {tap:.0}, native through the veth pair {veth:.0}: ratio {:.2}",
        tap / veth
    );
}

fn latency(guest: &Wire, native: &Wire) {
    let sockets = [guest, native].map(|wire| wire.as_client(client));
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROWS {
        for (socket, times) in sockets.iter().zip(&mut times) {
            times.extend((0..ROW).map(|_| round_trip(socket)));
        }
    }
    let [tap, veth] = times.each_mut().map(|times| [50, 99].map(|percent| percentile(times, percent)));
    println!("round trip of {DATAGRAM} bytes in a datagram, {} times each: µs, median and p99", ROW * ROWS);
    println!(
        "unikernel through the tap {:.1} {:.1}, native through the veth pair {:.1} {:.1}: ratio of medians {:.2}",
        tap[0],
        tap[1],
        veth[0],
        veth[1],
        tap[0] / veth[0]
    );
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind("10.0.0.1:0").expect("a socket");
    socket.connect((SERVER, 7)).expect("an address");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time limit");
    // The first one waits for ARP.
    round_trip(&socket);
    socket
}

fn round_trip(socket: &UdpSocket) -> f64 {
    let begin = Instant::now();
    socket.send(&[7; DATAGRAM]).expect("sent");
    let mut buffer = [0; 2 * DATAGRAM];
    assert_eq!(socket.recv(&mut buffer).expect("an echo"), DATAGRAM);
    begin.elapsed().as_secs_f64() * 1e6
}

/// What the guests do, without one: as long as this process lives.
fn serve(wire: &Wire) {
    let (listener, socket) = wire.as_guest(|| {
        let listener = TcpListener::bind((SERVER, 80)).expect("a port");
        (listener, UdpSocket::bind((SERVER, 7)).expect("a port"))
    });
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| bodies(&stream)));
    std::thread::spawn(move || {
        let mut buffer = [0; 2 * DATAGRAM];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            socket.send_to(&buffer[..count], from).expect("sent");
        }
    });
}

/// Answers requests for `/bytes/N` until the client closes.
fn bodies(stream: &TcpStream) {
    let piece = vec![7; 64 << 10];
    let (mut input, mut output) = (BufReader::new(stream), stream);
    let mut line = String::new();
    while input.read_line(&mut line).is_ok_and(|count| count > 0) {
        if let Some(length) = line.strip_prefix("GET /bytes/").and_then(|rest| rest.split(' ').next()) {
            let mut left: usize = length.parse().expect("a length");
            write!(output, "HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n").expect("a head");
            while left > 0 {
                let part = piece.len().min(left);
                output.write_all(&piece[..part]).expect("a body");
                left -= part;
            }
        }
        line.clear();
    }
}
