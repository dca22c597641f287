//! A monitor that lies: bytes that follow from a seed, on standard error and on the control socket.

use std::io::Write;
use std::time::Duration;

/// Pieces that a reader may take for more than bytes.
const PIECES: [&[u8]; 12] = [
    b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}",
    b"{\"QMP\"",
    b"\r\n",
    b"\n",
    b"\0",
    b"\x1b[2J\x1b]0;title\x07",
    b"\xff\xfe\xc0\x80",
    b"{\"return\": {}}",
    b"[[[[[[[[[[[[[[[[",
    "\u{202e}\u{85}\u{2028}".as_bytes(),
    b"error: container started\r\n",
    &[b'x'; 3000],
];

/// xorshift64*, Vigna 2016.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }

    /// Pieces and plain random bytes, up to some tens of KiB.
    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.next(40) {
            match PIECES.get(usize::try_from(self.next(16)).unwrap_or(0)) {
                Some(piece) => bytes.extend(*piece),
                None => bytes.extend((0..self.next(64)).map(|_| self.next(256).to_le_bytes()[0])),
            }
        }
        bytes
    }
}

/// Talks to one client, in one of six ways, and ends or stays.
pub(crate) fn serve(argv: &[String], seed: u64) {
    crate::system::exit_on_signals();
    let mut random = Random(seed.wrapping_mul(2).wrapping_add(1));
    random.next(1);
    // Nobody may be there to listen; that is not the question.
    let _ = std::io::stderr().write_all(&random.bytes());
    let Some(mut client) = crate::qmp::control(argv) else { return };
    let stays = match seed % 6 {
        // All that was asked for, and more.
        0 => {
            let answers = [PIECES[0], b"\r\n", PIECES[7], b"\r\n"];
            let _ = client.write_all(&answers.concat());
            let _ = client.write_all(&random.bytes());
            true
        }
        1 | 2 => {
            let _ = client.write_all(&random.bytes());
            false
        }
        // A line that never ends.
        3 => {
            while client.write_all(&[b'['; 4096]).is_ok() {}
            true
        }
        // A byte now and then.
        4 => {
            while client.write_all(b"{").is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
            true
        }
        _ => false,
    };
    let _ = std::io::stderr().write_all(&random.bytes());
    if stays {
        crate::system::sleep_until_signal();
    }
}
