//! Command line of Solo5's tenders (`tenders/common`, 0.7 and later).

use super::{Guest, Kind, Machine, Refusal, file};
use serde_json::json;
use std::io::{Read, Seek, Write};

pub(super) fn accept(argv: &[String]) -> Result<Machine, Refusal> {
    let fail = |why: &str| (1, why.to_owned());
    let mut opened = Vec::new();
    let (mut nets, mut blocks, mut memory) = (Vec::new(), Vec::new(), None);
    let mut words = argv.iter().skip(1);
    // Options end with `--` or the first word that is none.
    for word in words.by_ref().take_while(|word| *word != "--") {
        match word.split_once('=').ok_or_else(|| fail(word))? {
            ("--mem", mebibytes) => memory = mebibytes.parse::<u64>().ok(),
            (option, value) => match option.split_once(':').ok_or_else(|| fail(option))? {
                ("--net", name) => {
                    if value.starts_with('@') {
                        return Err(fail("a tap by its descriptor, whose MTU is not known"));
                    }
                    let tap = crate::system::open_tap(value, false);
                    opened.push(tap.map_err(|e| (1, format!("{value}: {e}")))?);
                    nets.push(name);
                }
                ("--net-mac", name) if nets.contains(&name) => {}
                // For writing, always.
                ("--block", name) => blocks.push((name, file(&mut opened, value, true)?)),
                _ => return Err(fail(word)),
            },
        }
    }
    let hvt = argv.first().is_some_and(|program| program.ends_with("-hvt"));
    prepare(hvt).map_err(|e| fail(&e.to_string()))?;
    let kernel = file(&mut opened, words.next().ok_or_else(|| fail("no kernel"))?, false)?;
    let line: Vec<_> = words.collect();
    let told = json!({"kernel": kernel, "memory": memory, "nets": nets, "blocks": blocks, "line": line});
    let guest = Guest::told(&line.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" "));
    Ok(Machine { kind: Kind::Solo5, api: None, told, guest, _opened: opened })
}

/// What they need of our filter for their own, which libseccomp writes into a memory file, and as of 0.11 hvt for the
/// thread of its network devices, which waits for an event.
fn prepare(thread: bool) -> std::io::Result<()> {
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fs::{MemfdFlags, memfd_create};
    let mut file = std::fs::File::from(memfd_create("bpf_filter", MemfdFlags::empty())?);
    file.write_all(&[0; 8])?;
    file.rewind()?;
    file.read_exact(&mut [0; 8])?;
    if thread {
        let kick = eventfd(0, EventfdFlags::CLOEXEC)?;
        let thread = std::thread::Builder::new().spawn(move || drop(kick))?;
        thread.join().map_err(|_| std::io::Error::other("the thread"))?;
    }
    Ok(())
}
