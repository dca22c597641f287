//! What a process may do against side channels and for itself, as far as this kernel offers it.
#![allow(unsafe_code)]

// <linux/prctl.h>; not every C library's crate has them.
const PR_GET_SPECULATION_CTRL: libc::c_int = 52;
const PR_SPEC_STORE_BYPASS: libc::c_ulong = 0;
const PR_SPEC_INDIRECT_BRANCH: libc::c_ulong = 1;
const PR_SCHED_CORE: libc::c_int = 62;
const PR_SCHED_CORE_GET: libc::c_ulong = 0;

/// State of a kind of speculation, PR_GET_SPECULATION_CTRL of prctl(2): 0 not affected, bit 0 a process may choose,
/// bits 1 to 4 what is chosen. `None`: the kernel does not know the kind.
pub fn store_bypass() -> Option<u32> {
    speculation(PR_SPEC_STORE_BYPASS)
}

/// As [`store_bypass`], of indirect branches.
pub fn indirect_branch() -> Option<u32> {
    speculation(PR_SPEC_INDIRECT_BRANCH)
}

fn speculation(kind: libc::c_ulong) -> Option<u32> {
    // SAFETY: no memory is involved.
    let state = unsafe { libc::prctl(PR_GET_SPECULATION_CTRL, kind, 0, 0, 0) };
    u32::try_from(state).ok()
}

/// Can processes be kept off each other's sibling threads (PR_SCHED_CORE of prctl(2))? No without sibling threads.
pub fn core_scheduling() -> bool {
    let mut cookie: u64 = 0;
    // SAFETY: the cookie of this process goes to a writable u64.
    unsafe { libc::prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, 0, 0, &raw mut cookie) == 0 }
}

/// ABI version of Landlock, landlock_create_ruleset(2); 0 without it.
pub fn landlock_abi() -> u32 {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    let none: *const libc::c_void = std::ptr::null();
    let version =
        // SAFETY: this flag asks for neither memory nor a descriptor.
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, LANDLOCK_CREATE_RULESET_VERSION) };
    u32::try_from(version).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_says_the_same_as_proc() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let says = |field: &str, text: &str| {
            status.lines().any(|line| line.strip_prefix(field).is_some_and(|rest| rest.contains(text)))
        };
        // proc_pid_status(5) has the words for the numbers.
        assert_eq!(super::store_bypass() == Some(0), says("Speculation_Store_Bypass:", "not vulnerable"));
        let free = super::indirect_branch().is_some_and(|state| state & 1 != 0);
        assert_eq!(free, says("SpeculationIndirectBranch:", "conditional"));
        let listed = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
        assert!(super::landlock_abi() > 0 || !listed.split(',').any(|name| name == "landlock"));
    }
}
