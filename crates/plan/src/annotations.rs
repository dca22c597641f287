//! Image keys: where they come from, how they are encoded, what values they take.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::Value;

use crate::error::quoted;
use crate::input::ImageKeys;
use crate::launch::Notice;
use crate::{KEY_PREFIX, PlanError, knative, negotiate};

/// What a bundle is.
#[allow(clippy::large_enum_variant, reason = "one value per command")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// An ordinary container: runc's business.
    Container {
        /// Why, for the log and the state directory.
        reason: String,
    },
    /// No key at all: a unikernel if it has a kernel where image tools put one ([`crate::look::PLACES`]), else a
    /// container.
    Unstated {
        /// Why it is a container then.
        reason: String,
    },
    /// A unikernel.
    Unikernel {
        /// Its keys, decoded and checked; what is missing is read from the kernel.
        keys: ImageKeys,
        /// What was ignored.
        notices: Vec<Notice>,
    },
}

/// Keys that choose objects of the host: never an image's choice.
pub const OPERATOR_KEYS: &[&str] = &["RPCAddress", "bootInitrd", "bootKernel", "vAccel"];

/// Annotations by which CRI implementations mark the sandbox of a pod.
const SANDBOX: &[&str] = &["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];
/// Longest value, bytes, of a path and of a command line; every other value is a name.
const PATH_LIMIT: usize = 4096;
const CMDLINE_LIMIT: usize = 64 << 10;
const NAME_LIMIT: usize = 67;

/// What a key's value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Guest,
    Monitor,
    File,
    Directory,
    Cmdline,
    Version,
    Flag,
    DeviceName,
}

const KEYS: &[(&str, Kind)] = &[
    ("binary", Kind::File),
    ("blkMntPoint", Kind::Directory),
    ("block", Kind::File),
    ("cmdline", Kind::Cmdline),
    ("hypervisor", Kind::Monitor),
    ("initrd", Kind::File),
    ("mountRootfs", Kind::Flag),
    ("solo5BlkDev", Kind::DeviceName),
    ("solo5NetDev", Kind::DeviceName),
    ("unikernelType", Kind::Guest),
    ("unikernelVersion", Kind::Version),
    ("useDMBlock", Kind::Flag),
];

/// Values by short key, without the empty ones.
type Values = BTreeMap<String, String>;

/// Decides between container and unikernel, from the annotations of config.json and the content of `/urunc.json`.
///
/// Annotations count exclusively as soon as one key other than `useDMBlock` and `mountRootfs` has a value; else the
/// file does. A pod's sandbox is always a container, and so is Knative's queue-proxy.
///
/// # Errors
/// A bundle that wants to be a unikernel and has a missing or bad value: it must never become a container silently.
pub fn classify(annotations: &BTreeMap<String, String>, file: Option<&[u8]>) -> Result<Verdict, PlanError> {
    if let Some(key) = SANDBOX.iter().find(|key| annotations.get(**key).is_some_and(|kind| kind == "sandbox"))
    {
        return Ok(Verdict::Container { reason: format!("sandbox of a pod ({key})") });
    }
    if knative::is_queue_proxy(annotations) {
        return Ok(Verdict::Container { reason: "queue-proxy of a pod of Knative".to_owned() });
    }
    let stated: Values = annotations
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(KEY_PREFIX)?.to_owned(), value.clone())))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    if let Some(key) = OPERATOR_KEYS.iter().find(|key| stated.contains_key(**key)) {
        return Err(PlanError::key(*key, "not built yet"));
    }
    if stated.keys().any(|key| kind(key).is_some_and(|kind| kind != Kind::Flag)) {
        return unikernel("annotations", &stated, annotation_text);
    }
    let Some(file) = file else {
        let reason = format!("no {KEY_PREFIX}* annotation and no /urunc.json");
        return Ok(Verdict::Unstated { reason });
    };
    let written = members(file)?;
    if let Some(key) = OPERATOR_KEYS.iter().find(|key| written.contains_key(**key)) {
        return Err(PlanError::key(*key, "only an operator may set it, remove it from /urunc.json"));
    }
    if !written.keys().any(|key| kind(key).is_some()) {
        let reason = format!("no {KEY_PREFIX}* annotation, and /urunc.json has no such key");
        return Ok(Verdict::Unstated { reason });
    }
    unikernel("urunc.json", &written, |_, value, _| file_text(value))
}

/// Members of `/urunc.json` with our prefix and a non-empty value.
fn members(file: &[u8]) -> Result<Values, PlanError> {
    let refuse = |why: String| PlanError::key("/urunc.json", why);
    let parsed: Value = serde_json::from_slice(file).map_err(|error| refuse(format!("not JSON: {error}")))?;
    let Value::Object(members) = parsed else {
        return Err(refuse("not a JSON object".to_owned()));
    };
    let mut values = Values::new();
    for (key, value) in members {
        let Some(short) = key.strip_prefix(KEY_PREFIX) else { continue };
        match value {
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => {
                values.insert(short.to_owned(), text);
            }
            // What a member of a later version means cannot be a reason to refuse.
            _ if kind(short).is_none() && !OPERATOR_KEYS.contains(&short) => {
                values.insert(short.to_owned(), String::new());
            }
            _ => return Err(PlanError::key(short, "not a string in /urunc.json")),
        }
    }
    Ok(values)
}

/// Decodes, checks and collects.
fn unikernel(
    origin: &str,
    values: &Values,
    text: fn(Kind, &str, encoded: bool) -> String,
) -> Result<Verdict, PlanError> {
    let judged = [("unikernelType", Kind::Guest), ("hypervisor", Kind::Monitor), ("binary", Kind::File)];
    let encoded = judged.iter().find_map(|(key, kind)| Some((*kind, values.get(*key)?)));
    let encoded = encoded.is_some_and(|(kind, value)| text(kind, value, false) != *value);
    let mut keys = ImageKeys { origin: origin.to_owned(), ..ImageKeys::default() };
    let mut unknown = Vec::new();
    for (key, value) in values {
        match kind(key) {
            None => unknown.push(quoted(key)),
            Some(kind) => {
                let value = text(kind, value, encoded);
                check(kind, key, &value)?;
                store(&mut keys, key, value);
            }
        }
    }
    if keys.mount_rootfs {
        let key = if values.contains_key("mountRootfs") { "mountRootfs" } else { "useDMBlock" };
        return Err(PlanError::key(
            key,
            "true is not built yet; put the guest's files into an initrd or a block image",
        ));
    }
    let mut notices = Vec::new();
    if !unknown.is_empty() {
        let text = format!("unknown keys in {origin} are ignored: {}", unknown.join(", "));
        notices.push(Notice { warn: false, text });
    }
    Ok(Verdict::Unikernel { keys, notices })
}

fn kind(key: &str) -> Option<Kind> {
    KEYS.iter().find(|(name, _)| *name == key).map(|(_, kind)| *kind)
}

/// The text of an annotation: plain if that is a value of its key, else base64. A command line may be any text, so it
/// follows the encoding of its neighbours.
fn annotation_text(kind: Kind, value: &str, encoded: bool) -> String {
    let plain = if kind == Kind::Cmdline { !encoded } else { check(kind, "", value).is_ok() };
    if plain { value.to_owned() } else { file_text(value) }
}

/// The text of a member: base64 if it decodes to printable text, else plain.
fn file_text(value: &str) -> String {
    let packed: String = value.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    base64::engine::general_purpose::STANDARD
        .decode(packed)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| !text.is_empty() && text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace()))
        .unwrap_or_else(|| value.to_owned())
}

/// Is this a value of that kind? Names of guests and monitors are judged by their registries.
fn check(kind: Kind, key: &str, value: &str) -> Result<(), PlanError> {
    let limit = match kind {
        Kind::Cmdline => CMDLINE_LIMIT,
        Kind::File | Kind::Directory => PATH_LIMIT,
        _ => NAME_LIMIT,
    };
    let refuse = |why: &str| Err(PlanError::key(key, format!("{}: {why}", quoted(value))));
    if value.len() > limit {
        return Err(PlanError::key(key, format!("{} bytes, at most {limit} are allowed", value.len())));
    }
    match kind {
        Kind::Guest => negotiate::check_guest(value),
        Kind::Monitor => negotiate::check_monitor(value),
        Kind::File | Kind::Directory => match path_fault(value, kind == Kind::Directory) {
            Some(why) => refuse(why),
            None => Ok(()),
        },
        Kind::Cmdline if value.contains('\0') => refuse("contains a NUL byte"),
        Kind::Version if !version(value) => refuse("not a version such as 0.16.1"),
        Kind::Flag if flag(value).is_none() => refuse("not a boolean; use true or false"),
        Kind::DeviceName if value.is_empty() || !value.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            refuse("not 1 to 67 letters and digits")
        }
        Kind::Cmdline | Kind::Version | Kind::Flag | Kind::DeviceName => Ok(()),
    }
}

/// Judges the path of a file in the image; a request may have come from elsewhere than its keys.
pub(crate) fn file_of_image(key: &str, path: &str) -> Result<(), PlanError> {
    check(Kind::File, key, path)
}

/// Why a path of the image is refused: it must match `^[A-Za-z0-9._/-]+$` and be clean.
fn path_fault(path: &str, directory: bool) -> Option<&'static str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'/' | b'-');
    if path == "/" {
        return (!directory).then_some("not a file");
    }
    if !path.bytes().all(allowed) {
        return Some("a path of the image has letters, digits, '.', '_', '/' and '-' only");
    }
    if path.starts_with('-') {
        return Some("a path of the image does not start with '-'");
    }
    let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
    if parts.any(|part| matches!(part, "" | "." | "..")) {
        return Some("a path of the image has no empty, '.' or '..' component");
    }
    None
}

fn version(text: &str) -> bool {
    let digits = text.strip_prefix('v').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+' | b'~'))
}

/// Booleans as Go's `strconv.ParseBool` spells them.
fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn store(keys: &mut ImageKeys, key: &str, value: String) {
    match key {
        "binary" => keys.binary = value,
        "blkMntPoint" => keys.block_mount_point = value,
        "block" => keys.block = value,
        "cmdline" => keys.cmdline = value,
        "hypervisor" => keys.monitor = value,
        "initrd" => keys.initrd = value,
        "solo5BlkDev" => keys.solo5_block = value,
        "solo5NetDev" => keys.solo5_net = value,
        "unikernelType" => keys.guest = value,
        "unikernelVersion" => keys.version = value,
        // Two names of one switch: either may turn it on.
        _ => keys.mount_rootfs |= flag(&value) == Some(true),
    }
}
