//! Who a process is: ids, groups, capabilities, limits. Every step needs a privilege that a later one drops.
#![allow(unsafe_code)]

use std::io::Write;
use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Mode, OFlags, Uid};
use urunc_plan::input::Rlimit;
use urunc_plan::launch::Identity;

use crate::capabilities::Sets;
use crate::error::{Result, SysError};

/// Resource names of setrlimit(2) and their numbers (the same on every architecture Rust's musl targets serve).
const RLIMITS: [(&str, u32); 16] = [
    ("RLIMIT_CPU", 0),
    ("RLIMIT_FSIZE", 1),
    ("RLIMIT_DATA", 2),
    ("RLIMIT_STACK", 3),
    ("RLIMIT_CORE", 4),
    ("RLIMIT_RSS", 5),
    ("RLIMIT_NPROC", 6),
    ("RLIMIT_NOFILE", 7),
    ("RLIMIT_MEMLOCK", 8),
    ("RLIMIT_AS", 9),
    ("RLIMIT_LOCKS", 10),
    ("RLIMIT_SIGPENDING", 11),
    ("RLIMIT_MSGQUEUE", 12),
    ("RLIMIT_NICE", 13),
    ("RLIMIT_RTPRIO", 14),
    ("RLIMIT_RTTIME", 15),
];

/// Makes [`set_rlimits`] possible for a process (0: the caller) that has lost its privileges: raises hard limits where
/// they are lower, and lowers nothing.
///
/// # Errors
/// EPERM when a hard limit would rise without CAP_SYS_RESOURCE; EINVAL for an unknown name, or a soft limit above the
/// hard one.
pub fn allow_rlimits(pid: i32, limits: &[Rlimit]) -> Result<()> {
    for limit in limits {
        if limit.soft > limit.hard {
            let source = std::io::Error::from_raw_os_error(libc::EINVAL);
            return Err(SysError::new("set soft above hard", &limit.kind, source));
        }
        let now = rlimit(pid, &limit.kind, None)?;
        if limit.hard > now.rlim_max {
            rlimit(pid, &limit.kind, Some(libc::rlimit64 { rlim_cur: now.rlim_cur, rlim_max: limit.hard }))?;
        }
    }
    Ok(())
}

/// Sets the limits of the calling process.
///
/// # Errors
/// EPERM when a hard limit would rise without CAP_SYS_RESOURCE; EINVAL for an unknown name.
pub fn set_rlimits(limits: &[Rlimit]) -> Result<()> {
    for limit in limits {
        rlimit(0, &limit.kind, Some(libc::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard }))?;
    }
    Ok(())
}

/// Sets one limit, if asked to, and gives what was set before (prlimit(2)).
fn rlimit(pid: i32, kind: &str, new: Option<libc::rlimit64>) -> Result<libc::rlimit64> {
    let Some((_, number)) = RLIMITS.iter().find(|(name, _)| *name == kind) else {
        return Err(SysError::new("setrlimit", kind, std::io::Error::from_raw_os_error(libc::EINVAL)));
    };
    let mut old = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `new` is null or a live structure, `old` is one that the kernel may write.
    let rc = unsafe { libc::syscall(libc::SYS_prlimit64, pid, *number, new, &raw mut old) };
    if rc == 0 { Ok(old) } else { Err(SysError::last("setrlimit", kind)) }
}

/// Writes below a private procfs mount: never through a path that a container could have prepared (rule R3).
///
/// # Errors
/// The write's errno, naming the file.
pub fn write_proc(proc: BorrowedFd<'_>, file: &str, value: &str) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let error = |e: std::io::Error| SysError::new("write", format!("/proc/{file}"), e);
    let fd = rustix::fs::openat(proc, file, flags, Mode::empty()).map_err(|e| error(e.into()))?;
    std::fs::File::from(fd).write_all(value.as_bytes()).map_err(error)
}

/// Label for the next exec, or for this process itself (aa_change_onexec(2), aa_change_profile(2)).
///
/// # Errors
/// ENOENT when the profile is not loaded.
pub fn set_apparmor(proc: BorrowedFd<'_>, profile: &str, exec: bool) -> Result<()> {
    let (file, verb) = if exec { ("exec", "exec") } else { ("current", "changeprofile") };
    let value = format!("{verb} {profile}");
    match write_proc(proc, &format!("thread-self/attr/apparmor/{file}"), &value) {
        Err(e) if e.source.raw_os_error() == Some(libc::ENOENT) => {
            write_proc(proc, &format!("thread-self/attr/{file}"), &value)
        }
        result => result,
    }
    .map_err(|e| SysError { op: "apply apparmor profile", object: profile.to_owned(), source: e.source })
}

/// Becomes the user for good: exactly these groups and capabilities, no_new_privs. credentials(7), capabilities(7).
///
/// # Errors
/// The call that failed and what it was to set.
pub fn become_user(identity: &Identity) -> Result<()> {
    let ids = |e, what: &'static str, id: u32| SysError::new(what, id.to_string(), e);
    let sets = Sets::of(identity);
    sets.limit_bounding_set()?;
    let groups: Vec<Gid> = identity.groups.iter().map(|g| Gid::from_raw(*g)).collect();
    rustix::thread::set_thread_groups(&groups).map_err(|e| SysError::new("setgroups", "groups", e))?;
    let gid = Gid::from_raw(identity.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|e| ids(e, "setgid", identity.gid))?;
    let uid = Uid::from_raw(identity.uid);
    sets.keep_over_setuid()?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|e| ids(e, "setuid", identity.uid))?;
    sets.take()?;
    if identity.no_new_privs {
        rustix::thread::set_no_new_privs(true).map_err(|e| SysError::new("prctl", "no_new_privs", e))?;
    }
    rustix::process::umask(Mode::from_raw_mode(identity.umask));
    Ok(())
}

/// Becomes the first user of a new user namespace, as which its files and namespaces are made.
///
/// # Errors
/// EINVAL when 0 is not mapped.
pub fn become_first_user() -> Result<()> {
    let error = |what| move |e| SysError::new(what, "0 of the user namespace", e);
    rustix::thread::set_thread_groups(&[]).map_err(error("setgroups"))?;
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).map_err(error("setgid"))?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).map_err(error("setuid"))
}

/// A private procfs mount of the caller's pid namespace, attached nowhere.
///
/// # Errors
/// fsopen(2)'s errno.
pub fn private_proc() -> Result<std::os::fd::OwnedFd> {
    crate::root::file_system("proc", &[])
}

/// Leaves the caller's session keyring for an empty one of its own (keyctl_join_session_keyring(3)): what the engine
/// keeps there is not the container's. A kernel without keyrings has nothing to leave.
///
/// # Errors
/// EDQUOT when the user has too many keys.
pub fn new_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    let rc = unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    };
    let error = SysError::last("join", "a new session keyring");
    if rc >= 0 || error.source.raw_os_error() == Some(libc::ENOSYS) { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_allowed_first_and_lowered_last() {
        let files = |soft, hard| [Rlimit { kind: "RLIMIT_NOFILE".into(), soft, hard }];
        let steps = || -> Option<()> {
            let before = rlimit(0, "RLIMIT_NOFILE", None).ok()?;
            allow_rlimits(0, &files(0, 3)).ok()?;
            let after = rlimit(0, "RLIMIT_NOFILE", None).ok()?;
            (before.rlim_cur, before.rlim_max).eq(&(after.rlim_cur, after.rlim_max)).then_some(())?;
            set_rlimits(&files(0, 3)).ok()?;
            let now = rlimit(0, "RLIMIT_NOFILE", None).ok()?;
            ((now.rlim_cur, now.rlim_max) == (0, 3)).then_some(())?;
            allow_rlimits(0, &files(4, 3)).err().map(|_| ())
        };
        assert_eq!(crate::child::run(|| i32::from(steps().is_none())), 0);
        assert!(allow_rlimits(0, &[Rlimit { kind: "RLIMIT_NONE".into(), soft: 0, hard: 0 }]).is_err());
    }
}
