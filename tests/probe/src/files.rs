//! What can be reached: inherited descriptors and the whole root tree.

use rustix::fs::{Access, AtFlags, CWD, FileType, StatVfsMountFlags, StatxFlags};
use serde_json::{Value, json};
use std::os::fd::{BorrowedFd, RawFd};
use std::path::Path;

/// File systems that hold the kernel's objects, not the container's files: their content is not listed.
/// Magic numbers of linux/magic.h: proc, sysfs, cgroup, cgroup2.
const KERNEL_FILE_SYSTEMS: [i64; 4] = [0x9fa0, 0x6265_6572, 0x27_e0eb, 0x6367_7270];

/// Open descriptors below 1024: number, kind, close-on-exec flag, inode.
pub(crate) fn descriptors() -> Value {
    let open = (0..1024).filter_map(|number: RawFd| {
        let fd: BorrowedFd<'_> = crate::system::borrow(number)?;
        let stat = rustix::fs::fstat(fd).ok()?;
        let flags = rustix::io::fcntl_getfd(fd).ok()?;
        let kind = kind(FileType::from_raw_mode(stat.st_mode));
        let close = flags.contains(rustix::io::FdFlags::CLOEXEC);
        Some(json!({"fd": number, "type": kind, "cloexec": close, "dev": stat.st_dev, "ino": stat.st_ino, "rdev": device(stat.st_rdev)}))
    });
    open.collect()
}

/// Every entry of the root tree.
pub(crate) fn tree() -> Value {
    let mut entries = Vec::new();
    visit(Path::new("/"), &mut entries);
    Value::Array(entries)
}

fn visit(path: &Path, entries: &mut Vec<Value>) {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let Ok(stat) = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted) else { return };
    let file_type = FileType::from_raw_mode(u32::from(stat.stx_mode));
    let writable = rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
    let mount_flags = rustix::fs::statvfs(path).map_or(StatVfsMountFlags::empty(), |s| s.f_flag);
    entries.push(json!({
        "path": path,
        "type": kind(file_type),
        "mode": format!("{:o}", stat.stx_mode & 0o7777),
        "uid": stat.stx_uid,
        "gid": stat.stx_gid,
        "size": stat.stx_size,
        "rdev": format!("{}:{}", stat.stx_rdev_major, stat.stx_rdev_minor),
        "mount": stat.stx_mnt_id,
        "readonly": mount_flags.contains(StatVfsMountFlags::RDONLY),
        "nosuid": mount_flags.contains(StatVfsMountFlags::NOSUID),
        "writable": file_type != FileType::Symlink && writable,
    }));
    let kernels = rustix::fs::statfs(path).is_ok_and(|s| KERNEL_FILE_SYSTEMS.contains(&s.f_type));
    if file_type != FileType::Directory || kernels {
        return;
    }
    let mut children: Vec<_> =
        std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path()).collect();
    children.sort();
    for child in children {
        visit(&child, entries);
    }
}

fn kind(file_type: FileType) -> &'static str {
    match file_type {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "char",
        FileType::BlockDevice => "block",
        FileType::Unknown => "other",
    }
}

fn device(number: u64) -> String {
    format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number))
}
