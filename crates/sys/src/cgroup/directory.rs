//! Making one group's directory and writing its files. This is on the path of every `create`: no call is made twice.

use super::{absent_is, leaf};
use crate::{Result, SysError};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use urunc_plan::launch::CgroupGroup;

const CPUSETS: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// Directories made so far, removed in reverse unless kept.
#[derive(Default)]
pub(super) struct Made(Vec<PathBuf>);

impl Made {
    /// All went well.
    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for dir in self.0.iter().rev() {
            // Nothing better can be done while another error is on its way.
            let _ = rustix::fs::rmdir(dir);
        }
    }
}

/// Makes a group with all its parents and applies its writes. Nobody but `inside` may be in it.
pub(super) fn make(group: &CgroupGroup, inside: Option<i32>, made: &mut Made) -> Result<()> {
    let (dir, mount) = (leaf(group), Path::new(&group.mount));
    if !group.enable.is_empty() {
        enable(group, mount, made)?;
    }
    let new = make_dir(&dir, made)?;
    if !new && processes(group)?.into_iter().any(|pid| Some(pid) != inside) {
        let busy = io::Error::new(
            io::ErrorKind::ResourceBusy,
            "it already has processes; choose another linux.cgroupsPath",
        );
        return Err(SysError::new("use cgroup", dir.display().to_string(), busy));
    }
    let mut open: Option<(&str, File)> = None;
    for write in &group.writes {
        if !group.v2 && CPUSETS.contains(&write.file.as_str()) {
            let given = inherit(mount, dir.parent().unwrap_or(mount), &write.file)?;
            if write.value.is_empty() {
                if new || read(&dir.join(&write.file))?.is_empty() {
                    write_once(&dir.join(&write.file), &given)?;
                }
                continue;
            }
        }
        let path = dir.join(&write.file);
        let file = match &mut open {
            Some((name, file)) if *name == write.file => file,
            _ => &mut open.insert((&write.file, open_to_write(&path, &write.value)?)).1,
        };
        file.write_all(write.value.as_bytes()).map_err(|source| write_error(&path, &write.value, source))?;
    }
    Ok(())
}

/// mkdir -p; true when the directory itself is new.
fn make_dir(dir: &Path, made: &mut Made) -> Result<bool> {
    let mkdir = || rustix::fs::mkdir(dir, Mode::from_raw_mode(0o755));
    let outcome = match (mkdir(), dir.parent()) {
        (Err(Errno::NOENT), Some(parent)) => {
            make_dir(parent, made)?;
            mkdir()
        }
        (outcome, _) => outcome,
    };
    match outcome {
        Ok(()) => made.0.push(dir.to_owned()),
        Err(Errno::EXIST) => return Ok(false),
        Err(errno) => return Err(SysError::new("make cgroup", dir.display().to_string(), errno)),
    }
    Ok(true)
}

/// v2: enables the controllers in every group from the root of the mount down to the leaf's parent.
fn enable(group: &CgroupGroup, mount: &Path, made: &mut Made) -> Result<()> {
    let all: Vec<&str> = group.enable.iter().map(String::as_str).collect();
    let is_limited =
        |name: &&str| group.writes.iter().any(|write| write.file.split('.').next() == Some(*name));
    let limited: Vec<&str> = all.iter().copied().filter(is_limited).collect();
    let parents = group.path.trim_start_matches('/').split('/').collect::<Vec<_>>();
    let mut dir = mount.to_owned();
    for component in &parents {
        let file = dir.join("cgroup.subtree_control");
        let on = read(&file)?;
        let off = |name: &&&str| !on.split_whitespace().any(|other| other == **name);
        // What has no limit is only accounted, and that is not worth a failure: a parent with processes of its own
        // refuses every controller.
        if switch_on(&file, all.iter().filter(off)).is_err() {
            switch_on(&file, limited.iter().filter(off))?;
        }
        dir.push(component);
        if dir != leaf(group) {
            make_dir(&dir, made)?;
        }
    }
    Ok(())
}

fn switch_on<'a>(file: &Path, controllers: impl Iterator<Item = &'a &'a str>) -> Result<()> {
    let request = controllers.map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ");
    if request.is_empty() { Ok(()) } else { write_once(file, &request) }
}

/// v1: a new group has no processors and no memory nodes; gives it its parent's, and the parent its own parent's.
fn inherit(mount: &Path, dir: &Path, name: &str) -> Result<String> {
    let file = dir.join(name);
    let value = read(&file)?;
    match dir.parent() {
        Some(parent) if value.is_empty() && dir != mount => {
            let value = inherit(mount, parent, name)?;
            write_once(&file, &value)?;
            Ok(value)
        }
        _ => Ok(value),
    }
}

/// Processes in a group; none when it does not exist. Processes out of sight of this pid namespace are 0.
pub(super) fn processes(group: &CgroupGroup) -> Result<Vec<i32>> {
    processes_in(&leaf(group))
}

/// [`processes`] of a directory.
pub(super) fn processes_in(dir: &Path) -> Result<Vec<i32>> {
    let file = dir.join("cgroup.procs");
    let error = |source| SysError::new("read", file.display().to_string(), source);
    let text = absent_is(std::fs::read_to_string(&file), String::new()).map_err(error)?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Are there processes in a group or below it? Not in one that does not exist.
pub(super) fn is_populated(dir: &Path) -> Result<bool> {
    if !processes_in(dir)?.is_empty() {
        return Ok(true);
    }
    let error = |source| SysError::new("read", dir.display().to_string(), source);
    for below in absent_is(std::fs::read_dir(dir).map(Some), None).map_err(error)?.into_iter().flatten() {
        let below = below.map_err(error)?;
        if below.file_type().is_ok_and(|kind| kind.is_dir()) && is_populated(&below.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Text of a file of a line or so, trimmed: one read, as the kernel hands out such a file whole.
fn read(path: &Path) -> Result<String> {
    let error = |errno| SysError::new("read", path.display().to_string(), errno);
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(error)?;
    let mut buffer = [0; 4096];
    let length = rustix::io::read(file, &mut buffer[..]).map_err(error)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned())
}

/// One value into a file that must exist.
pub(super) fn write_once(path: &Path, value: &str) -> Result<()> {
    let mut file = open_to_write(path, value)?;
    file.write_all(value.as_bytes()).map_err(|source| write_error(path, value, source))
}

/// A file that must exist; `value` is for the error.
pub(super) fn open_to_write(path: &Path, value: &str) -> Result<File> {
    let opened = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    opened.map(File::from).map_err(|errno| write_error(path, value, errno.into()))
}

fn write_error(path: &Path, value: &str, source: io::Error) -> SysError {
    SysError::new("write", format!("{value:?} to {}", path.display()), source)
}
