//! Sends every UDP datagram to port 7 back to where it came from (RFC 862).
#![no_std]
#![no_main]

use net::link::Frames;
use net::options::Options;
use net::stack::{Service, Stack};
use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::time::Instant;
use solo5::{BootInfo, Once, Wire, println};

solo5::guest!(main, net "service");

const PORT: u16 = 7;
/// Longest datagram that can be put together from its parts.
const LONGEST: usize = 16 << 10;
/// Most datagrams and bytes on their way, each way.
const DATAGRAMS: usize = 256;
const BYTES: usize = 256 << 10;

struct Memory {
    frames: Frames,
    received: [u8; BYTES],
    sent: [u8; BYTES],
}

static MEMORY: Once<Memory> =
    Once::new(Memory { frames: Frames::NEW, received: [0; BYTES], sent: [0; BYTES] });

fn main(info: &'static BootInfo) -> u8 {
    let Some(memory) = MEMORY.take() else { return 1 };
    let options = match Options::parse(info.cmdline()) {
        Ok(options) => options,
        Err(why) => {
            println!("{why}");
            return why.status();
        }
    };
    let Some(wire) = Wire::open(info, "service") else { return 1 };
    let mut stack = Stack::new(&options, wire, &mut memory.frames);
    let (mut incoming, mut outgoing) =
        ([PacketMetadata::EMPTY; DATAGRAMS], [PacketMetadata::EMPTY; DATAGRAMS]);
    let mut socket = Socket::new(
        PacketBuffer::new(&mut incoming[..], &mut memory.received[..]),
        PacketBuffer::new(&mut outgoing[..], &mut memory.sent[..]),
    );
    // It is closed, and the port is not 0.
    let _ = socket.bind(PORT);
    let mut storage = [SocketStorage::EMPTY];
    let mut sockets = SocketSet::new(&mut storage[..]);
    let handle = sockets.add(socket);
    println!("udp-echo: port {PORT} of {}", stack.addresses.as_str());
    stack.run(&mut sockets, &mut Echo { handle, datagram: [0; LONGEST] })
}

struct Echo {
    handle: SocketHandle,
    datagram: [u8; LONGEST],
}

impl Service for Echo {
    fn serve(&mut self, sockets: &mut SocketSet<'_>, _: Instant) {
        let socket = sockets.get_mut::<Socket<'_>>(self.handle);
        while let Ok((len, from)) = socket.recv_slice(&mut self.datagram) {
            // What finds no room is lost, as datagrams may be.
            let _ = socket.send_slice(&self.datagram[..len], from);
        }
    }
}
