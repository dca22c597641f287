//! HTTP/1.1 server on port 80: `/` (a page with a request counter), `/env` (the command line), `/bytes/N`. With
//! `--requests=N` it ends when it has answered so many.
#![no_std]
#![no_main]

use net::options::Options;
use net::server::{Memory, PORT, Server};
use solo5::{BootInfo, Once, Wire, println};

solo5::guest!(main, net "service");

static MEMORY: Once<Memory> = Once::new(Memory::NEW);

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
    let server = Server { name: "http", cmdline: info.cmdline(), end: || solo5::exit(0) };
    server.run(&options, wire, memory, |addresses| println!("http: port {PORT} of {addresses}"))
}
