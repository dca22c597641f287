//! What a seccomp profile answers, straight from its JSON: the compiler's programs are compared with it. It has none of
//! the compiler's parts but the table of system calls, and expects a profile that the compiler has taken.

use serde_json::Value;
use urunc_plan::bpf::{SeccompData, ret};
use urunc_plan::syscalls::{Abi, X32_BIT};

const ABIS: [(&str, Abi); 5] = [
    ("SCMP_ARCH_X86_64", Abi::X86_64),
    ("SCMP_ARCH_X86", Abi::X86),
    ("SCMP_ARCH_X32", Abi::X32),
    ("SCMP_ARCH_AARCH64", Abi::Aarch64),
    ("SCMP_ARCH_ARM", Abi::Arm),
];
/// `socketcall(2)`: its first argument is the place in this list, from 1 on.
const SOCKETCALLS: &str = "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom \
     shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg";
const ENOSYS: u32 = 38;

/// The answer to one call on x86_64, made through `abi`.
pub fn answer(profile: &Value, abi: Abi, data: &SeccompData) -> u32 {
    let default = action(&profile["defaultAction"], &profile["defaultErrnoRet"]);
    let listed =
        items(&profile["architectures"]).any(|name| ABIS.contains(&(name.as_str().unwrap_or(""), abi)));
    if data.nr == u32::MAX && abi.audit_arch() == Abi::X86_64.audit_arch() {
        return default;
    }
    if !listed && abi != Abi::X86_64 {
        return ret::KILL_THREAD;
    }
    let calls = || items(&profile["syscalls"]).map(|call| Entry::new(call, abi));
    let matching = || calls().filter(|call| call.answer != default && call.concerns(data.nr));
    let unconditional = matching().find(|call| call.alternatives.is_empty() && call.named(data.nr));
    let conditional = || matching().find(|call| call.holds(data));
    if let Some(call) = unconditional.or_else(conditional) {
        return call.answer;
    }
    let last = calls().flat_map(|call| call.known(default)).max();
    let fails = ![ret::ALLOW, ret::LOG, ret::TRACE].contains(&(default & 0xffff_0000));
    let newer = data.nr != u32::MAX && last.is_some_and(|last| data.nr > last);
    if newer && fails { ret::ERRNO | ENOSYS } else { default }
}

/// One entry of `syscalls`.
struct Entry {
    abi: Abi,
    names: Vec<String>,
    answer: u32,
    /// Conditions joined by AND; any of these holds. None: always.
    alternatives: Vec<Vec<Value>>,
}

impl Entry {
    fn new(call: &Value, abi: Abi) -> Self {
        let conds: Vec<Value> = items(&call["args"]).cloned().collect();
        let twice = (1..conds.len()).any(|at| conds[..at].iter().any(|c| c["index"] == conds[at]["index"]));
        let alternatives = match conds.as_slice() {
            [] => Vec::new(),
            _ if twice => conds.into_iter().map(|cond| vec![cond]).collect(),
            _ => vec![conds],
        };
        let names = items(&call["names"]).filter_map(Value::as_str).map(str::to_owned).collect();
        Self { abi, names, answer: action(&call["action"], &call["errnoRet"]), alternatives }
    }

    fn named(&self, nr: u32) -> bool {
        self.names.iter().any(|name| self.abi.number(name) == Some(nr))
    }

    fn concerns(&self, nr: u32) -> bool {
        self.named(nr) || !self.socketcalls().is_empty() && self.abi.number("socketcall") == Some(nr)
    }

    /// First arguments of socketcall(2) that mean a call of this entry.
    fn socketcalls(&self) -> Vec<u64> {
        if self.abi != Abi::X86 || !self.alternatives.is_empty() {
            return Vec::new();
        }
        let listed = (1..).zip(SOCKETCALLS.split_whitespace());
        listed.filter(|(_, name)| self.names.iter().any(|own| own == name)).map(|(at, _)| at).collect()
    }

    fn holds(&self, data: &SeccompData) -> bool {
        let all = |conds: &Vec<Value>| conds.iter().all(|cond| self.cond(cond, data));
        let by_name = self.named(data.nr) && self.alternatives.iter().any(all);
        by_name
            || self.abi.number("socketcall") == Some(data.nr) && self.socketcalls().contains(&data.args[0])
    }

    fn cond(&self, cond: &Value, data: &SeccompData) -> bool {
        let width = if matches!(self.abi, Abi::X86 | Abi::Arm) { u64::from(u32::MAX) } else { u64::MAX };
        let arg = data.args[usize::try_from(number(&cond["index"])).expect("0 to 5")];
        let (value, second) = (number(&cond["value"]) & width, number(&cond["valueTwo"]) & width);
        match cond["op"].as_str().expect("a string") {
            "SCMP_CMP_EQ" => arg == value,
            "SCMP_CMP_NE" => arg != value,
            "SCMP_CMP_LT" => arg < value,
            "SCMP_CMP_LE" => arg <= value,
            "SCMP_CMP_GE" => arg >= value,
            "SCMP_CMP_GT" => arg > value,
            _ => arg & value == second & value,
        }
    }

    /// Numbers that the profile's author knew.
    fn known(&self, default: u32) -> Vec<u32> {
        let sockets = self.answer != default && !self.socketcalls().is_empty();
        let more = sockets.then(|| self.abi.number("socketcall")).flatten();
        self.names.iter().filter_map(|name| self.abi.number(name)).chain(more).collect()
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn action(name: &Value, errno: &Value) -> u32 {
    let errno = errno.as_u64().map_or(1, |errno| u32::try_from(errno).expect("16 bits"));
    match name.as_str().expect("a string") {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => ret::KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => ret::KILL_PROCESS,
        "SCMP_ACT_TRAP" => ret::TRAP,
        "SCMP_ACT_ERRNO" => ret::ERRNO | errno,
        "SCMP_ACT_TRACE" => ret::TRACE | errno,
        "SCMP_ACT_LOG" => ret::LOG,
        _ => ret::ALLOW,
    }
}

/// Calls that a profile may treat differently: every name it has and its neighbours, through every ABI, with arguments
/// around the values it compares with.
pub fn calls(profile: &Value) -> Vec<(Abi, SeccompData)> {
    let entries = || items(&profile["syscalls"]);
    let names = entries().flat_map(|call| items(&call["names"])).filter_map(Value::as_str).take(12);
    let names: Vec<&str> = names.chain(["read", "socketcall", "mseal"]).collect();
    let arguments = arguments(profile);
    let mut calls = Vec::new();
    for (_, abi) in ABIS {
        let numbers =
            names.iter().filter_map(|name| abi.number(name)).flat_map(|number| [number, number + 1]);
        let base = if abi == Abi::X32 { X32_BIT } else { 0 };
        for nr in numbers.chain([base, base + 0x2000]) {
            for args in &arguments {
                let narrow = matches!(abi, Abi::X86 | Abi::Arm);
                let args = args.map(|arg| if narrow { arg & u64::from(u32::MAX) } else { arg });
                calls.push((abi, SeccompData { nr, arch: abi.audit_arch(), ip: 0, args }));
            }
        }
        calls.push((abi, SeccompData { nr: u32::MAX, arch: abi.audit_arch(), ..Default::default() }));
    }
    calls
}

fn arguments(profile: &Value) -> Vec<[u64; 6]> {
    let conds = || items(&profile["syscalls"]).flat_map(|call| items(&call["args"])).take(6);
    let place = |cond: &Value| usize::try_from(number(&cond["index"])).expect("0 to 5");
    // Every condition on equality holds here, so that each can be the one that does not.
    let mut meant = [0; 6];
    conds().for_each(|cond| meant[place(cond)] = number(&cond["value"]));
    let mut all = vec![[0; 6], [1; 6], [u64::MAX; 6], meant];
    for cond in conds() {
        let (value, second) = (number(&cond["value"]), number(&cond["valueTwo"]));
        for other in [value.wrapping_add(1), value.wrapping_sub(1), value ^ (1 << 32), second, !value] {
            let mut args = meant;
            args[place(cond)] = other;
            all.push(args);
        }
    }
    all
}
