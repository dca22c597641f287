//! config.json: the parts that are read, and their way into a `Request`.
//!
//! Two steps, because an ordinary container is handed to another runtime: [`read`] knows only JSON and types and
//! gives what that decision needs; [`Config::bundle`] judges the values. Every message names the JSON path.

mod document;
mod file;
mod hooks;
mod process;
mod queue_proxy;
mod refuse;
mod request;

pub use hooks::{Hook, Hooks};

use anyhow::Context;
use document::Document;
use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use urunc_plan::error::{abridged, quoted};
use urunc_plan::{PlanError, Request, knative};

/// A judged bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The bundle's directory, absolute and free of links.
    pub dir: PathBuf,
    /// `ociVersion`.
    pub oci_version: String,
    /// `root.path`, absolute.
    pub rootfs: PathBuf,
    /// `annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `hooks`.
    pub hooks: Hooks,
    /// There is a `process`; without one a container can be created, but not started.
    pub has_process: bool,
    /// What the planner is asked. Image keys, kernel facts and settings are still empty, and so is the id.
    pub request: Request,
}

/// A config.json whose JSON and types are right.
#[derive(Debug)]
pub struct Config {
    dir: PathBuf,
    document: Document,
    /// The text that the document is from, where the file has another one.
    rewritten: Option<String>,
}

/// Reads `config.json` of a bundle.
///
/// # Errors
/// The directory or the file cannot be read, it is not JSON, or a value has the wrong type.
pub fn read(dir: &Path) -> anyhow::Result<Config> {
    let dir = dir.canonicalize().with_context(|| format!("bundle {}", dir.display()))?;
    let bytes = file::read(&dir.join("config.json"))?;
    Config::parse(dir, &bytes)
}

impl Config {
    /// The config.json of a bundle at `dir`, from its bytes.
    ///
    /// # Errors
    /// It is not JSON, or a value has the wrong type.
    pub fn parse(dir: PathBuf, bytes: &[u8]) -> anyhow::Result<Self> {
        let document = document::parse(bytes)?;
        let text = if knative::is_queue_proxy(&document.annotations) {
            queue_proxy::redirected(std::str::from_utf8(bytes).context("config.json")?)?
        } else {
            None
        };
        let document = text.as_ref().map_or(Ok(document), |text| document::parse(text.as_bytes()))?;
        Ok(Self { document, dir, rewritten: text })
    }

    /// Gives another runtime the config.json that was read: that of Knative's queue-proxy is not the one in the file.
    ///
    /// # Errors
    /// The file cannot be replaced; it is then as it was.
    pub fn hand_over(&self) -> anyhow::Result<()> {
        self.rewritten.as_ref().map_or(Ok(()), |text| file::replace(&self.dir, text.as_bytes()))
    }

    /// The bundle's directory, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `annotations`.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.document.annotations
    }

    /// `root.path` made absolute, not looked at; `None` without one.
    pub fn rootfs(&self) -> Option<PathBuf> {
        let root = self.document.root.as_ref().filter(|root| !root.path.as_os_str().is_empty())?;
        Some(self.dir.join(&root.path))
    }

    /// Judges the values.
    ///
    /// # Errors
    /// A value is wrong, or asks for something that is not supported and may not be dropped silently.
    pub fn bundle(self) -> anyhow::Result<Bundle> {
        let (request, hooks) = self.request()?;
        let rootfs = self.rootfs().ok_or_else(|| PlanError::config("root.path", "missing"))?;
        directory(&rootfs)?;
        let Document { oci_version, annotations, .. } = &self.document;
        Ok(Bundle {
            oci_version: oci_version.clone(),
            annotations: annotations.clone(),
            hooks,
            has_process: self.document.process.is_some(),
            request,
            rootfs,
            dir: self.dir,
        })
    }

    /// The part of [`Config::bundle`] that looks at the file alone.
    ///
    /// # Errors
    /// As [`Config::bundle`].
    pub fn request(&self) -> Result<(Request, Hooks), PlanError> {
        version(&self.document.oci_version)?;
        refuse::unsupported(&self.document)?;
        Ok((request::make(&self.document)?, hooks::checked(&self.document.hooks)?))
    }
}

/// Any 1.x: minor versions add fields and change none.
fn version(version: &str) -> Result<(), PlanError> {
    match version.split_once('.') {
        Some(("1", rest)) if rest.starts_with(|c: char| c.is_ascii_digit()) => Ok(()),
        _ if version.is_empty() => Err(PlanError::config("ociVersion", "missing")),
        _ => Err(PlanError::config("ociVersion", format!("{} is not supported, 1.x is", quoted(version)))),
    }
}

fn directory(rootfs: &Path) -> Result<(), PlanError> {
    let wrong = |why: String| {
        PlanError::config("root.path", format!("{}: {why}", abridged(&rootfs.to_string_lossy())))
    };
    let found = rootfs.metadata().map_err(|e| wrong(e.to_string()))?;
    if !found.is_dir() {
        return Err(wrong("not a directory".into()));
    }
    let host = Path::new("/").metadata().map_err(|e| wrong(e.to_string()))?;
    if (found.dev(), found.ino()) == (host.dev(), host.ino()) {
        return Err(wrong("is the root of this host".into()));
    }
    Ok(())
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
