//! The mount tree and the root directory.

use super::Try;
use super::call::{CWD, ask, at, call, gate, place, signed};
use std::io;

const ROOT: &[u8] = b"/\0";

pub(super) const TRIES: &[(&str, Try)] = &[
    ("mount-a-tmpfs", |_| mount(c"tmpfs".to_bytes_with_nul(), 0)),
    ("mount-a-procfs", |_| mount(c"proc".to_bytes_with_nul(), 0)),
    ("mount-a-cgroup-tree", |_| {
        ask(libc::SYS_fsopen, &[at(b"cgroup2\0"), 0])
            .or_else(|_| ask(libc::SYS_fsopen, &[at(b"cgroup\0"), 0]))
    }),
    ("mount-a-bind", |_| mount(ROOT, libc::MS_BIND)),
    ("mount-for-everyone", |_| mount(ROOT, libc::MS_SHARED | libc::MS_REC)),
    ("make-the-root-writable", |_| mount(ROOT, libc::MS_REMOUNT | libc::MS_BIND)),
    ("unmount", |_| {
        const MNT_EXPIRE: usize = 4;
        gate(libc::SYS_umount2, &[at(ROOT), MNT_EXPIRE], &[libc::EINVAL, libc::EAGAIN, libc::EBUSY])
    }),
    ("open-a-copy-of-the-tree", |_| {
        const OPEN_TREE_CLONE: usize = 1;
        ask(libc::SYS_open_tree, &[CWD, at(ROOT), OPEN_TREE_CLONE])
    }),
    ("pick-the-file-system", |_| ask(libc::SYS_fspick, &[CWD, at(ROOT), 0])),
    ("change-mount-attributes", |_| {
        const RDONLY: u64 = 1;
        let attributes = [0, RDONLY, 0, 0];
        ask(libc::SYS_mount_setattr, &[CWD, at(ROOT), 0, at(&attributes), size_of_val(&attributes)])
    }),
    ("pivot-root", |_| gate(libc::SYS_pivot_root, &[at(ROOT), at(ROOT)], &[libc::EBUSY, libc::EINVAL])),
    ("chroot", |_| ask(libc::SYS_chroot, &[at(ROOT)])),
    ("open-by-handle", |_| {
        // A tmpfs gives handles, the file system of a root may not.
        by_handle(ROOT).or_else(|first| by_handle(b"/dev\0").map_err(|_| first))
    }),
];

fn mount(what: &[u8], flags: libc::c_ulong) -> io::Result<()> {
    let flags = usize::try_from(flags).unwrap_or_default();
    ask(libc::SYS_mount, &[at(what), at(ROOT), at(what), flags, 0])
}

/// A file by its number: the way out of a tree whose file system is shared with the host.
fn by_handle(path: &[u8]) -> io::Result<()> {
    const ROOM: u32 = 128;
    let mut handle = [0_u32; 2 + ROOM as usize / 4];
    handle[0] = ROOM;
    let mut mount = 0_i32;
    call(libc::SYS_name_to_handle_at, &[CWD, at(path), place(&mut handle), place(&mut mount), 0])?;
    let dir = call(libc::SYS_openat, &[CWD, at(path), signed(libc::O_RDONLY)])?;
    ask(libc::SYS_open_by_handle_at, &[dir, at(&handle), 0])
}
