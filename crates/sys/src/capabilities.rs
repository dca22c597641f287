//! Capability sets of the calling thread: capabilities(7).
#![allow(unsafe_code)]

use urunc_plan::capabilities::mask;
use urunc_plan::launch::Identity;

use crate::error::{Result, SysError};

const SYS_ADMIN: u64 = 1 << 21;

/// The five sets as bit masks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sets {
    bounding: u64,
    effective: u64,
    inheritable: u64,
    permitted: u64,
    ambient: u64,
}

impl Sets {
    /// What the plan grants. Without no_new_privs, filters need CAP_SYS_ADMIN: it stays permitted, for [`allow_filters`],
    /// until the exec, which takes it away, for it is in no set that an exec looks at.
    pub(crate) fn of(identity: &Identity) -> Self {
        let sets = &identity.capability_sets;
        Self {
            bounding: mask(&sets.bounding),
            effective: mask(&sets.effective),
            inheritable: mask(&sets.inheritable),
            permitted: mask(&sets.permitted) | if identity.no_new_privs { 0 } else { SYS_ADMIN },
            ambient: mask(&sets.ambient),
        }
    }

    /// PR_CAPBSET_DROP of all others, until the kernel knows no higher capability.
    pub(crate) fn limit_bounding_set(&self) -> Result<()> {
        for capability in (0..64).filter(|capability| self.bounding >> capability & 1 == 0) {
            // SAFETY: plain integers.
            if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
                let error = SysError::last("drop bounding set", capability.to_string());
                let unknown = error.source.raw_os_error() == Some(libc::EINVAL);
                return if unknown { Ok(()) } else { Err(error) };
            }
        }
        Ok(())
    }

    /// Another user than 0 would lose all capabilities at once.
    pub(crate) fn keep_over_setuid(&self) -> Result<()> {
        if self.permitted == 0 { Ok(()) } else { keep(true) }
    }

    /// Sets all but the bounding set.
    pub(crate) fn take(&self) -> Result<()> {
        if self.permitted != 0 {
            keep(false)?;
        }
        ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0)?;
        capset([self.effective, self.permitted, self.inheritable])?;
        let members = (0..64).filter(|capability| self.ambient >> capability & 1 == 1);
        members.into_iter().try_for_each(|capability| ambient(libc::PR_CAP_AMBIENT_RAISE, capability))
    }
}

/// Makes the CAP_SYS_ADMIN effective that the set of an identity without no_new_privs keeps for its filters.
///
/// # Errors
/// EPERM when it is not permitted.
pub fn allow_filters() -> Result<()> {
    let error = |e| SysError::new("capget", "sets", e);
    let now = rustix::thread::capabilities(None).map_err(error)?;
    capset([now.effective.bits() | SYS_ADMIN, now.permitted.bits(), now.inheritable.bits()])
}

fn keep(on: bool) -> Result<()> {
    // SAFETY: plain integers.
    let rc = unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, libc::c_ulong::from(on), 0, 0, 0) };
    if rc == 0 { Ok(()) } else { Err(SysError::last("prctl", "keep capabilities")) }
}

fn ambient(what: libc::c_int, capability: libc::c_ulong) -> Result<()> {
    // SAFETY: plain integers.
    let rc = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, what, capability, 0, 0) };
    if rc == 0 { Ok(()) } else { Err(SysError::last("prctl", "ambient capabilities")) }
}

/// capset(2) of the effective, permitted and inheritable set.
fn capset(sets: [u64; 3]) -> Result<()> {
    let header = [0x2008_0522_u32, 0];
    let [low, high] = [0, 32].map(|shift| sets.map(|set| (set >> shift) as u32));
    let data = [low, high];
    // SAFETY: version 3 of capset(2): header of two words, two triples of sets.
    let rc = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) };
    if rc == 0 { Ok(()) } else { Err(SysError::last("capset", "capability sets")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::become_user;

    fn identity(uid: u32, capability: &str, no_new_privs: bool) -> Identity {
        let mut identity = Identity { uid, gid: uid, no_new_privs, ..Identity::default() };
        let sets = &mut identity.capability_sets;
        for set in [&mut sets.bounding, &mut sets.permitted, &mut sets.inheritable, &mut sets.ambient] {
            *set = vec![capability.to_owned()];
        }
        identity
    }

    /// Masks that a child of this identity has: effective, permitted, inheritable; with or without [`allow_filters`].
    fn seen(identity: &Identity, filters: bool, expected: [u64; 3]) {
        let steps = || -> Option<()> {
            become_user(identity).ok()?;
            if filters {
                allow_filters().ok()?;
            }
            let now = rustix::thread::capabilities(None).ok()?;
            let now = [now.effective.bits(), now.permitted.bits(), now.inheritable.bits()];
            (now == expected).then_some(())
        };
        assert_eq!(crate::child::run(|| i32::from(steps().is_none())), 0, "{identity:?}");
    }

    #[test]
    fn sets_are_exact() {
        const KILL: u64 = 1 << 5;
        seen(&Identity { no_new_privs: true, ..Identity::default() }, false, [0, 0, 0]);
        for uid in [0, 65534] {
            seen(&identity(uid, "CAP_KILL", true), false, [0, KILL, KILL]);
            seen(&identity(uid, "CAP_KILL", false), false, [0, KILL | SYS_ADMIN, KILL]);
            seen(&identity(uid, "CAP_KILL", false), true, [SYS_ADMIN, KILL | SYS_ADMIN, KILL]);
        }
    }

    #[test]
    fn nobody_without_permission_may_filter() {
        let steps = || become_user(&identity(0, "CAP_KILL", true)).is_ok() && allow_filters().is_err();
        assert_eq!(crate::child::run(|| i32::from(!steps())), 0);
    }
}
