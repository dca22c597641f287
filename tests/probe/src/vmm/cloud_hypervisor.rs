//! Command line of Cloud Hypervisor 53 (`cloud-hypervisor/src/main.rs`, `vmm/src/config.rs`).

use super::{Api, Guest, Kind, Machine, Refusal, file, kvm};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;

/// Options of ours, and what their values may be made of; an empty list: anything. More exist.
const OPTIONS: [(&str, &[&str]); 12] = [
    ("--seccomp", &[]),
    ("--kernel", &[]),
    ("--initramfs", &[]),
    ("--cmdline", &[]),
    ("--memory", &["size"]),
    ("--cpus", &["boot"]),
    ("--net", &["fd", "mac", "mtu", "num_queues", "queue_size"]),
    ("--disk", &["path", "readonly", "direct", "image_type"]),
    ("--serial", &[]),
    ("--console", &[]),
    ("--api-socket", &[]),
    ("--event-monitor", &["fd"]),
];
/// Those without a value.
const FLAGS: [&str; 2] = ["--pvpanic", "-v"];

type Options = BTreeMap<&'static str, String>;

pub(super) fn accept(argv: &[String]) -> Result<Machine, Refusal> {
    let options = options(argv)?;
    let value = |name: &str| options.get(name).ok_or_else(|| (2, format!("{name} is missing")));
    if value("--seccomp")? != "true" {
        return Err((2, "--seccomp is not true".to_owned()));
    }
    let mut opened = Vec::new();
    kvm(&mut opened)?;
    opened
        .push(File::open("/dev/urandom").map_err(|e| (1, format!("Cannot create virtio-rng device: {e}")))?);
    let kernel = file(&mut opened, value("--kernel")?, false)?;
    let initrd = options.get("--initramfs").map(|path| file(&mut opened, path, false)).transpose()?;
    let disk = options.get("--disk").map(|disk| parts(disk)).unwrap_or_default();
    let mut told = json!({
        "kernel": kernel,
        "initrd": initrd,
        "cmdline": value("--cmdline")?,
        "size": parts(value("--memory")?)["size"],
        "vcpus": parts(value("--cpus")?)["boot"],
    });
    if let Some(path) = disk.get("path") {
        let readonly = disk["readonly"] == "on";
        // Without it the format is guessed from the guest's bytes.
        if disk.get("image_type") != Some(&"raw") {
            return Err((1, "no image_type".to_owned()));
        }
        told["disk"] = json!({"bytes": file(&mut opened, path, !readonly)?, "readonly": readonly});
    }
    if let Some(net) = options.get("--net").map(|net| parts(net)) {
        let number = net["fd"].parse().map_err(|_| (2, "fd is no number".to_owned()))?;
        let name = crate::system::tap_name(number).map_err(|e| (1, format!("fd {number}: {e}")))?;
        told["tap"] = json!({"name": name, "mac": net.get("mac")});
    }
    let running: Value = json!({"config": {}, "state": "Running"});
    let socket = value("--api-socket")?.clone();
    let stop = ("PUT /api/v1/vm.power-button", "");
    let api = Api { socket, running: ("GET /api/v1/vm.info", running), stop };
    let guest = Guest::told(value("--cmdline")?);
    let number = options.get("--event-monitor").and_then(|place| parts(place)["fd"].parse().ok());
    let events = number.and_then(crate::system::stream);
    Ok(Machine { kind: Kind::CloudHypervisor { events }, api: Some(api), told, guest, _opened: opened })
}

/// `--name value` or `--name=value`; a value that begins with a hyphen needs the latter.
fn options(argv: &[String]) -> Result<Options, Refusal> {
    let mut options = Options::new();
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        if FLAGS.contains(&word.as_str()) {
            continue;
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => {
                (word.as_str(), words.next().filter(|v| !v.starts_with('-')).cloned().unwrap_or_default())
            }
        };
        let known = OPTIONS.iter().find(|(known, _)| *known == name).filter(|_| !value.is_empty());
        let Some((name, parts_of_it)) = known else { return Err((2, format!("unexpected argument {word}"))) };
        let strange = parts(&value).into_keys().find(|part| !parts_of_it.contains(part));
        if let Some(part) = strange.filter(|_| !parts_of_it.is_empty()) {
            return Err((2, format!("{name}: unknown option {part}")));
        }
        if options.insert(name, value).is_some() {
            return Err((2, format!("{name} cannot be used multiple times")));
        }
    }
    Ok(options)
}

/// `a=b,c=d`.
fn parts(value: &str) -> BTreeMap<&str, &str> {
    value.split(',').filter_map(|part| part.split_once('=')).collect()
}
