//! Command line and configuration of Firecracker 1.16 (`src/firecracker/src/main.rs`, `src/vmm/src/vmm_config`).

use super::{Api, Guest, Kind, Machine, Opened, Refusal, file, kvm};
use serde_json::{Map, Value, json};
use std::fs::File;

/// Options of ours, each with one value; more exist.
const OPTIONS: [&str; 5] = ["--api-sock", "--id", "--config-file", "--log-path", "--level"];

/// Members of the configuration's objects: what is required, and the rest.
const SOURCE: Members = (&["kernel_image_path"], &["boot_args", "initrd_path"]);
const CONFIG: Members =
    (&["vcpu_count", "mem_size_mib"], &["smt", "cpu_template", "track_dirty_pages", "huge_pages"]);
const DRIVE: Members = (
    &["drive_id", "is_root_device"],
    &["path_on_host", "is_read_only", "partuuid", "cache_type", "rate_limiter", "io_engine", "socket"],
);
const INTERFACE: Members =
    (&["iface_id", "host_dev_name"], &["guest_mac", "mtu", "rx_rate_limiter", "tx_rate_limiter"]);

type Members = (&'static [&'static str], &'static [&'static str]);

pub(super) fn accept(argv: &[String]) -> Result<Machine, Refusal> {
    let value = |name: &str| {
        let at = argv.iter().position(|word| word == name);
        at.and_then(|at| argv.get(at + 1)).cloned().ok_or((153, format!("{name} is missing")))
    };
    let options = argv.get(1..).unwrap_or_default().chunks(2);
    for option in options {
        if !matches!(option, [name, _] if OPTIONS.contains(&name.as_str())) {
            return Err((153, format!("unexpected {option:?}")));
        }
    }
    let id = value("--id")?;
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b == b'-' || b.is_ascii_alphanumeric()) {
        return Err((134, format!("invalid instance id {id}")));
    }
    let log = File::options().create(true).truncate(false).read(true).write(true).open(value("--log-path")?);
    let log = log.map_err(|e| (1, format!("log: {e}")))?;
    let mut opened = Vec::new();
    let text = std::fs::read_to_string(value("--config-file")?).map_err(|e| (134, format!("config: {e}")))?;
    let config: Value = serde_json::from_str(&text).map_err(|e| (1, format!("config: {e}")))?;
    let told = machine(&config, &mut opened)?;
    let running = json!({"id": id, "state": "Running", "vmm_version": "1.16.1", "app_name": "Firecracker"});
    let stop = ("PUT /actions", r#"{"action_type":"SendCtrlAltDel"}"#);
    let api = Api { socket: value("--api-sock")?, running: ("GET /", running), stop };
    let guest = Guest::told(told["cmdline"].as_str().unwrap_or_default());
    Ok(Machine { kind: Kind::Firecracker { log }, api: Some(api), told, guest, _opened: opened })
}

fn machine(config: &Value, opened: &mut Opened) -> Result<Value, Refusal> {
    let source = object(&config["boot-source"], SOURCE)?;
    let kernel = file(opened, text(source, "kernel_image_path")?, false)?;
    let initrd =
        source.contains_key("initrd_path").then(|| file(opened, text(source, "initrd_path")?, false));
    let initrd = initrd.transpose()?;
    let size = object(&config["machine-config"], CONFIG)?;
    let mut drives = Vec::new();
    for drive in list(config, "drives")? {
        let drive = object(drive, DRIVE)?;
        let readonly = drive.get("is_read_only") == Some(&json!(true));
        let bytes = file(opened, text(drive, "path_on_host")?, !readonly)?;
        drives.push(json!({"bytes": bytes, "readonly": readonly}));
    }
    kvm(opened)?;
    let mut taps = Vec::new();
    for interface in list(config, "network-interfaces")? {
        let interface = object(interface, INTERFACE)?;
        let name = text(interface, "host_dev_name")?;
        opened.push(crate::system::open_tap(name, true).map_err(|e| (1, format!("{name}: {e}")))?);
        taps.push(json!({"name": name, "mac": interface.get("guest_mac"), "mtu": interface.get("mtu")}));
    }
    let line = source.get("boot_args");
    Ok(
        json!({"kernel": kernel, "initrd": initrd, "cmdline": line, "size": size, "drives": drives, "taps": taps}),
    )
}

fn list<'a>(config: &'a Value, name: &str) -> Result<&'a Vec<Value>, Refusal> {
    config[name].as_array().ok_or_else(|| (1, format!("{name} is no list")))
}

fn object(value: &Value, (required, more): Members) -> Result<&Map<String, Value>, Refusal> {
    let object = value.as_object().ok_or_else(|| (1, format!("{value} is no object")))?;
    let unknown =
        object.keys().find(|key| !required.contains(&key.as_str()) && !more.contains(&key.as_str()));
    let missing = required.iter().find(|key| !object.contains_key(**key));
    match (unknown, missing) {
        (Some(key), _) => Err((1, format!("unknown field {key}"))),
        (None, Some(key)) => Err((1, format!("missing field {key}"))),
        (None, None) => Ok(object),
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    object.get(name).and_then(Value::as_str).ok_or_else(|| (1, format!("{name} is no text")))
}
