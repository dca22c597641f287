//! The jail: private root and identity of the monitor.

use std::collections::BTreeSet;

use crate::annotations::file_of_image;
use crate::error::excerpt;
use crate::input::{NamespaceKind, Rlimit};
use crate::launch::{Base, Bind, Dir, FsMount, Identity, ImageFile, Notice, Root};
use crate::machine::BootProtocol;
use crate::monitor::Device;
use crate::{HostFacts, PlanError, Request, attach, capabilities, devices};

/// The private root of a monitor that holds only mount points, sockets and its log, bytes.
const ROOT_BYTES: u64 = 1 << 20;
/// The private root of a built-in monitor, which is empty: a page or two.
const EMPTY_ROOT_BYTES: u64 = 64 << 10;

/// The private root.
///
/// # Errors
/// An unknown propagation, or image files that were not found.
pub fn root(
    req: &Request,
    host: &HostFacts,
    boot: BootProtocol,
    nodes: &[Device],
    mounts: Vec<FsMount>,
) -> Result<Root, PlanError> {
    if boot == BootProtocol::Program {
        return ordinary(req, nodes, mounts);
    }
    let builtin = boot.is_solo5() && host.monitor.is_none();
    let mut root = Root { propagation: propagation(req)?, devices: paths(nodes), mounts, ..Root::default() };
    root.image_files = image_files(req, builtin)?;
    if req.terminal {
        let data = "newinstance,ptmxmode=0666,mode=0620,gid=5".to_owned();
        let (kind, source) = ("devpts".to_owned(), "devpts".to_owned());
        let target = "/dev/pts".to_owned();
        root.mounts.push(FsMount { kind, source, target, data, readonly: false });
    }
    let dirs: &[&str] = match (builtin, req.terminal) {
        (true, false) => &[],
        (true, true) => &["/dev", "/dev/pts"],
        (false, false) => &["/dev", "/guest", "/run"],
        (false, true) => &["/dev", "/dev/pts", "/guest", "/run"],
    };
    root.dirs = dirs.iter().map(|path| Dir { path: (*path).to_owned(), mode: 0o755, owned: false }).collect();
    // The log and the sockets of an exec'ed monitor are made after the pivot.
    root.readonly = builtin;
    root.tmpfs_bytes = if builtin { EMPTY_ROOT_BYTES } else { ROOT_BYTES };
    if !builtin {
        root.binds = binds(host);
    }
    Ok(root)
}

fn paths(nodes: &[Device]) -> Vec<String> {
    nodes.iter().map(|node| node.path.to_owned()).collect()
}

/// The image's own tree, for its own program.
fn ordinary(req: &Request, nodes: &[Device], mounts: Vec<FsMount>) -> Result<Root, PlanError> {
    let asked = &req.ordinary;
    let propagation = propagation(req)?;
    let made = devices::nodes(req, &mounts)?;
    if !owns_mounts(req) {
        let wishes = [
            ("root.readonly", req.readonly),
            ("linux.maskedPaths", !asked.masked.is_empty()),
            ("linux.readonlyPaths", !asked.readonly.is_empty()),
            ("linux.rootfsPropagation", !req.propagation.is_empty()),
        ];
        return match wishes.into_iter().find(|(_, wished)| *wished) {
            Some((field, _)) => {
                Err(PlanError::config(field, "needs a new mount namespace in linux.namespaces"))
            }
            None => Ok(Root { base: Base::Chroot, ..Root::default() }),
        };
    }
    for (field, list) in [("linux.maskedPaths", &asked.masked), ("linux.readonlyPaths", &asked.readonly)] {
        if let Some(index) = list.iter().position(|path| !is_inside(path)) {
            return Err(PlanError::config(
                format!("{field}[{index}]"),
                "is not a clean absolute path below /",
            ));
        }
    }
    let links = [("/proc/self/fd", "fd"), ("/proc/self/fd/0", "stdin"), ("/proc/self/fd/1", "stdout")]
        .into_iter()
        .chain([("/proc/self/fd/2", "stderr"), ("pts/ptmx", "ptmx")])
        .map(|(target, name)| (target.to_owned(), format!("/dev/{name}")))
        .collect();
    Ok(Root {
        base: Base::Image,
        tmpfs_bytes: ROOT_BYTES,
        propagation,
        devices: paths(nodes),
        nodes: made,
        mounts,
        links,
        masked: asked.masked.clone(),
        readonly_paths: asked.readonly.clone(),
        readonly: req.readonly,
        ..Root::default()
    })
}

fn is_inside(path: &str) -> bool {
    let named = |rest: &str| rest.split('/').any(|part| !matches!(part, "" | "."));
    path.strip_prefix('/').is_some_and(named)
        && !path.contains('\0')
        && path.split('/').all(|part| part != "..")
}

/// A mount namespace of its own. Without one an ordinary container shares the mounts of others (OCI spec,
/// config-linux.md, namespaces), where nothing may change.
pub fn owns_mounts(req: &Request) -> bool {
    req.namespaces.iter().any(|entry| entry.kind == NamespaceKind::Mount && entry.path.is_none())
}

/// Program, loader, libraries and data of an external monitor.
fn binds(host: &HostFacts) -> Vec<Bind> {
    let Some(monitor) = &host.monitor else { return Vec::new() };
    let files = std::iter::once(&monitor.path).chain(&monitor.interpreter).chain(&monitor.libraries);
    let files: BTreeSet<_> = files.map(|path| Bind { path: path.clone(), dir: false }).map(key).collect();
    let data: BTreeSet<_> = monitor.data.iter().map(|path| (path.clone(), true)).collect();
    files.into_iter().chain(data).map(|(path, dir)| Bind { path, dir }).collect()
}

fn key(bind: Bind) -> (String, bool) {
    (bind.path, bind.dir)
}

fn image_files(req: &Request, builtin: bool) -> Result<Vec<ImageFile>, PlanError> {
    let name = |name: &str| if builtin { name.to_owned() } else { format!("/guest/{name}") };
    let file = |key: &str, source: &str, target: &str, writable: bool| ImageFile {
        source: source.to_owned(),
        target: name(target),
        key: key.to_owned(),
        writable,
        member: None,
    };
    let refuse = |key: &str, path: &str, why: String| {
        Err(PlanError::File { file: format!("{key} {}", excerpt(path)), why })
    };
    let image = &req.image;
    for (key, path) in [("binary", &image.binary), ("initrd", &image.initrd), ("block", &image.block)] {
        if !path.is_empty() {
            file_of_image(key, path)?;
        }
    }
    let mut files = vec![file("binary", &image.binary, "kernel", false)];
    if !image.initrd.is_empty() {
        match req.initrd_bytes {
            None => return refuse("initrd", &image.initrd, "was not read".to_owned()),
            Some(0) => return refuse("initrd", &image.initrd, "is empty".to_owned()),
            Some(_) => files.push(file("initrd", &image.initrd, "initrd", false)),
        }
    }
    if !image.block.is_empty() {
        let sector = u64::from(attach::SECTOR);
        match &req.block {
            None => return refuse("block", &image.block, "was not read".to_owned()),
            // A node in an image would let the image choose a disk of the host.
            Some(block) if block.device => {
                return refuse("block", &image.block, "is a device node".to_owned());
            }
            Some(block) if block.bytes == 0 || block.bytes % sector != 0 => {
                let why = format!("{} bytes are not a whole number of {sector}-byte sectors", block.bytes);
                return refuse("block", &image.block, why);
            }
            Some(_) => files.push(file("block", &image.block, attach::DISK, !req.readonly)),
        }
    }
    Ok(files)
}

fn propagation(req: &Request) -> Result<String, PlanError> {
    match req.propagation.as_str() {
        "" => Ok("rslave".to_owned()),
        known @ ("private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared" | "unbindable"
        | "runbindable") => Ok(known.to_owned()),
        other => {
            Err(PlanError::config("linux.rootfsPropagation", format!("unknown value \"{}\"", excerpt(other))))
        }
    }
}

/// Who the monitor is: the user of config.json, without any capability. The program of an ordinary container has what
/// config.json says.
///
/// # Errors
/// Ids, limits and labels that the kernel would not take as they are.
pub fn identity(
    req: &Request,
    host: &HostFacts,
    (monitor, boot): (&str, BootProtocol),
) -> Result<(Identity, Option<Notice>), PlanError> {
    let user = &req.user;
    // The kernel takes 2^32-1 for "unchanged".
    if user.uid == u32::MAX || user.gid == u32::MAX || user.groups.contains(&u32::MAX) {
        return Err(PlanError::config("process.user", "4294967295 is not a user or group id"));
    }
    if let Some(umask) = user.umask.filter(|umask| *umask > 0o777) {
        return Err(PlanError::config("process.user.umask", format!("{umask} is more than 0777")));
    }
    if let Some(score) = req.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        return Err(PlanError::config("process.oomScoreAdj", format!("{score} is not within -1000 to 1000")));
    }
    let apparmor = req.apparmor.clone().filter(|label| !label.is_empty());
    if !host.apparmor && apparmor.as_deref().is_some_and(|label| label != "unconfined") {
        let why = "process.apparmorProfile is set, but this kernel has no AppArmor enabled".to_owned();
        return Err(PlanError::Host { why });
    }
    let range = req.settings.monitors.get(monitor).and_then(|settings| settings.uid_range);
    let remapped = range.map(|range| remap(&req.id, range, monitor)).transpose()?;
    let map = |id: u32| if id == 0 { remapped.unwrap_or(0) } else { id };
    let (capability_sets, notice) = match boot {
        // Whoever is first in a user namespace has them all there.
        BootProtocol::Program if !req.ordinary.uid_map.is_empty() => {
            capabilities::granted(&req.ordinary.capabilities, u64::MAX)
        }
        BootProtocol::Program => capabilities::granted(&req.ordinary.capabilities, host.capabilities),
        _ => Default::default(),
    };
    let identity = Identity {
        uid: map(user.uid),
        gid: map(user.gid),
        groups: user.groups.iter().map(|gid| map(*gid)).collect(),
        umask: user.umask.unwrap_or(0o022),
        capability_sets,
        no_new_privs: boot != BootProtocol::Program || req.ordinary.no_new_privs,
        rlimits: rlimits(&req.rlimits)?,
        oom_score_adj: req.oom_score_adj,
        apparmor,
    };
    Ok((identity, notice))
}

/// The id that stands for 0: two containers rarely share one, and every command finds the same.
fn remap(id: &str, (first, count): (u32, u32), monitor: &str) -> Result<u32, PlanError> {
    let end = first.checked_add(count).filter(|end| *end < u32::MAX);
    if first == 0 || count == 0 || end.is_none() {
        let key = format!("monitors.{monitor}.uid_range");
        let why = format!("first {first}, count {count} is not a range of ids above 0");
        return Err(PlanError::Setting { key, why });
    }
    // FNV-1a: stable across versions, unlike the standard library's hasher.
    let hash =
        id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    Ok(first + hash % count)
}

fn rlimits(rlimits: &[Rlimit]) -> Result<Vec<Rlimit>, PlanError> {
    const KINDS: &[&str] = &[
        "AS",
        "CORE",
        "CPU",
        "DATA",
        "FSIZE",
        "LOCKS",
        "MEMLOCK",
        "MSGQUEUE",
        "NICE",
        "NOFILE",
        "NPROC",
        "RSS",
        "RTPRIO",
        "RTTIME",
        "SIGPENDING",
        "STACK",
    ];
    let mut seen = BTreeSet::new();
    for (index, limit) in rlimits.iter().enumerate() {
        let refuse = |why: String| Err(PlanError::config(format!("process.rlimits[{index}]"), why));
        if !limit.kind.strip_prefix("RLIMIT_").is_some_and(|kind| KINDS.contains(&kind)) {
            return refuse(format!("unknown type \"{}\"", excerpt(&limit.kind)));
        }
        if !seen.insert(&limit.kind) {
            return refuse(format!("{} is listed twice", limit.kind));
        }
        if limit.soft > limit.hard {
            return refuse(format!(
                "{}: soft limit {} is above hard limit {}",
                limit.kind, limit.soft, limit.hard
            ));
        }
    }
    Ok(rlimits.to_vec())
}
