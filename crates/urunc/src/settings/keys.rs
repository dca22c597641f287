//! The keys and what they mean.

use super::{Loaded, table::Table, trust};
use anyhow::Result;
use log::LevelFilter;
use std::path::Path;
use urunc_plan::{
    PlanError,
    error::quoted,
    look,
    monitor::{self, Monitor},
    settings::{MonitorSettings, Settings},
};

pub(super) fn read(mut file: Table, origin: String) -> Result<Loaded> {
    let mut settings = Settings { origin, ..Settings::default() };
    let (start_timeout, preference) = runtime(&mut file, &mut settings)?;
    let log_level = log(&mut file)?;
    timestamps(&mut file)?;
    let mut monitors = file.table("monitors")?;
    for name in monitors.keys() {
        if monitor::find(&name).is_some() || monitor::PLANNED.contains(&name.as_str()) {
            let table = monitors.table(&name)?;
            let found = monitor(table, &name, &mut monitors)?;
            settings.monitors.insert(name, found);
        }
    }
    monitors.close(&mut file);
    extra_binaries(&mut file)?;
    Ok(Loaded { settings, start_timeout, preference, log_level, warnings: file.finish() })
}

fn runtime(file: &mut Table, settings: &mut Settings) -> Result<(u32, Vec<String>), PlanError> {
    let mut table = file.table("runtime")?;
    for (key, why) in [
        ("libcontainer", "containers are always set up by urunc's own code; remove it"),
        ("vAccel", "vAccel is not supported; remove it"),
    ] {
        if table.boolean(key)? == Some(true) {
            return Err(table.bad(key, why));
        }
    }
    let start_timeout = table.positive("start_timeout", 3600)?.unwrap_or(super::START_TIMEOUT);
    if let Some(name) = table.string("delegate")? {
        match name.as_str() {
            "runc" | "crun" | "process" => {}
            path if path.starts_with('/') => {
                trust::path(Path::new(path)).map_err(|why| table.bad("delegate", why))?;
            }
            other => {
                return Err(table.bad(
                    "delegate",
                    format!("{}: use runc, crun, process or an absolute path", quoted(other)),
                ));
            }
        }
        settings.delegate = name;
    }
    let preference = table.strings("monitors")?;
    for name in &preference {
        look::check_name(name).map_err(|why| table.bad("monitors", why))?;
    }
    table.close(file);
    Ok((start_timeout, preference))
}

fn log(file: &mut Table) -> Result<Option<LevelFilter>, PlanError> {
    let mut table = file.table("log")?;
    let level = match table.string("level")?.as_deref() {
        None => None,
        Some("trace" | "debug") => Some(LevelFilter::Debug),
        Some("info") => Some(LevelFilter::Info),
        Some("warn" | "warning") => Some(LevelFilter::Warn),
        Some("error" | "fatal" | "panic") => Some(LevelFilter::Error),
        Some(other) => {
            return Err(table.bad("level", format!("{}: use debug, info, warning or error", quoted(other))));
        }
    };
    if table.boolean("syslog")? == Some(true) {
        table.unused("syslog", "lines go to --log or stderr only");
    }
    table.close(file);
    Ok(level)
}

fn timestamps(file: &mut Table) -> Result<(), PlanError> {
    let mut table = file.table("timestamps")?;
    absolute(&mut table, "destination")?;
    if table.boolean("enabled")? == Some(true) {
        table.unused("enabled", "timestamps are not built yet");
    }
    table.close(file);
    Ok(())
}

fn monitor(mut table: Table, name: &str, outer: &mut Table) -> Result<MonitorSettings, PlanError> {
    let has_vhost = monitor::find(name).is_some_and(Monitor::has_vhost);
    let found = MonitorSettings {
        default_memory_mb: table.positive("default_memory_mb", 16 << 20)?.map(u64::from),
        default_vcpus: table.positive("default_vcpus", 1024)?,
        path: program(&mut table, "path")?,
        data_path: program(&mut table, "data_path")?,
        uid_range: uid_range(&mut table)?,
        machine: table.string("machine")?.unwrap_or_default(),
        vhost: table.boolean("vhost")?,
        allow_emulation: table.boolean("allow_emulation")?,
    };
    if found.vhost == Some(true) && !has_vhost {
        table.unused("vhost", "packets are copied by the monitor");
    }
    if table.string("socket_path")?.is_some() {
        table.unused("socket_path", "control sockets have a fixed path in the private root");
    }
    table.close(outer);
    Ok(found)
}

fn absolute(table: &mut Table, key: &str) -> Result<Option<String>, PlanError> {
    match table.string(key)? {
        Some(path) if !path.starts_with('/') => {
            Err(table.bad(key, format!("{} is not absolute", quoted(&path))))
        }
        path => Ok(path),
    }
}

/// A path whose content runs, or is mapped into what runs, on behalf of root.
fn program(table: &mut Table, key: &str) -> Result<String, PlanError> {
    let Some(path) = absolute(table, key)? else { return Ok(String::new()) };
    trust::path(Path::new(&path)).map_err(|why| table.bad(key, why))?;
    Ok(path)
}

/// `FIRST:COUNT`, without uid 0 and without the all-ones id.
fn uid_range(table: &mut Table) -> Result<Option<(u32, u32)>, PlanError> {
    let Some(text) = table.string("uid_range")? else { return Ok(None) };
    let range =
        text.split_once(':').and_then(|(first, count)| Some((first.parse().ok()?, count.parse().ok()?)));
    match range {
        Some((first, count)) if first > 0 && count > 0 && u32::MAX - first >= count => {
            Ok(Some((first, count)))
        }
        _ => {
            Err(table
                .bad("uid_range", format!("{}: use FIRST:COUNT, for example 100000:65536", quoted(&text))))
        }
    }
}

fn extra_binaries(file: &mut Table) -> Result<(), PlanError> {
    let mut table = file.table("extra_binaries")?;
    let mut virtiofsd = table.table("virtiofsd")?;
    for key in ["path", "options"] {
        if virtiofsd.string(key)?.is_some() {
            virtiofsd.unused(key, "shared directories are not built yet");
        }
    }
    virtiofsd.close(&mut table);
    table.close(file);
    Ok(())
}
