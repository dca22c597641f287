//! `linux.seccomp` of config.json (OCI runtime-spec, config-linux.md#seccomp) to a [`Policy`], with runc's semantics.

use super::{ENOSYS, EPERM, FLAG_LOG, FLAG_SPEC_ALLOW, Policy, Rules};
use crate::PlanError;
use crate::bpf::{Cond, Op, ret};
use crate::error::quoted;
use crate::field::Field;
use crate::syscalls::{Abi, Call};
use serde_json::Value;
use std::collections::BTreeMap;

const ROOT: &str = "linux.seccomp";

/// Architectures of the spec whose numbers no process on a machine served here can use: their rules are moot.
const OTHER_ARCHITECTURES: &[&str] = &[
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];

/// `socketcall(2)` numbers of linux/net.h, by name: 32-bit x86 reaches these calls both ways.
const SOCKETCALLS: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// Reads a profile. An empty one allows nothing but its default action.
pub(super) fn policy(profile: &Value, native: Abi) -> Result<Policy, PlanError> {
    let root = Field::new(ROOT, profile);
    if let Some(path) = root.get("listenerPath")?
        && !path.as_text()?.is_empty()
    {
        return Err(path.error("SCMP_ACT_NOTIFY is not supported"));
    }
    flags(profile)?;
    let default = action(&root.required("defaultAction")?, root.get("defaultErrnoRet")?)?;
    let mut abis = architectures(&root, native)?;
    for call in root.items("syscalls")? {
        let answer = action(&call.required("action")?, call.get("errnoRet")?)?;
        // A rule that says what the default says is no rule: it must not hide a later one. Its names still count as
        // known to the profile's author.
        let mut alternatives = alternatives(&call)?;
        if answer == default {
            alternatives.clear();
        }
        for name in call.texts("names")? {
            // Unknown names are skipped, as by runc: profiles are newer than kernels and runtimes.
            let Some(call) = Call::named(name) else { continue };
            for (abi, rules) in &mut abis {
                add_call(*abi, rules, call, &alternatives, answer);
                if *abi == Abi::X86 && answer != default {
                    add_socketcall(rules, name, &alternatives, answer);
                }
            }
        }
    }
    // ALLOW, LOG and TRACE have these bits: a permissive default also permits what its author did not know.
    let permissive = default & ret::TRACE == ret::TRACE;
    let newer = (!permissive).then_some(ret::ERRNO | ENOSYS);
    Ok(Policy { abis, default, newer, foreign: ret::KILL_THREAD })
}

/// Flags of seccomp(2). TSYNC is moot for a process of one thread and WAIT_KILLABLE_RECV without a listener.
pub(super) fn flags(profile: &Value) -> Result<u32, PlanError> {
    Field::new(ROOT, profile).items("flags")?.iter().try_fold(0, |bits, flag| match flag.as_text()? {
        "SECCOMP_FILTER_FLAG_TSYNC" | "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => Ok(bits),
        "SECCOMP_FILTER_FLAG_LOG" => Ok(bits | FLAG_LOG),
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Ok(bits | FLAG_SPEC_ALLOW),
        other => Err(flag.error(format!("unknown flag {}", quoted(other)))),
    })
}

/// The listed ABIs and always the native one, as libseccomp does.
fn architectures(root: &Field<'_>, native: Abi) -> Result<BTreeMap<Abi, BTreeMap<u32, Rules>>, PlanError> {
    let mut abis = BTreeMap::from([(native, BTreeMap::new())]);
    for arch in root.items("architectures")? {
        let abi = match arch.as_text()? {
            "SCMP_ARCH_NATIVE" => native,
            "SCMP_ARCH_X86_64" => Abi::X86_64,
            "SCMP_ARCH_X86" => Abi::X86,
            "SCMP_ARCH_X32" => Abi::X32,
            "SCMP_ARCH_AARCH64" => Abi::Aarch64,
            "SCMP_ARCH_ARM" => Abi::Arm,
            other if OTHER_ARCHITECTURES.contains(&other) => continue,
            other => return Err(arch.error(format!("unknown architecture {}", quoted(other)))),
        };
        abis.insert(abi, BTreeMap::new());
    }
    Ok(abis)
}

fn action(name: &Field<'_>, errno: Option<Field<'_>>) -> Result<u32, PlanError> {
    let errno = errno.map_or(Ok(EPERM), |field| Ok(u32::from(field.as_number::<u16>()?)))?;
    match name.as_text()? {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Ok(ret::KILL_THREAD),
        "SCMP_ACT_KILL_PROCESS" => Ok(ret::KILL_PROCESS),
        "SCMP_ACT_TRAP" => Ok(ret::TRAP),
        "SCMP_ACT_ERRNO" => Ok(ret::ERRNO | errno),
        "SCMP_ACT_TRACE" => Ok(ret::TRACE | errno),
        "SCMP_ACT_LOG" => Ok(ret::LOG),
        "SCMP_ACT_ALLOW" => Ok(ret::ALLOW),
        "SCMP_ACT_NOTIFY" => Err(name.error("SCMP_ACT_NOTIFY is not supported")),
        other => Err(name.error(format!("unknown action {}", quoted(other)))),
    }
}

/// The conditions of an entry. They are joined by AND, but when an argument occurs twice each stands alone: so does
/// runc, as older versions of Docker's profile relied on it.
fn alternatives(call: &Field<'_>) -> Result<Vec<Vec<Cond>>, PlanError> {
    let conds = call.items("args")?.iter().map(cond).collect::<Result<Vec<Cond>, _>>()?;
    let twice =
        conds.iter().enumerate().any(|(at, cond)| conds[..at].iter().any(|other| other.arg == cond.arg));
    Ok(if twice { conds.into_iter().map(|cond| vec![cond]).collect() } else { vec![conds] })
}

fn cond(arg: &Field<'_>) -> Result<Cond, PlanError> {
    let index = arg.required("index")?;
    let number: u8 = index.as_number()?;
    if number > 5 {
        return Err(index.error(format!("{number} is out of range: a call has arguments 0 to 5")));
    }
    let value: u64 = arg.number("value")?.unwrap_or(0);
    let second: u64 = arg.number("valueTwo")?.unwrap_or(0);
    let op = arg.required("op")?;
    let (op, value) = match op.as_text()? {
        "SCMP_CMP_EQ" => (Op::Eq, value),
        "SCMP_CMP_NE" => (Op::Ne, value),
        "SCMP_CMP_LT" => (Op::Lt, value),
        "SCMP_CMP_LE" => (Op::Le, value),
        "SCMP_CMP_GE" => (Op::Ge, value),
        "SCMP_CMP_GT" => (Op::Gt, value),
        "SCMP_CMP_MASKED_EQ" => (Op::MaskedEq(value), second),
        other => return Err(op.error(format!("unknown operator {}", quoted(other)))),
    };
    Ok(Cond { arg: number, op, value })
}

fn add_call(abi: Abi, rules: &mut BTreeMap<u32, Rules>, call: Call, alternatives: &[Vec<Cond>], answer: u32) {
    if let Some(number) = call.number(abi) {
        let rules = rules.entry(number).or_default();
        for conds in alternatives {
            rules.add(conds, answer);
        }
    }
}

/// The other way to the calls on sockets. Their arguments lie in memory there, out of a filter's reach.
fn add_socketcall(rules: &mut BTreeMap<u32, Rules>, name: &str, alternatives: &[Vec<Cond>], answer: u32) {
    if alternatives.iter().any(Vec::is_empty)
        && let Some(at) = SOCKETCALLS.iter().position(|call| *call == name)
        && let Some(number) = Abi::X86.number("socketcall")
    {
        let which = Cond { arg: 0, op: Op::Eq, value: at as u64 + 1 };
        rules.entry(number).or_default().add(&[which], answer);
    }
}
