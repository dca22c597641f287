//! What cannot run is refused in one line that names the value at fault.

use urunc_plan::launch::{Attach, Device};

use crate::child::Twist;
use crate::guest::{exit, image};
use crate::image::Image;
use crate::run::Guest;

crate::tests! {
    images_for_something_else, memory_that_does_not_fit, command_lines_that_do_not_fit, devices_that_do_not_match,
    disks_of_odd_shape, hosts_that_are_not_safe,
}

fn good() -> Image {
    image(&[exit(0)], b"")
}

/// The refusal of a guest with one thing changed.
fn with(change: impl FnOnce(&mut Guest)) -> String {
    let mut guest = Guest::new(&good());
    change(&mut guest);
    guest.refusal()
}

fn images_for_something_else() {
    let of = |change: fn(&mut Image)| {
        let mut image = good();
        change(&mut image);
        Guest::new(&image).refusal()
    };
    assert_eq!(of(|i| i.target = 1), "kernel: made for ABI target 1, not 2 (spt)");
    assert_eq!(of(|i| i.version = 0), "kernel: spt ABI version 0, not 1 or 2");
    assert_eq!(of(|i| i.version = 3), "kernel: spt ABI version 3, not 1 or 2");
    assert!(of(|i| i.parts[0].flags = 7).contains("both writable and executable"));
    let mut file = good().build();
    file[18] = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    assert!(Guest::of_file(&file).refusal().contains("made for ELF machine"));
    assert_eq!(Guest::of_file(b"#!/bin/sh\n").refusal(), "kernel: not a Solo5 image: no ABI note");
    assert_eq!(Guest::of_file(b"").refusal(), "kernel: not a Solo5 image: no ABI note");
}

fn memory_that_does_not_fit() {
    let of = |mib| with(|guest| guest.orders.plan.memory_mib = mib);
    assert_eq!(of(0), "memory of 0 MiB: the image ends at 0x115000 and needs a stack above");
    assert_eq!(of(1), "memory of 1 MiB: the image ends at 0x115000 and needs a stack above");
    assert_eq!(of(u64::MAX), format!("memory of {} MiB: too large", u64::MAX));
    let error = of(100 << 20);
    assert!(error.starts_with("memory of 104857600 MiB: too large"), "{error}");
    // The image itself is larger than its memory.
    let mut image = good();
    image.parts[2].zeroes = 1 << 40;
    let error = Guest::new(&image).refusal();
    assert!(error.starts_with("memory of 16 MiB: the image ends at 0x1000011"), "{error}");
}

fn command_lines_that_do_not_fit() {
    let of = |text: &str| with(|guest| text.clone_into(&mut guest.orders.plan.cmdline));
    assert_eq!(of(&"x".repeat(8192)), "cmdline: 8192 bytes, at most 8191");
    assert_eq!(of("a\0b"), "cmdline: holds a NUL byte");
}

fn devices_that_do_not_match() {
    let mut image = good();
    image.devices = vec![("storage", false)];
    let guest = || Guest::new(&image);
    assert_eq!(guest().refusal(), "device storage: declared by the image but not attached by the plan");
    let extra = Guest::new(&good()).disk("storage", &[0; 512], true);
    assert_eq!(extra.refusal(), "device storage: attached by the plan but not declared by the image");
    let other = guest().disk("other", &[0; 512], true);
    assert_eq!(other.refusal(), "device storage: declared by the image but not attached by the plan");
    let mut net = guest();
    let device = Device::Net { mac: "02:00:00:00:00:01".to_owned(), mtu: 1500 };
    net.orders.plan.attach.push(Attach { name: "storage".to_owned(), device });
    net.orders.sockets = Some((net.path("own"), net.path("peer")));
    let _peer = std::os::unix::net::UnixDatagram::bind(net.path("peer")).unwrap();
    assert_eq!(net.refusal(), "device storage: the plan and the image differ in its type");
    image.devices = vec![("storage", true)];
    for mac in ["", "02:00:00:00:00", "02:00:00:00:00:01:02", "+2:00:00:00:00:01", "03:00:00:00:00:01"] {
        let mut net = Guest::new(&image);
        let device = Device::Net { mac: mac.to_owned(), mtu: 1500 };
        net.orders.plan.attach.push(Attach { name: "storage".to_owned(), device });
        net.orders.sockets = Some((net.path("own"), net.path("peer")));
        let _peer = std::os::unix::net::UnixDatagram::bind(net.path("peer")).unwrap();
        let error = net.refusal();
        assert!(error.contains("hardware address"), "{error}");
    }
}

fn disks_of_odd_shape() {
    let mut image = good();
    image.devices = vec![("storage", false)];
    for size in [0, 511, 513, 1025] {
        let error = Guest::new(&image).disk("storage", &vec![0; size], true).refusal();
        let expected = "are not a positive multiple of the sector size 512";
        assert_eq!(error, format!("device storage: its {size} bytes {expected}"));
    }
    let of = |change: fn(&mut Device)| {
        let mut guest = Guest::new(&image).disk("storage", &[0; 4096], true);
        change(&mut guest.orders.plan.attach[0].device);
        guest.refusal()
    };
    for (size, error) in
        [(0, of(|d| sector(d, 0))), (256, of(|d| sector(d, 256))), (1000, of(|d| sector(d, 1000)))]
    {
        assert!(error.contains(&format!("sector size {size} is not a power of two")), "{error}");
    }
    let error = of(|device| {
        if let Device::Block { file, .. } = device {
            "/dev/zero".clone_into(file);
        }
    });
    assert_eq!(error, "device storage: neither a regular file nor a block device");
    let mut guest = Guest::new(&image).disk("storage", &[0; 4096], false);
    guest.orders.twist = Some(Twist::WritableDisks);
    let expected = "device storage: the descriptor's access mode is not the plan's (writable: false)";
    assert_eq!(guest.refusal(), expected);
}

fn sector(device: &mut Device, size: u16) {
    if let Device::Block { sector_size, .. } = device {
        *sector_size = size;
    }
}

fn hosts_that_are_not_safe() {
    let error = with(|guest| guest.orders.twist = Some(Twist::Occupy));
    assert_eq!(error, "memory of 16 MiB: the addresses are in use: this program is not position-independent");
    let error = with(|guest| guest.orders.twist = Some(Twist::LegacyPersonality));
    assert_eq!(error, "host: the personality READ_IMPLIES_EXEC makes every page executable");
    let error = with(|guest| guest.orders.twist = Some(Twist::Thread));
    assert_eq!(
        error,
        "host: another thread or process uses the memory of the one that is about to be the guest"
    );
    let error = with(|guest| guest.orders.twist = Some(Twist::NoStdin));
    assert_eq!(error, "host: descriptors 0, 1 and 2 must be open and not be devices");
}
