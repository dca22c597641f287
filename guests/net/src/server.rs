//! The HTTP server on TCP: a place for each connection, and what becomes of silent ones.

use guest::Port;
use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};

use crate::http::{Connection, Site};
use crate::link::Frames;
use crate::options::Options;
use crate::stack::{Service, Stack};

/// Port of the server.
pub const PORT: u16 = 80;
/// Connections at once.
const CONNECTIONS: usize = 128;
/// A request is a few hundred bytes.
const RECEIVED: usize = 4 << 10;
/// What one connection has on its way: some full frames of any MTU.
const SENT: usize = 32 << 10;
/// A connection that moves nothing for so long is ended.
const IDLE: Duration = Duration::from_secs(60);
/// The same when all places are taken: whoever opens many and says nothing keeps nobody out.
const CROWDED: Duration = Duration::from_secs(1);

/// Place for frames, and for what is on its way.
#[derive(Debug)]
pub struct Memory {
    frames: Frames,
    received: [[u8; RECEIVED]; CONNECTIONS],
    sent: [[u8; SENT]; CONNECTIONS],
}

impl Memory {
    /// Nothing is on its way. It is for a static place.
    #[allow(clippy::large_stack_arrays)]
    pub const NEW: Self =
        Self { frames: Frames::NEW, received: [[0; RECEIVED]; CONNECTIONS], sent: [[0; SENT]; CONNECTIONS] };
}

/// What a guest serves, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Name of the guest.
    pub name: &'static str,
    /// Its command line, as it came. With the word `--requests=N` the guest ends when it has answered so many.
    pub cmdline: &'static str,
    /// Ends the guest.
    pub end: fn() -> !,
}

impl Server {
    /// Serves at these addresses, which `announce` gets as text.
    pub fn run<P: Port>(
        self,
        options: &Options,
        port: P,
        memory: &'static mut Memory,
        announce: fn(&str),
    ) -> ! {
        let mut stack = Stack::new(options, port, &mut memory.frames);
        // The stack is large enough in every guest, and there is nothing else.
        #[allow(clippy::large_stack_arrays)]
        let mut storage = [SocketStorage::EMPTY; CONNECTIONS];
        let mut sockets = SocketSet::new(&mut storage[..]);
        let mut buffers = memory.received.iter_mut().zip(&mut memory.sent);
        let slots: [Option<Slot>; CONNECTIONS] = core::array::from_fn(|_| {
            let (received, sent) = buffers.next()?;
            let mut socket =
                Socket::new(SocketBuffer::new(&mut received[..]), SocketBuffer::new(&mut sent[..]));
            // An answer is in the buffer before anything is sent: a delay could only wait for the client's.
            socket.set_nagle_enabled(false);
            socket.set_ack_delay(None);
            Some(Slot { handle: sockets.add(socket), connection: Connection::default(), moved: None })
        });
        let addresses = stack.addresses.clone();
        announce(addresses.as_str());
        let site = Site { name: self.name, addresses, cmdline: self.cmdline, requests: 0 };
        let mut words = self.cmdline.split_ascii_whitespace();
        let limit = words.find_map(|word| word.strip_prefix("--requests=")?.parse().ok());
        let mut places = Places { site, slots, limit, end: self.end };
        places.settle(&mut sockets, Instant::ZERO);
        stack.run(&mut sockets, &mut places)
    }
}

struct Places {
    site: Site,
    slots: [Option<Slot>; CONNECTIONS],
    /// Requests after which the guest ends.
    limit: Option<u64>,
    end: fn() -> !,
}

impl Service for Places {
    fn serve(&mut self, sockets: &mut SocketSet<'_>, now: Instant) {
        for slot in self.slots.iter_mut().flatten() {
            slot.serve(sockets.get_mut(slot.handle), &mut self.site, now);
        }
    }

    fn settle(&mut self, sockets: &mut SocketSet<'_>, now: Instant) -> Option<Instant> {
        let answered = self.limit.is_some_and(|limit| self.site.requests >= limit);
        let is_full = self.slots.iter().flatten().all(|slot| slot.moved.is_some());
        let limit = if is_full { CROWDED } else { IDLE };
        let slots = self.slots.iter_mut().flatten();
        let deadline = slots.filter_map(|slot| slot.settle(sockets.get_mut(slot.handle), now, limit)).min();
        if answered && deadline.is_none() {
            (self.end)();
        }
        deadline
    }
}

/// A place for one connection.
struct Slot {
    handle: SocketHandle,
    connection: Connection,
    /// When something was last moved; `None` without a connection.
    moved: Option<Instant>,
}

impl Slot {
    fn serve(&mut self, socket: &mut Socket<'_>, site: &mut Site, now: Instant) {
        if !socket.is_active() {
            return;
        }
        let mut moved = self.moved.is_none();
        loop {
            let Self { connection, .. } = self;
            let taken = socket.recv(|input| {
                // What comes after the last answer has no meaning, but it must not stop the client's closing.
                let taken = if connection.is_over() { input.len() } else { connection.receive(input, site) };
                (taken, taken)
            });
            let sent = socket.send(|place| {
                let sent = connection.send(place);
                (sent, sent)
            });
            if taken.unwrap_or(0) + sent.unwrap_or(0) == 0 {
                break;
            }
            // The time to close after the last answer is not made longer by what still comes.
            moved |= sent.is_ok_and(|sent| sent > 0) || !connection.is_over();
        }
        // The client has closed, and all it said is taken.
        let hung_up =
            socket.state() == State::CloseWait && !socket.may_recv() && !self.connection.is_answering();
        if self.connection.is_over() || hung_up {
            socket.close();
        }
        if moved {
            self.moved = Some(now);
        }
    }

    /// A socket whose connection is over waits for the next one, or does so already: a client may go before it is one.
    /// `TIME-WAIT` is cut short: its last acknowledgement is out, and the place is needed.
    fn settle(&mut self, socket: &mut Socket<'_>, now: Instant, limit: Duration) -> Option<Instant> {
        if matches!(socket.state(), State::Closed | State::Listen | State::TimeWait) {
            self.connection = Connection::default();
            self.moved = None;
            // It is closed or listens there, and the port is not 0.
            let _ = socket.listen(PORT);
        }
        let deadline = self.moved? + limit;
        if deadline <= now {
            socket.abort();
        }
        Some(deadline)
    }
}
