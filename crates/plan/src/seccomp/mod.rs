//! OCI seccomp profiles and our own lists, compiled to BPF.
//!
//! Every front end makes a [`Policy`]: a table from system call to rules for each ABI. One back end turns it into a
//! program: architecture first, then a binary search over ranges of numbers with the same answer.

mod profile;

use crate::PlanError;
use crate::bpf::{self, Cond, Insn, Op, RET, ret};
use crate::launch::Filter;
use crate::syscalls::{Abi, Call, X32_BIT};
use std::collections::BTreeMap;

/// `SECCOMP_FILTER_FLAG_LOG`: actions but ALLOW are logged.
pub const FLAG_LOG: u32 = 2;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: no speculative store bypass mitigation.
pub const FLAG_SPEC_ALLOW: u32 = 4;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// What one call gets: the first answer whose conditions hold, else `always`, else the policy's default.
#[derive(Debug, Clone, PartialEq, Default)]
struct Rules {
    when: Vec<(Vec<Cond>, u32)>,
    always: Option<u32>,
}

impl Rules {
    /// libseccomp's precedence: a rule without conditions replaces those with, whichever comes first; of two without,
    /// the first one stays. Where conditions of different answers overlap libseccomp promises nothing; here the first
    /// one holds.
    fn add(&mut self, conds: &[Cond], answer: u32) {
        if self.always.is_some() {
            return;
        }
        if conds.is_empty() {
            *self = Self { when: Vec::new(), always: Some(answer) };
        } else {
            self.when.push((conds.to_vec(), answer));
        }
    }
}

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
        numbers.entry(*number).or_default().add(conds, ret::ALLOW);
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
    let mut rules: BTreeMap<u32, Rules> = BTreeMap::new();
    for name in names {
        let call = Call::named(name).ok_or_else(|| {
            let why = format!("unknown system call {name:?}");
            PlanError::Setting { key: "seccomp".into(), why }
        })?;
        if let Some(number) = call.number(native) {
            rules.entry(number).or_default().add(&[], answer(name));
        }
    }
    Ok(rules)
}

/// What a range of numbers gets.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Body<'a> {
    Answer(u32),
    Rules(Abi, &'a Rules),
}

fn assemble(policy: &Policy) -> Vec<Insn> {
    let mut archs: Vec<u32> = policy.abis.keys().map(|abi| abi.audit_arch()).collect();
    archs.sort_unstable();
    archs.dedup();
    let foreign = vec![bpf::stmt(RET, policy.foreign)];
    let mut program = archs.into_iter().fold(foreign, |rest, arch| {
        let mut section = vec![bpf::stmt(bpf::LD, bpf::NR)];
        section.extend(bpf::search(&intervals(policy, arch), &|body| policy.body(*body)));
        bpf::branch(bpf::JEQ, arch, section, rest)
    });
    program.insert(0, bpf::stmt(bpf::LD, bpf::ARCH));
    program
}

/// Ranges of numbers by their first one; neighbours differ.
fn intervals(policy: &Policy, arch: u32) -> Vec<(u32, Body<'_>)> {
    let mut intervals = vec![(0, Body::Answer(policy.default))];
    let mut put = |start: u32, body| {
        intervals.pop_if(|last| last.0 == start);
        if intervals.last().is_none_or(|last| last.1 != body) {
            intervals.push((start, body));
        }
    };
    let native = policy.abis.iter().filter(|(abi, _)| abi.audit_arch() == arch && **abi != Abi::X32);
    let x32 = policy.abis.get_key_value(&Abi::X32).filter(|_| arch == Abi::X32.audit_arch());
    for (abi, rules) in native {
        policy.numbers(*abi, rules, &mut put);
    }
    // The two ABIs of x86_64 share the space of numbers.
    if let Some((abi, rules)) = x32 {
        put(X32_BIT, Body::Answer(policy.default));
        policy.numbers(*abi, rules, &mut put);
    } else if arch == Abi::X32.audit_arch() {
        put(X32_BIT, Body::Answer(policy.foreign));
    }
    // -1 is what a tracer skips a call with.
    put(u32::MAX, Body::Answer(policy.default));
    intervals
}

impl Policy {
    /// The ranges of one ABI, in order; the last one is open.
    fn numbers<'a>(&self, abi: Abi, rules: &'a BTreeMap<u32, Rules>, put: &mut impl FnMut(u32, Body<'a>)) {
        for (number, rules) in rules {
            let body = match (rules.always, &rules.when[..]) {
                (Some(answer), []) => Body::Answer(answer),
                (None, []) => Body::Answer(self.default),
                _ => Body::Rules(abi, rules),
            };
            put(*number, body);
            put(number + 1, Body::Answer(self.default));
        }
        if let (Some(newer), Some((last, _))) = (self.newer, rules.last_key_value()) {
            put(last + 1, Body::Answer(newer));
        }
    }

    fn body(&self, body: Body<'_>) -> Vec<Insn> {
        let (abi, rules) = match body {
            Body::Answer(answer) => return vec![bpf::stmt(RET, answer)],
            Body::Rules(abi, rules) => (abi, rules),
        };
        let when = rules.when.iter().flat_map(|(conds, answer)| bpf::rule(&narrow(abi, conds), *answer));
        when.chain([bpf::stmt(RET, rules.always.unwrap_or(self.default))]).collect()
    }
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
