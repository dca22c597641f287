//! A guest for every monitor of virtual machines: it does what the words of its command line say, one after the other,
//! and then powers the machine off. Without a word, but with an address, it serves pages.
#![no_std]
#![no_main]

mod port;

use ::net::options::Options;
use ::net::server::{Memory, PORT, Server};
use guest::Once;
use port::Wire;
use virtio::checksum::crc32;
use virtio::info::BootInfo;
use virtio::net::Net;
use virtio::serial::Console;
use virtio::words::Word;
use virtio::{block, end, println};

virtio::guest!(main);

static MEMORY: Once<Memory> = Once::new(Memory::NEW);

fn main(info: &BootInfo) -> ! {
    for word in Word::list(info.cmdline) {
        match word {
            Word::Hello => println!("hello: entered by {:?}, told {:?}", info.protocol, info.cmdline),
            Word::Initrd => initrd(info),
            Word::Block => first_sector(info),
            Word::Http => http(info),
            Word::Exit(status) => end::exit(status),
            Word::PowerOff => end::power_off(),
            Word::Panic => {
                println!("Kernel panic - not syncing: by command line");
                end::panic();
            }
            Word::Triple => end::triple_fault(),
            Word::Reset => end::reset(),
            Word::Hang => end::hang(),
            Word::Halt => end::halt(),
            Word::Flood => loop {
                Console.write(b"flood\n");
            },
        }
    }
    // Some guests take addresses and nothing else.
    if Word::list(info.cmdline).next().is_none() && Options::any(info.cmdline).is_ok() {
        http(info);
    }
    end::power_off()
}

fn initrd(info: &BootInfo) {
    let bytes = info.initrd.unwrap_or_default();
    println!("initrd: {} bytes, checksum {:08x}", bytes.len(), crc32(bytes));
}

/// The sector without the zeros at its end.
fn first_sector(info: &BootInfo) {
    match block::first_sector(info.cmdline) {
        Ok((count, sector)) => {
            let end = sector.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            println!("block: {count} sectors, the first is \"{}\"", sector[..end].escape_ascii());
        }
        Err(why) => println!("block: {why}"),
    }
}

fn http(info: &BootInfo) -> ! {
    let options = match Options::any(info.cmdline) {
        Ok(options) => options,
        Err(why) => {
            println!("http: {why}");
            end::exit(why.status())
        }
    };
    let net = match Net::open(info.cmdline) {
        Ok(net) => net,
        Err(why) => {
            println!("http: no network device: {why}");
            end::exit(1)
        }
    };
    let Some(memory) = MEMORY.take() else { end::exit(1) };
    let server = Server { name: "virtio", cmdline: info.cmdline, end: || end::exit(0) };
    server.run(&options, Wire::new(net), memory, |addresses| println!("http: port {PORT} of {addresses}"))
}
