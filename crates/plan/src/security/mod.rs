//! What a host adds to, or takes from, the isolation of its guests: judged from facts that the caller gathered.
//!
//! The items are those of Firecracker's production host guide that concern a monitor per container, the kernel's own
//! list of processor bugs (Documentation/admin-guide/hw-vuln), and our own files.

mod versions;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was found on a host. `None`: the kernel does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityFacts {
    /// `/sys/devices/system/cpu/smt/active`.
    pub smt: Option<bool>,
    /// Files of `/sys/devices/system/cpu/vulnerabilities`.
    pub vulnerabilities: BTreeMap<String, String>,
    /// `/sys/kernel/mm/ksm/run` is 1.
    pub ksm: Option<bool>,
    /// Swap devices and files, by name.
    pub swaps: Vec<String>,
    /// The loaded KVM module offers virtualization to guests; `None` without KVM.
    pub nested: Option<bool>,
    /// `/sys/module/kvm/parameters/nx_huge_pages`; `None` without KVM.
    pub nx_huge_pages: Option<String>,
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -v`: Debian's has the upstream version.
    pub kernel_build: String,
    /// What `MONITOR --version` says, by monitor, of those that are installed.
    pub monitors: BTreeMap<String, String>,
    /// File mode creation mask of the caller.
    pub umask: u32,
    /// Files and directories that only root may change.
    pub paths: Vec<PathFacts>,
    /// PR_GET_SPECULATION_CTRL of PR_SPEC_STORE_BYPASS; `None`: not known to the kernel.
    pub store_bypass: Option<u32>,
    /// PR_GET_SPECULATION_CTRL of PR_SPEC_INDIRECT_BRANCH.
    pub indirect_branch: Option<u32>,
    /// prctl(2) knows core scheduling, and the host has sibling threads to schedule.
    pub core_scheduling: bool,
    /// landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION; 0 without Landlock.
    pub landlock_abi: u32,
}

/// Who may change a path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathFacts {
    /// Where.
    pub path: String,
    /// Owner.
    pub uid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Nobody but root may even look.
    pub private: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// A weakness for tenants that do not trust each other.
    Warn,
    /// To be changed before an untrusted image runs here.
    Bad,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// The item and what was found.
    pub what: String,
    /// Why it matters; empty when all is well.
    pub why: String,
    /// What to do; empty when all is well.
    pub fix: String,
}

impl Finding {
    /// All is well.
    pub fn ok(what: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), why: String::new(), fix: String::new() }
    }

    /// Something to think about.
    pub fn warn(what: impl Into<String>, why: &str, fix: &str) -> Self {
        Self { level: Level::Warn, what: what.into(), why: why.into(), fix: fix.into() }
    }

    /// Something to change.
    pub fn bad(what: impl Into<String>, why: &str, fix: &str) -> Self {
        Self { level: Level::Bad, what: what.into(), why: why.into(), fix: fix.into() }
    }
}

/// All findings, in the order of a report.
pub fn judge(facts: &SecurityFacts) -> Vec<Finding> {
    let mut findings = vec![smt(facts)];
    findings.extend(facts.vulnerabilities.iter().map(|(name, state)| vulnerability(name, state)));
    findings.extend(unknown_vulnerabilities(facts));
    findings.extend([ksm(facts), swap(facts)]);
    findings.extend(kvm(facts));
    findings.push(versions::kernel(&facts.kernel_release, &facts.kernel_build));
    findings.extend(facts.monitors.iter().map(|(name, said)| versions::monitor(name, said)));
    findings.push(umask(facts.umask));
    findings.extend(facts.paths.iter().map(path));
    findings.extend(measures(facts));
    findings
}

fn smt(facts: &SecurityFacts) -> Finding {
    match facts.smt {
        Some(true) => Finding::warn(
            "smt: sibling threads are on",
            "guests on two threads of one core share its caches and buffers",
            "boot with nosmt, or give each tenant whole cores with cpuset",
        ),
        Some(false) => Finding::ok("smt: off"),
        None => Finding::warn(
            "smt: the kernel does not say",
            "guests on two threads of one core share its caches and buffers",
            "mount /sys, or look at lscpu",
        ),
    }
}

/// `Not affected`, `Mitigation: …`, `Vulnerable…`, `KVM: Vulnerable`, `Unknown…`; further parts follow semicolons.
fn vulnerability(name: &str, state: &str) -> Finding {
    let what = format!("{name}: {state}");
    let first = state.split(';').next().unwrap_or_default();
    let parts = state.split(';').skip(1);
    if first.split(':').any(|part| part.trim().starts_with("Vulnerable")) {
        let fix = "update kernel and microcode, and remove mitigations= and the like from the kernel's command line";
        Finding::bad(what, "a guest may read memory that is not its own", fix)
    } else if parts.clone().any(|part| part.to_ascii_lowercase().contains("vulnerable")) {
        Finding::warn(
            what,
            "a part of the mitigation is missing",
            "update kernel and microcode; where SMT is named, boot with nosmt",
        )
    } else if first.starts_with("Unknown") {
        Finding::warn(
            what,
            "nobody knows whether the host below is safe",
            "ask who runs the hypervisor below",
        )
    } else {
        Finding::ok(what)
    }
}

/// Bugs of processors that only newer kernels know.
fn unknown_vulnerabilities(facts: &SecurityFacts) -> Option<Finding> {
    let why = "the kernel is older than the bug, or has no /sys";
    match (facts.vulnerabilities.is_empty(), facts.vulnerabilities.contains_key("vmscape")) {
        (true, _) => {
            Some(Finding::bad("vulnerabilities: nothing is listed", why, "mount /sys, or update the kernel"))
        }
        (false, false) => Some(Finding::warn(
            "vmscape: not known to this kernel",
            "guests in virtual machines may train the branches of their own monitor",
            "update the kernel: 6.17, or a stable one of September 2025 or later",
        )),
        (false, true) => None,
    }
}

fn ksm(facts: &SecurityFacts) -> Finding {
    if facts.ksm == Some(true) {
        return Finding::bad(
            "ksm: equal pages are merged",
            "the time of a write tells a guest what is in the memory of others",
            "echo 2 > /sys/kernel/mm/ksm/run",
        );
    }
    Finding::ok("ksm: off")
}

fn swap(facts: &SecurityFacts) -> Finding {
    if facts.swaps.is_empty() {
        return Finding::ok("swap: none");
    }
    Finding::warn(
        format!("swap: {}", facts.swaps.join(", ")),
        "memory of guests stays on the disk after their end",
        "swapoff -a, encrypt it, or give containers a memory.swap limit of their memory limit",
    )
}

fn kvm(facts: &SecurityFacts) -> Vec<Finding> {
    let nested = facts.nested.map(|nested| {
        let fix = "options kvm_intel nested=0 (or kvm_amd) in /etc/modprobe.d";
        let why =
            "it is the larger part of what a guest can reach in KVM; our monitors hide it, others may not";
        if nested { Finding::warn("nested: on", why, fix) } else { Finding::ok("nested: off") }
    });
    let itlb = facts.vulnerabilities.get("itlb_multihit").map_or("", String::as_str);
    let huge = facts.nx_huge_pages.as_deref().map(|value| {
        let off = ["N", "0", "off", "never"].contains(&value);
        let what = format!("nx_huge_pages: {value}");
        if off && !itlb.starts_with("Not affected") {
            Finding::bad(what, "a guest can stop the processor (iTLB multihit)", "kvm.nx_huge_pages=auto")
        } else {
            Finding::ok(what)
        }
    });
    nested.into_iter().chain(huge).collect()
}

fn umask(mask: u32) -> Finding {
    let what = format!("umask: {mask:04o}");
    if mask & 0o022 == 0o022 {
        return Finding::ok(what);
    }
    let why = "what others make on our behalf, such as logs of engines, may be open to everybody";
    Finding::warn(what, why, "umask 022 in the engine's unit (UMask=0022)")
}

fn path(facts: &PathFacts) -> Finding {
    let PathFacts { path, uid, mode, private } = facts;
    let what = format!("{path}: uid {uid}, mode {mode:04o}");
    let others = if *private { 0o077 } else { 0o022 };
    if *uid == 0 && mode & others == 0 {
        return Finding::ok(what);
    }
    let bits = if *private { "go-rwx" } else { "go-w" };
    let fix = format!("chown root {path}; chmod {bits} {path}");
    Finding::bad(what, "somebody else than root may change what runs as root", &fix)
}

/// What a process may do for itself. PR_SPEC_PRCTL, bit 0 of PR_GET_SPECULATION_CTRL: it may choose; 0: the processor
/// has no such bug.
fn measures(facts: &SecurityFacts) -> Vec<Finding> {
    let speculation = |name: &str, value: Option<u32>| match value {
        Some(0) => Finding::ok(format!("{name}: the processor is not affected")),
        Some(value) if value & 1 != 0 => Finding::ok(format!("{name}: off in each built-in monitor")),
        // PR_SPEC_DISABLE and PR_SPEC_FORCE_DISABLE: off for all.
        Some(value) if value & 0b1100 != 0 => Finding::ok(format!("{name}: off on this host")),
        _ => Finding::warn(
            format!("{name}: a process cannot switch it off"),
            "the measure of the built-in monitor has no effect here",
            "spec_store_bypass_disable=prctl and spectre_v2_user=prctl are the kernel's defaults",
        ),
    };
    let cores = match (facts.core_scheduling, facts.smt) {
        (true, _) => Finding::ok("core scheduling: available, not used"),
        (false, Some(false)) => Finding::ok("core scheduling: not needed without sibling threads"),
        (false, _) => Finding::warn(
            "core scheduling: not available",
            "tenants cannot be kept off each other's sibling threads",
            "a kernel with CONFIG_SCHED_CORE, or nosmt",
        ),
    };
    let landlock = match facts.landlock_abi {
        0 => Finding::warn(
            "landlock: not available",
            "the private root is the only file barrier",
            "a kernel with CONFIG_SECURITY_LANDLOCK, and landlock in lsm=",
        ),
        abi => Finding::ok(format!("landlock: ABI {abi}, not used yet")),
    };
    let store = speculation("store bypass", facts.store_bypass);
    vec![store, speculation("indirect branches", facts.indirect_branch), cores, landlock]
}

#[cfg(test)]
mod tests;
