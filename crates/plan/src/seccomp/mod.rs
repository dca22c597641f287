//! OCI seccomp profiles and our own lists, compiled to BPF.
//!
//! Every front end makes a [`Policy`]: a table from system call to rules for each ABI. One back end turns it into a
//! program: architecture first, then a binary search over ranges of numbers with the same answer.

mod profile;

use crate::PlanError;
use crate::bpf::{self, Cond, Insn, Op, RET, ret};
use crate::launch::Filter;
use crate::syscalls::{self, Abi, X32_BIT};
use std::collections::BTreeMap;

/// `SECCOMP_FILTER_FLAG_LOG`: actions but ALLOW are logged.
pub const FLAG_LOG: u32 = 2;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: no speculative store bypass mitigation.
pub const FLAG_SPEC_ALLOW: u32 = 4;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// What one call gets: the first rule whose conditions hold, else the default.
type Rules = Vec<(Vec<Cond>, u32)>;

/// What a filter answers, before it is a program.
#[derive(Debug, Clone)]
struct Policy {
    /// Rules by `seccomp_data.nr`, of each ABI.
    abis: BTreeMap<Abi, BTreeMap<u32, Rules>>,
    /// Calls without a rule.
    default: u32,
    /// Calls newer than the newest one named, so that programs fall back instead of failing; `None`: as `default`.
    newer: Option<u32>,
    /// Calls of an architecture that is not listed.
    foreign: u32,
}

/// Compiles a filter for a machine named as `uname -m` does. [`Filter::Tender`] is empty: the tender makes its own.
///
/// # Errors
/// The JSON path of a value of the profile that is unknown or not supported, a name of our own lists that no
/// architecture has, or a machine without tables.
pub fn compile(filter: &Filter, arch: &str) -> Result<Vec<Insn>, PlanError> {
    let native = Abi::native(arch)
        .ok_or_else(|| PlanError::Host { why: format!("no system call table for {arch}") })?;
    let policy = match filter {
        Filter::Profile(profile) => profile::policy(profile, native)?,
        Filter::Allow(names) => {
            let rules = own_list(names, native, |_| ret::ALLOW)?;
            own(native, rules, ret::KILL_PROCESS)
        }
        Filter::Deny(names) => {
            // C libraries fall back from clone3 to clone on ENOSYS only.
            let errno = |name: &str| ret::ERRNO | if name == "clone3" { ENOSYS } else { EPERM };
            let rules = own_list(names, native, errno)?;
            own(native, rules, ret::ALLOW)
        }
        Filter::Tender => return Ok(Vec::new()),
    };
    let program = assemble(&policy);
    if program.len() > bpf::MAX_LEN {
        let why = format!("needs {} instructions, the kernel takes {}", program.len(), bpf::MAX_LEN);
        return Err(PlanError::config("linux.seccomp.syscalls", why));
    }
    Ok(program)
}

/// Flags of seccomp(2) that a filter asks for.
///
/// # Errors
/// An unknown flag, by its JSON path.
pub fn flags(filter: &Filter) -> Result<u32, PlanError> {
    match filter {
        Filter::Profile(profile) => profile::flags(profile),
        _ => Ok(0),
    }
}

/// A filter of one's own: these numbers with these conditions are allowed, everything else kills the process. Several
/// entries of one number are alternatives.
pub fn pinned(abi: Abi, rules: &[(u32, Vec<Cond>)]) -> Vec<Insn> {
    let mut numbers: BTreeMap<u32, Rules> = BTreeMap::new();
    for (number, conds) in rules {
        numbers.entry(*number).or_default().push((conds.clone(), ret::ALLOW));
    }
    assemble(&own(abi, numbers, ret::KILL_PROCESS))
}

fn own(native: Abi, rules: BTreeMap<u32, Rules>, default: u32) -> Policy {
    // A foreign ABI would be a way around a list of native numbers.
    Policy { abis: BTreeMap::from([(native, rules)]), default, newer: None, foreign: ret::KILL_PROCESS }
}

fn own_list(
    names: &[String],
    native: Abi,
    answer: impl Fn(&str) -> u32,
) -> Result<BTreeMap<u32, Rules>, PlanError> {
    let mut rules = BTreeMap::new();
    for name in names {
        match native.number(name) {
            Some(number) => drop(rules.insert(number, vec![(Vec::new(), answer(name))])),
            None if syscalls::is_known(name) => {}
            None => {
                let why = format!("unknown system call {name}");
                return Err(PlanError::Setting { key: "seccomp".into(), why });
            }
        }
    }
    Ok(rules)
}

fn assemble(policy: &Policy) -> Vec<Insn> {
    let mut by_arch: BTreeMap<u32, BTreeMap<u32, Vec<Insn>>> = BTreeMap::new();
    for (abi, rules) in &policy.abis {
        let answers = by_arch.entry(abi.audit_arch()).or_insert_with(|| {
            // The two ABIs of x86_64 share the space of numbers; -1 is what a tracer skips a call with.
            let foreign =
                if abi.audit_arch() == Abi::X32.audit_arch() { policy.foreign } else { policy.default };
            let ends = [(0, policy.default), (X32_BIT, foreign), (u32::MAX, policy.default)];
            ends.map(|(start, answer)| (start, bpf::rule(&[], answer))).into()
        });
        answers.extend(intervals(*abi, rules, policy));
    }
    let foreign = vec![bpf::stmt(RET, policy.foreign)];
    let mut program = by_arch.into_iter().fold(foreign, |rest, (arch, answers)| {
        let mut merged: Vec<(u32, Vec<Insn>)> = answers.into_iter().collect();
        merged.dedup_by(|next, kept| next.1 == kept.1);
        let mut section = vec![bpf::stmt(bpf::LD, bpf::NR)];
        section.extend(bpf::search(&merged));
        bpf::branch(bpf::JEQ, arch, section, rest)
    });
    program.insert(0, bpf::stmt(bpf::LD, bpf::ARCH));
    program
}

/// Bodies by the first number they hold for.
fn intervals(abi: Abi, rules: &BTreeMap<u32, Rules>, policy: &Policy) -> BTreeMap<u32, Vec<Insn>> {
    let base = if abi == Abi::X32 { X32_BIT } else { 0 };
    let mut bodies = BTreeMap::from([(base, bpf::rule(&[], policy.default))]);
    for (number, rules) in rules {
        let mut body = Vec::new();
        for (conds, answer) in rules {
            body.extend(bpf::rule(&narrow(abi, conds), *answer));
        }
        if rules.iter().all(|(conds, _)| !conds.is_empty()) {
            body.push(bpf::stmt(RET, policy.default));
        }
        bodies.insert(*number, body);
        bodies.entry(number + 1).or_insert_with(|| bpf::rule(&[], policy.default));
    }
    if let (Some(newer), Some((last, _))) = (policy.newer, rules.last_key_value()) {
        bodies.insert(last + 1, bpf::rule(&[], newer));
    }
    bodies
}

/// A 32-bit ABI has 32-bit arguments: constants are cut to them, as a sign-extended -1 must match.
fn narrow(abi: Abi, conds: &[Cond]) -> Vec<Cond> {
    let mut conds = conds.to_vec();
    if !abi.wide_arguments() {
        for cond in &mut conds {
            cond.value &= u64::from(u32::MAX);
            if let Op::MaskedEq(mask) = &mut cond.op {
                *mask &= u64::from(u32::MAX);
            }
        }
    }
    conds
}

#[cfg(test)]
mod tests;
