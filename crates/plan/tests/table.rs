//! docs/support.md is made from the registries; `UPDATE_EXPECT=1` writes it.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;

use urunc_plan::machine::{Board, DeviceModel, Wants};
use urunc_plan::memory::{DEFAULT_MIB, MIB};
use urunc_plan::{guest, monitor, negotiate};

/// What runs programs of the image on the host: no guest, and no image's choice.
const NO_GUEST: &str = "process";

#[test]
fn the_support_table_is_what_negotiation_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/support.md");
    let text = document();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "UPDATE_EXPECT=1 writes docs/support.md");
}

fn document() -> String {
    let mut text = String::from(
        "# What runs on what\n\nMade from the code by a test (`UPDATE_EXPECT=1 cargo test -p urunc-plan --test table`). \
         A cell names the\nboards that a guest runs on, the first one is the default; \"yes\" is a monitor with one only. Whatever \
         is not here is refused\nby name, before anything is done, with the ways out.\n\n",
    );
    let monitors: Vec<_> =
        monitor::ALL.iter().map(|one| one.name()).filter(|name| *name != NO_GUEST).collect();
    row(&mut text, std::iter::once("guest").chain(monitors.iter().copied()));
    row(&mut text, std::iter::repeat_n("---", monitors.len() + 1));
    let pairs = negotiate::support();
    let guests = || guest::ALL.iter().filter(|one| one.name() != NO_GUEST);
    for one in guests() {
        let cell = |monitor: &&str| {
            let fits = pairs.iter().find(|pair| pair.0 == one.name() && pair.1 == *monitor).unwrap();
            match fits.2.as_slice() {
                [] => "-".to_owned(),
                [Board::Own] => "yes".to_owned(),
                boards => boards.iter().map(|board| board.name()).collect::<Vec<_>>().join(", "),
            }
        };
        row(&mut text, std::iter::once(format!("`{}`", one.name())).chain(monitors.iter().map(cell)));
    }
    text.push_str("\nWhat each guest is booted by and given, in order of preference.\n\n");
    row(&mut text, ["guest", "kernel", "network device", "block image", "initrd", "RAM, MiB"].into_iter());
    row(&mut text, std::iter::repeat_n("---", 6));
    for one in guests() {
        let wants = one.wants();
        let kernel: Vec<_> = wants.boot.iter().map(|boot| boot.describe()).collect();
        let cells = [
            format!("`{}`", one.name()),
            kernel.join("; "),
            models(wants.nics) + if wants.needs_nic { " (required)" } else { "" },
            models(wants.disks),
            initrd(&wants).to_owned(),
            memory(&wants),
        ];
        row(&mut text, cells.into_iter());
    }
    text.push_str("\nRAM is the least beside the kernel and initrd, and the default when it is not ");
    writeln!(text, "{DEFAULT_MIB} MiB.\n").unwrap();
    for (key, out) in [("unikernelType", negotiate::OUT_GUESTS), ("hypervisor", negotiate::OUT_MONITORS)] {
        writeln!(text, "Out, as `{key}`: {}.", out.join(", ")).unwrap();
    }
    text.push_str("\nVersions never refuse; some of them warn:\n\n");
    for trouble in negotiate::TROUBLES {
        writeln!(text, "* `{}` on `{}`: {}", trouble.guest, trouble.monitor, trouble.text).unwrap();
    }
    text
}

fn row(text: &mut String, cells: impl Iterator<Item = impl AsRef<str>>) {
    let cells: Vec<_> = cells.map(|cell| cell.as_ref().to_owned()).collect();
    writeln!(text, "| {} |", cells.join(" | ")).unwrap();
}

fn models(models: &[DeviceModel]) -> String {
    let names: Vec<_> = models.iter().map(|model| model.describe()).collect();
    if names.is_empty() { "-".to_owned() } else { names.join("; ") }
}

fn initrd(wants: &Wants) -> &'static str {
    match (wants.initrd, wants.needs_initrd) {
        (_, true) => "required",
        (true, false) => "yes",
        (false, false) => "-",
    }
}

fn memory(wants: &Wants) -> String {
    let least = wants.least_ram.div_ceil(MIB);
    match wants.usual_ram / MIB {
        0 => least.to_string(),
        usual => format!("{least}, default {usual}"),
    }
}

/// Names are either in or out.
#[test]
fn names_out_are_no_names_in() {
    for name in negotiate::OUT_GUESTS {
        assert!(guest::find(name).is_none(), "{name}");
        assert!(negotiate::check_guest(name).unwrap_err().to_string().contains("not supported"), "{name}");
    }
    for name in negotiate::OUT_MONITORS {
        assert!(monitor::find(name).is_none(), "{name}");
        assert!(negotiate::check_monitor(name).unwrap_err().to_string().contains("not supported"), "{name}");
    }
}
