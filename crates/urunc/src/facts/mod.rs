//! Facts of the host and the image: gathered here, judged in `plan`.

pub mod library;
pub mod monitor;
pub mod security;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;
use rustix::io::Errno;
use urunc_plan::input::{BlockFacts, ImageKeys, KvmFacts, NamespaceKind};
use urunc_plan::read::ReadAt;
use urunc_plan::settings::Settings;
use urunc_plan::{HostFacts, Request, kernel};
use urunc_sys::inroot::{self, Want};

/// Largest `/urunc.json` read, bytes.
const URUNC_JSON_LIMIT: u64 = 1 << 20;

/// The image's tree and the files of it that are open.
#[derive(Debug)]
pub struct Image {
    root: OwnedFd,
    opened: BTreeMap<String, OwnedFd>,
}

struct File(std::fs::File, u64);

impl ReadAt for File {
    fn size(&self) -> u64 {
        self.1
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> bool {
        self.0.read_exact_at(buf, offset).is_ok()
    }
}

impl Image {
    /// Opens the root of the image.
    ///
    /// # Errors
    /// Names `root.path`.
    pub fn open(rootfs: &Path) -> anyhow::Result<Self> {
        let root = inroot::open_root(rootfs).context("root.path")?;
        Ok(Self { root, opened: BTreeMap::new() })
    }

    /// [`Image::open`]; `None` when there is no such directory.
    ///
    /// # Errors
    /// It is there and cannot be opened: what the image asks for is then not known.
    pub fn open_if_any(rootfs: &Path) -> anyhow::Result<Option<Self>> {
        use std::io::ErrorKind::{NotADirectory, NotFound};
        match inroot::open_root(rootfs) {
            Err(error) if matches!(error.source.kind(), NotFound | NotADirectory) => Ok(None),
            root => Ok(Some(Self { root: root.context("root.path")?, opened: BTreeMap::new() })),
        }
    }

    /// The root as a descriptor.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Content of `/urunc.json`; `None` when there is none.
    ///
    /// # Errors
    /// It is there but is no regular file, or is too long.
    pub fn urunc_json(&self) -> anyhow::Result<Option<Vec<u8>>> {
        match inroot::open(self.root(), "/urunc.json", Want::Regular, false) {
            Err(e) if e.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            opened => Ok(Some(urunc_sys::atomic::read_all(opened?.fd, "/urunc.json", URUNC_JSON_LIMIT)?)),
        }
    }

    /// The open file behind a key, opening it if it is not yet (or not for writing).
    ///
    /// # Errors
    /// Names the key.
    pub fn take(&mut self, key: &str, source: &str, writable: bool) -> anyhow::Result<OwnedFd> {
        match self.opened.remove(key).filter(|_| !writable) {
            Some(fd) => Ok(fd),
            None => Ok(inroot::open(self.root(), source, Want::RegularOrBlock, writable)
                .context(key.to_owned())?
                .fd),
        }
    }

    fn open_key(&mut self, key: &str, path: &str, want: Want) -> anyhow::Result<inroot::Opened> {
        let opened = inroot::open(self.root(), path, want, false).with_context(|| format!("{key} {path}"))?;
        self.opened.insert(key.to_owned(), urunc_sys::process::duplicate(opened.fd.as_fd())?);
        Ok(opened)
    }
}

/// Adds what the image's files say to the request.
///
/// # Errors
/// A file that a key names is missing or of the wrong type.
pub fn read_image(image: &mut Image, keys: ImageKeys, request: &mut Request) -> anyhow::Result<()> {
    if !keys.binary.is_empty() {
        let opened = image.open_key("binary", &keys.binary, Want::Regular)?;
        let file = File(opened.fd.into(), opened.bytes);
        request.kernel = Some(kernel::inspect(&file));
    }
    if !keys.initrd.is_empty() {
        request.initrd_bytes = Some(image.open_key("initrd", &keys.initrd, Want::Regular)?.bytes);
    }
    if !keys.block.is_empty() {
        let opened = image.open_key("block", &keys.block, Want::RegularOrBlock)?;
        let bytes = if opened.device {
            rustix::fs::seek(&opened.fd, rustix::fs::SeekFrom::End(0))?
        } else {
            opened.bytes
        };
        request.block = Some(BlockFacts { bytes, device: opened.device });
    }
    request.image = keys;
    Ok(())
}

/// Marks the namespaces that are the runtime's own although they are given by path: engines pass the host's so.
///
/// # Errors
/// A namespace that cannot be looked at: not to know it for the host's would be worse.
pub fn mark_host_namespaces(request: &mut Request) -> anyhow::Result<()> {
    for entry in &mut request.namespaces {
        let Some(path) = &entry.path else { continue };
        let own = format!("/proc/self/ns/{}", proc_name(entry.kind));
        let theirs = inode(path).context("linux.namespaces")?;
        // What does not exist is refused by name when it is opened.
        entry.host = theirs.is_some() && theirs == inode(&own)?;
    }
    Ok(())
}

/// Device and inode; `None` when there is nothing of this name.
fn inode(path: &str) -> anyhow::Result<Option<(u64, u64)>> {
    match rustix::fs::stat(path) {
        Err(Errno::NOENT) => Ok(None),
        found => Ok(Some(found.map(|stat| (stat.st_dev, stat.st_ino)).context(path.to_owned())?)),
    }
}

/// Name below `/proc/PID/ns`.
pub fn proc_name(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::Pid => "pid",
        NamespaceKind::Network => "net",
        NamespaceKind::Mount => "mnt",
        NamespaceKind::Ipc => "ipc",
        NamespaceKind::Uts => "uts",
        NamespaceKind::User => "user",
        NamespaceKind::Cgroup => "cgroup",
        NamespaceKind::Time => "time",
    }
}

/// What this host offers for the request: nothing that the request does not need is looked at.
///
/// # Errors
/// A configured monitor that cannot be used.
pub fn gather(request: &Request, settings: &Settings) -> anyhow::Result<HostFacts> {
    let monitor = request.image.monitor.as_str();
    let external = monitor::find(monitor, settings)?;
    let passes = monitor.is_empty() && !request.ordinary.capabilities.is_none();
    let kvm = if matches!(monitor, "qemu" | "hvt") { urunc_sys::kvm::probe() } else { KvmFacts::Unprobed };
    Ok(HostFacts {
        arch: std::env::consts::ARCH.to_owned(),
        monitor: external,
        kvm,
        cgroup: urunc_sys::cgroup::facts().context("cgroups of this host")?,
        systemd: request.systemd_cgroup && urunc_sys::systemd::booted(),
        apparmor: is_yes("/sys/module/apparmor/parameters/enabled"),
        capabilities: if passes { capabilities()? } else { 0 },
        mmap_min_addr: number("/proc/sys/vm/mmap_min_addr"),
    })
}

/// What this process has and may pass on.
fn capabilities() -> anyhow::Result<u64> {
    use rustix::thread::{CapabilitySet, capabilities, capability_is_in_bounding_set};
    let mut own = CapabilitySet::empty();
    for one in capabilities(None).context("capabilities of this process")?.permitted.iter() {
        match capability_is_in_bounding_set(one) {
            // This kernel does not know it.
            Ok(false) | Err(Errno::INVAL) => {}
            held => own.set(one, held.context("bounding set of this process")?),
        }
    }
    Ok(own.bits())
}

fn is_yes(file: &str) -> bool {
    std::fs::read(file).is_ok_and(|content| content.first() == Some(&b'Y'))
}

fn number(file: &str) -> u64 {
    std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
