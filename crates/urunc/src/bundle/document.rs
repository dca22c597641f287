//! config.json as serde sees it: only what is read, with the types of runtime-spec 1.3's config.md. Unknown fields are
//! ignored, `null` counts as absent (Go writes it for empty lists and maps).

use anyhow::anyhow;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};
use urunc_plan::error::{abridged, excerpt};

/// Text to structs; the error is one line with JSON path and place.
pub(super) fn parse(bytes: &[u8]) -> anyhow::Result<Document> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let document: Document = serde_path_to_error::deserialize(&mut json).map_err(|err| {
        // A path of hundreds of brackets helps nobody, and its keys are the file's.
        let path = excerpt(&err.path().to_string());
        let at = if ["?", "."].contains(&path.as_str()) { String::new() } else { format!("{path}: ") };
        anyhow!("config.json: {at}{}", abridged(&err.inner().to_string()))
    })?;
    json.end().map_err(|err| anyhow!("config.json: {err}"))?;
    Ok(document)
}

/// `null` is the default.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $kind:ty,)* })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub(super) struct $name {
            $($(#[$attr])* #[serde(default, deserialize_with = "nullable")] pub(super) $field: $kind,)*
        }
    )* };
}

sections! {
    /// The whole file.
    Document {
        oci_version: String,
        root: Option<Root>,
        hostname: Option<String>,
        domainname: Option<String>,
        mounts: Vec<Mount>,
        process: Option<Process>,
        hooks: Hooks,
        annotations: BTreeMap<String, String>,
        linux: Linux,
    }
    /// `root`.
    Root {
        path: PathBuf,
        readonly: bool,
    }
    /// One of `mounts`.
    Mount {
        destination: String,
        #[serde(rename = "type")]
        kind: String,
        source: String,
        options: Vec<String>,
        #[serde(rename = "uidMappings")]
        uid_mappings: Vec<Value>,
        #[serde(rename = "gidMappings")]
        gid_mappings: Vec<Value>,
    }
    /// `process`.
    Process {
        terminal: bool,
        console_size: Option<ConsoleSize>,
        user: User,
        args: Vec<String>,
        env: Vec<String>,
        cwd: String,
        rlimits: Vec<Rlimit>,
        capabilities: Capabilities,
        no_new_privileges: bool,
        oom_score_adj: Option<i32>,
        apparmor_profile: String,
        selinux_label: String,
        io_priority: Value,
        scheduler: Value,
        #[serde(rename = "execCPUAffinity")]
        exec_cpu_affinity: Value,
    }
    /// `process.consoleSize`.
    ConsoleSize {
        height: u64,
        width: u64,
    }
    /// `process.user`.
    User {
        uid: u32,
        gid: u32,
        umask: Option<u32>,
        additional_gids: Vec<u32>,
    }
    /// `process.capabilities`.
    Capabilities {
        bounding: Vec<String>,
        effective: Vec<String>,
        inheritable: Vec<String>,
        permitted: Vec<String>,
        ambient: Vec<String>,
    }
    /// One of `process.rlimits`.
    Rlimit {
        #[serde(rename = "type")]
        kind: String,
        soft: u64,
        hard: u64,
    }
    /// `hooks`.
    Hooks {
        prestart: Vec<Hook>,
        create_runtime: Vec<Hook>,
        create_container: Vec<Hook>,
        start_container: Vec<Hook>,
        poststart: Vec<Hook>,
        poststop: Vec<Hook>,
    }
    /// One hook.
    Hook {
        path: PathBuf,
        args: Vec<String>,
        env: Vec<String>,
        timeout: Option<i64>,
    }
    /// `linux`.
    Linux {
        namespaces: Vec<Namespace>,
        uid_mappings: Vec<IdMapping>,
        gid_mappings: Vec<IdMapping>,
        time_offsets: BTreeMap<String, TimeOffset>,
        devices: Vec<Device>,
        cgroups_path: String,
        rootfs_propagation: String,
        resources: Value,
        seccomp: Value,
        sysctl: BTreeMap<String, String>,
        mount_label: String,
        masked_paths: Vec<String>,
        readonly_paths: Vec<String>,
        personality: Option<Personality>,
        intel_rdt: Value,
        memory_policy: Value,
        net_devices: Value,
    }
    /// One of `linux.namespaces`.
    Namespace {
        #[serde(rename = "type")]
        kind: String,
        path: String,
    }
    /// One of `linux.timeOffsets`.
    TimeOffset {
        secs: i64,
        nanosecs: u32,
    }
    /// One of `linux.devices`.
    Device {
        path: String,
        #[serde(rename = "type")]
        kind: String,
        major: i64,
        minor: i64,
        file_mode: Option<u32>,
        uid: u32,
        gid: u32,
    }
    /// One of `linux.uidMappings` and `linux.gidMappings`.
    IdMapping {
        #[serde(rename = "containerID")]
        container: u32,
        #[serde(rename = "hostID")]
        host: u32,
        size: u32,
    }
    /// `linux.personality`.
    Personality {
        domain: String,
        flags: Vec<String>,
    }
}
