//! More than the container was given. Last, for they use it up.

use super::Try;
use super::call::{CWD, ask, at, c, call, exit, fork, kill, place};
use std::io;

/// More processes than the container may have, and fewer than a host has room for.
const PROCESSES: usize = 300;
/// More memory than the container may have, bytes.
const MEMORY: usize = 512 << 20;

pub(super) const TRIES: &[(&str, Try)] = &[
    ("raise-a-limit", |_| {
        let (file_limit, mut old) = (libc::RLIMIT_NOFILE as usize, [0_u64; 2]);
        call(libc::SYS_prlimit64, &[0, file_limit, 0, place(&mut old)])?;
        ask(libc::SYS_prlimit64, &[0, file_limit, at(&[old[0], old[1] + 1]), 0])
    }),
    ("be-spared-by-the-oom-killer", |_| {
        let path = c("/proc/self/oom_score_adj");
        let file = call(libc::SYS_openat, &[CWD, at(&path[..]), 1])?;
        ask(libc::SYS_write, &[file, at(b"-1000"), 5])
    }),
    ("make-too-many-processes", |_| too_many_processes()),
    ("use-too-much-memory", |_| {
        const PAGE: usize = 4096;
        let mut memory = Vec::new();
        memory.try_reserve_exact(MEMORY)?;
        memory.resize(MEMORY, 1_u8);
        // Every page counts only once it was written to.
        (memory.iter().step_by(PAGE).all(|byte| *byte == 1))
            .then_some(())
            .ok_or(io::ErrorKind::OutOfMemory.into())
    }),
];

fn too_many_processes() -> io::Result<()> {
    let mut children = Vec::new();
    let mut result = Ok(());
    for _ in 0..PROCESSES {
        match fork() {
            Ok(0) => {
                // For ever, or until the kill below.
                let _ = call(libc::SYS_ppoll, &[0, 0, 0, 0, 0]);
                exit();
            }
            Ok(child) => children.push(child),
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    children.into_iter().for_each(kill);
    result
}
