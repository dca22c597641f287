//! Runs a Solo5 image on the built-in monitor, without a container:
//! `solo5 MIB IMAGE [--block NAME=FILE]... [--] ARGUMENT...`. An image whose name ends in `.hvt` needs `/dev/kvm`.
#![allow(clippy::print_stderr, clippy::exit)]

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::path::Path;

use urunc_plan::launch::{Attach, Device, Target, Tender};
use urunc_tender::{Fds, Ready, TenderError, prepare};

fn main() {
    match set_up() {
        Ok(ready) => ready.enter(|| ()),
        Err(error) => {
            eprintln!("solo5: {error}");
            std::process::exit(1);
        }
    }
}

fn set_up() -> Result<Ready, TenderError> {
    let mut args = std::env::args().skip(1).peekable();
    let memory_mib = args.next().and_then(|mib| mib.parse().ok()).unwrap_or(64);
    let image = args.next().unwrap_or_default();
    let target =
        if Path::new(&image).extension().is_some_and(|end| end == "hvt") { Target::Hvt } else { Target::Spt };
    let kernel = open(&image, false)?;
    let kvm = (target == Target::Hvt).then(|| open("/dev/kvm", true)).transpose()?;
    let (mut attach, mut block) = (Vec::new(), Vec::new());
    while args.next_if(|arg| arg == "--block").is_some() {
        let device = args.next().unwrap_or_default();
        let (name, file) = device.split_once('=').unwrap_or((&device, ""));
        let (name, file) = (name.to_owned(), file.to_owned());
        block.push(open(&file, true)?);
        attach.push(Attach { name, device: Device::Block { file, sector_size: 512, writable: true } });
    }
    args.next_if(|arg| arg == "--");
    let cmdline = args.collect::<Vec<_>>().join(" ");
    let plan = Tender { target, cmdline, memory_mib, attach };
    prepare(&plan, Fds { kernel, kvm, net: Vec::new(), block })
}

fn open(path: &str, writable: bool) -> Result<OwnedFd, TenderError> {
    let file: std::io::Result<File> = OpenOptions::new().read(true).write(writable).open(path);
    Ok(file.map_err(|source| TenderError::System { call: format!("open {path}"), source })?.into())
}
