//! What is read from a kernel file, and which monitor is taken for it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use urunc_plan::input::{ImageKeys, KvmFacts};
use urunc_plan::kernel::{KernelFacts, KernelFormat};
use urunc_plan::look::{self, Initrd, PLACES, PREFERENCE};
use urunc_plan::solo5::{Declared, Solo5Image};

fn keys() -> ImageKeys {
    ImageKeys { origin: "kernel".to_owned(), binary: PLACES[0].kernel.to_owned(), ..ImageKeys::default() }
}

fn elf(guest: &str, multiboot: bool, pvh: bool) -> KernelFacts {
    let machine = "x86_64".to_owned();
    let format = KernelFormat::Elf64;
    KernelFacts {
        bytes: 1 << 20,
        format,
        machine,
        guest: guest.to_owned(),
        multiboot,
        pvh,
        ..KernelFacts::default()
    }
}

fn solo5(target: u32, names: &[(&str, bool)]) -> KernelFacts {
    let devices = names.iter().map(|(name, net)| Declared { name: (*name).to_owned(), net: *net }).collect();
    let image = Solo5Image { target, version: 2, machine: 62, end: 1 << 20, devices };
    KernelFacts { solo5: Some(image), ..elf("", target == 3, false) }
}

fn bzimage() -> KernelFacts {
    KernelFacts { format: KernelFormat::Bzimage, ..elf("linux", false, false) }
}

/// Guest and monitors that are found.
fn found(
    kernel: &KernelFacts,
    beside: Option<Initrd>,
    preference: &[&str],
) -> (String, Vec<&'static str>, String) {
    let mut keys = keys();
    look::complete(&mut keys, kernel, beside.map(|initrd| (PLACES[0], initrd))).unwrap();
    let preference: Vec<_> = preference.iter().map(|name| (*name).to_owned()).collect();
    let candidates = look::candidates(&keys, kernel, &preference);
    (keys.guest, candidates, keys.initrd)
}

#[test]
fn the_file_says_what_it_is() {
    let table = [
        (solo5(2, &[]), "solo5", "spt"),
        (solo5(2, &[("service", true)]), "mirage", "spt"),
        (solo5(2, &[("storage", false)]), "mirage", "spt"),
        (solo5(2, &[("tap", true), ("rootfs", false)]), "rumprun", "spt"),
        (solo5(1, &[("service", true)]), "mirage", "hvt"),
        (solo5(3, &[("service", true)]), "mirage", "qemu"),
        (bzimage(), "linux", "qemu"),
        (elf("linux", false, true), "linux", "qemu"),
        (elf("unikraft", true, false), "unikraft", "qemu"),
        (elf("osv", false, true), "osv", "qemu"),
    ];
    for (kernel, guest, monitor) in table {
        assert!(look::tells(&kernel));
        let (found, monitors, initrd) = found(&kernel, None, &[]);
        assert_eq!((found.as_str(), monitors[0], initrd.as_str()), (guest, monitor, ""));
    }
}

#[test]
fn an_initrd_beside_the_kernel_is_taken_where_the_guest_takes_one() {
    let initrd = |kernel: &KernelFacts, kind| found(kernel, Some(kind), &[]).2;
    assert_eq!(initrd(&bzimage(), Initrd::Archive), "/.boot/rootfs");
    assert_eq!(initrd(&elf("unikraft", true, false), Initrd::Archive), "/.boot/rootfs");
    assert_eq!(initrd(&bzimage(), Initrd::Other), "");
    assert_eq!(initrd(&bzimage(), Initrd::Hermit), "");
    assert_eq!(initrd(&solo5(2, &[]), Initrd::Archive), "");
    let (guest, _, initrd) = found(&elf("", true, false), Some(Initrd::Hermit), &[]);
    assert_eq!((guest.as_str(), initrd.as_str()), ("hermit", "/.boot/rootfs"));
}

#[test]
fn heads_of_initrds() {
    assert_eq!(Initrd::of(b"070701000000"), Initrd::Archive);
    assert_eq!(Initrd::of(b"\x1f\x8b\x08"), Initrd::Archive);
    assert_eq!(Initrd::of(b"\x7fELF\x02\x01\x01\xff\0"), Initrd::Hermit);
    assert_eq!(Initrd::of(b"\x7fELF\x02\x01\x01\0\0"), Initrd::Other);
    assert_eq!(Initrd::of(b"\x7fELF\x02\x01\x01"), Initrd::Other);
    assert_eq!(Initrd::of(b""), Initrd::Other);
}

#[test]
fn what_says_nothing_needs_its_key() {
    for kernel in [elf("", true, false), elf("", false, false), KernelFacts::default()] {
        let error = look::complete(&mut keys(), &kernel, None).unwrap_err().to_string();
        assert!(
            error.starts_with("unikernelType: missing, and the kernel \"/.boot/kernel\" does not say it"),
            "{error}"
        );
    }
    let application = KernelFacts { hermit: true, ..elf("", false, false) };
    let error = look::complete(&mut keys(), &application, None).unwrap_err().to_string();
    assert!(error.contains("an application of hermit without its loader"), "{error}");
    let broken = KernelFacts { broken: Some("truncated".to_owned()), ..elf("unikraft", true, false) };
    assert!(!look::tells(&broken) && !look::tells(&elf("", false, true)));
    let error = look::complete(&mut keys(), &broken, None).unwrap_err().to_string();
    assert_eq!(error, "binary /.boot/kernel: truncated");
}

#[test]
fn stated_keys_stay_as_they_are() {
    let mut stated = ImageKeys { guest: "mewz".to_owned(), ..keys() };
    look::complete(&mut stated, &elf("unikraft", true, false), None).unwrap();
    assert_eq!((stated.guest.as_str(), stated.found.len()), ("mewz", 0));
    let mut stated = ImageKeys { guest: "linux".to_owned(), block: "/disk".to_owned(), ..keys() };
    look::complete(&mut stated, &bzimage(), Some((PLACES[0], Initrd::Archive))).unwrap();
    assert_eq!(stated.initrd, "");
}

#[test]
fn the_first_preferred_monitor_that_is_here_is_taken() {
    let kernel = solo5(3, &[]);
    let mut keys = ImageKeys { guest: "solo5".to_owned(), ..keys() };
    let candidates = ["a", "b", "c"];
    let kvm = || KvmFacts::Unprobed;
    look::choose(&mut keys, &candidates, true, (|name: &str| name != "a", kvm)).unwrap();
    assert_eq!(keys.monitor, "b");
    assert_eq!(keys.found["hypervisor"], "b, the first in preference that is here of a, b, c");
    let error = look::choose(&mut keys, &candidates, false, (|_: &str| false, kvm)).unwrap_err().to_string();
    assert_eq!(error, "hypervisor: missing, and this host has none of a, b, c");
    let error = look::choose(&mut keys, &[], false, (|_: &str| true, kvm)).unwrap_err().to_string();
    assert_eq!(error, "hypervisor: missing, and no monitor loads this kernel for solo5");
    assert_eq!(look::candidates(&keys, &kernel, &["qemu".to_owned()]), ["qemu"]);
    let linux = ImageKeys { guest: "linux".to_owned(), ..keys.clone() };
    let order = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        look::candidates(&linux, &elf("linux", false, true), &names)
    };
    // Those without a place in the usual order follow.
    assert_eq!(order(&[])[..3], ["qemu", "firecracker", "cloud-hypervisor"]);
    assert_eq!(order(&["spt", "firecracker"])[..3], ["firecracker", "qemu", "cloud-hypervisor"]);
    assert!(look::candidates(&keys, &bzimage(), &[]).is_empty());
}

#[test]
fn a_monitor_that_needs_kvm_comes_after_the_others_where_that_is_none_or_bad() {
    use KvmFacts::{Absent, Emulated, Usable};
    let taken = |kvm, candidates: &[&'static str]| {
        let mut keys = keys();
        look::choose(&mut keys, candidates, true, (|_: &str| true, || kvm)).unwrap();
        keys.monitor
    };
    for (kvm, monitor) in [(Usable, "hvt"), (Emulated, "spt"), (Absent, "spt")] {
        assert_eq!(taken(kvm, &["hvt", "spt"]), monitor);
        assert_eq!(taken(kvm, &["hvt"]), "hvt");
    }
    // The host is asked only where that decides.
    let never = || -> KvmFacts { panic!("asked") };
    look::choose(&mut keys(), &["spt", "hvt"], true, (|_: &str| true, never)).unwrap();
}

#[test]
fn the_annotation_comes_before_the_settings() {
    let annotations = |text: &str| BTreeMap::from([(PREFERENCE.to_owned(), text.to_owned())]);
    let order = |text: &str| look::preference(&annotations(text), &["spt".to_owned()]);
    assert_eq!(order(" qemu, spt ,").unwrap(), ["qemu", "spt", "spt"]);
    assert_eq!(look::preference(&BTreeMap::new(), &[]).unwrap(), Vec::<String>::new());
    for name in ["process", "bochs", "QEMU"] {
        let error = order(name).unwrap_err().to_string();
        assert_eq!(error, format!("config.json: annotations.{PREFERENCE}: \"{name}\" is no monitor"));
    }
}
