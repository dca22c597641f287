//! Rows about directories: cgroups, mounts, state and whole trees.

use crate::Scope;
use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Calls `visit` for everything below `dir`, without following links; the order is the directory's.
fn walk(dir: &Path, visit: &mut impl FnMut(&Path, &fs::Metadata)) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = path.symlink_metadata() else { continue };
        visit(&path, &meta);
        if meta.is_dir() {
            walk(&path, visit);
        }
    }
}

/// Directories only, without a stat of the many files of each cgroup.
fn subdirectories(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            subdirectories(&entry.path(), out);
            out.push(entry.path());
        }
    }
}

/// Cgroups of every hierarchy.
pub(crate) fn cgroups(scope: &Scope, out: &mut BTreeSet<String>) {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for line in table.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(mount) = left.split(' ').nth(4) else { continue };
        if !right.starts_with("cgroup") {
            continue;
        }
        let mut directories = Vec::new();
        subdirectories(Path::new(mount), &mut directories);
        out.extend(directories.iter().map(|d| d.display().to_string()).filter(|d| scope.owns(d)));
    }
}

/// Mounts of the caller's own mount namespace.
pub(crate) fn mounts(scope: &Scope, out: &mut BTreeSet<String>) {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    out.extend(table.lines().filter(|line| scope.owns(line)).map(str::to_owned));
}

/// Names below the state directories.
pub(crate) fn state(scope: &Scope, out: &mut BTreeSet<String>) {
    for root in &scope.roots {
        walk(root, &mut |path, meta| {
            out.insert(format!("{} {:o}", path.display(), meta.mode()));
        });
    }
}

/// Everything that an image or canary tree is, but access times.
pub(crate) fn trees(scope: &Scope, out: &mut BTreeSet<String>) {
    for tree in &scope.trees {
        if let Ok(meta) = tree.symlink_metadata() {
            out.insert(describe(tree, &meta));
        }
        walk(tree, &mut |path, meta| {
            out.insert(describe(path, meta));
        });
    }
}

fn describe(path: &Path, meta: &fs::Metadata) -> String {
    format!(
        "{} inode={} {:o} {}:{} device={} mtime={}.{} content={:x} xattrs={:x}",
        path.display(),
        meta.ino(),
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.rdev(),
        meta.mtime(),
        meta.mtime_nsec(),
        content(path, meta),
        attributes(path),
    )
}

/// Hash of a file's bytes or of a link's target; 0 for everything that is not read.
fn content(path: &Path, meta: &fs::Metadata) -> u64 {
    let mut hash = DefaultHasher::new();
    if meta.is_symlink() {
        hash.write(fs::read_link(path).unwrap_or_default().as_os_str().as_encoded_bytes());
    } else if meta.is_file() {
        let Ok(mut file) = fs::File::open(path) else { return 1 };
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n @ 1..) = file.read(&mut buffer) {
            hash.write(buffer.get(..n).unwrap_or_default());
        }
    } else {
        return 0;
    }
    hash.finish()
}

/// Hash of the names and values of the extended attributes.
fn attributes(path: &Path) -> u64 {
    let mut names = vec![0u8; 4096];
    let mut value = vec![0u8; 4096];
    let Ok(size) = rustix::fs::llistxattr(path, &mut names[..]) else { return 0 };
    let mut hash = DefaultHasher::new();
    for name in names.get(..size).unwrap_or_default().split(|b| *b == 0).filter(|n| !n.is_empty()) {
        hash.write(name);
        if let Ok(n) = rustix::fs::lgetxattr(path, name, &mut value[..]) {
            hash.write(value.get(..n).unwrap_or_default());
        }
    }
    hash.finish()
}
