use super::*;
use crate::bpf::SeccompData;
use proptest::prelude::*;
use serde_json::{Value, json};

fn program(profile: Value) -> Vec<Insn> {
    compile(&Filter::Profile(profile), "x86_64").unwrap()
}

fn refusal(profile: Value) -> String {
    compile(&Filter::Profile(profile), "x86_64").unwrap_err().to_string()
}

fn call(abi: Abi, name: &str, args: [u64; 6]) -> SeccompData {
    number(abi, abi.number(name).unwrap(), args)
}

fn number(abi: Abi, nr: u32, args: [u64; 6]) -> SeccompData {
    SeccompData { nr, arch: abi.audit_arch(), ip: 0, args }
}

/// In the manner of Docker's: default errno, three architectures, conditions, and clone3 told to be absent.
fn sample() -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [
            {"names": ["read", "write", "no_such_call", "openat2", "waitpid"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 2_114_060_288u64, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["bind"], "action": "SCMP_ACT_ALLOW"},
        ]
    })
}

#[test]
fn sample_profile() {
    let program = program(sample());
    let answer = |data| bpf::run(&program, &data);
    let none = [0; 6];
    for abi in [Abi::X86_64, Abi::X86, Abi::X32] {
        assert_eq!(answer(call(abi, "read", none)), ret::ALLOW);
        assert_eq!(answer(call(abi, "openat2", none)), ret::ALLOW);
        assert_eq!(answer(call(abi, "mount", none)), ret::ERRNO | EPERM);
        assert_eq!(answer(call(abi, "clone3", none)), ret::ERRNO | ENOSYS);
        assert_eq!(answer(call(abi, "mseal", none)), ret::ERRNO | ENOSYS, "newer than every name");
        for (persona, allowed) in [(0, true), (8, true), (4, false), (1 << 32, false)] {
            let expected = if allowed { ret::ALLOW } else { ret::ERRNO | EPERM };
            assert_eq!(answer(call(abi, "personality", [persona, 0, 0, 0, 0, 0])), expected);
        }
        assert_eq!(answer(call(abi, "socket", [40, 0, 0, 0, 0, 0])), ret::ERRNO | EPERM);
        assert_eq!(answer(call(abi, "clone", [0x11, 0, 0, 0, 0, 0])), ret::ALLOW);
        assert_eq!(answer(call(abi, "clone", [0x1000_0011, 0, 0, 0, 0, 0])), ret::ERRNO | EPERM);
    }
    assert_eq!(answer(call(Abi::X86, "waitpid", none)), ret::ALLOW);
    assert_eq!(answer(call(Abi::X86, "socketcall", [2, 0, 0, 0, 0, 0])), ret::ALLOW, "bind");
    assert_eq!(answer(call(Abi::X86, "socketcall", [3, 0, 0, 0, 0, 0])), ret::ERRNO | EPERM, "connect");
    assert_eq!(answer(call(Abi::Aarch64, "read", none)), ret::KILL_THREAD);
    assert_eq!(answer(number(Abi::X86_64, u32::MAX, none)), ret::ERRNO | EPERM);
    assert_eq!(flags(&Filter::Profile(sample())).unwrap(), FLAG_LOG);
}

#[test]
fn no_architectures_means_native_only() {
    let program = program(json!({"defaultAction": "SCMP_ACT_ALLOW"}));
    assert_eq!(bpf::run(&program, &call(Abi::X86_64, "mount", [0; 6])), ret::ALLOW);
    for abi in [Abi::X86, Abi::X32, Abi::Arm] {
        assert_eq!(bpf::run(&program, &call(abi, "read", [0; 6])), ret::KILL_THREAD, "{abi:?}");
    }
}

#[test]
fn every_action() {
    let cases = [
        ("KILL", ret::KILL_THREAD),
        ("KILL_THREAD", ret::KILL_THREAD),
        ("KILL_PROCESS", ret::KILL_PROCESS),
        ("TRAP", ret::TRAP),
        ("ERRNO", ret::ERRNO | 7),
        ("TRACE", ret::TRACE | 7),
        ("LOG", ret::LOG),
        ("ALLOW", ret::ALLOW),
    ];
    for (name, expected) in cases {
        let action = format!("SCMP_ACT_{name}");
        let rule = json!({"names": ["getpid"], "action": action, "errnoRet": 7});
        let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 99, "syscalls": [rule]});
        assert_eq!(bpf::run(&program(profile), &call(Abi::X86_64, "getpid", [0; 6])), expected);
        let profile = json!({"defaultAction": action, "defaultErrnoRet": 7});
        assert_eq!(bpf::run(&program(profile), &call(Abi::X86_64, "getpid", [0; 6])), expected);
    }
}

#[test]
fn precedence_of_rules_of_one_name() {
    let rule = |action: &str, value: Option<u64>| match value {
        Some(value) => json!({"names": ["getpid"], "action": action,
            "args": [{"index": 0, "value": value, "op": "SCMP_CMP_LE"}]}),
        None => json!({"names": ["getpid"], "action": action}),
    };
    let (allow, trap, log) = ("SCMP_ACT_ALLOW", "SCMP_ACT_TRAP", "SCMP_ACT_LOG");
    let cases = [
        (vec![rule(allow, None), rule(trap, None)], ret::ALLOW),
        (vec![rule(trap, Some(9)), rule(allow, None)], ret::ALLOW),
        (vec![rule(allow, None), rule(trap, Some(9))], ret::ALLOW),
        (vec![rule(log, Some(9)), rule(trap, Some(9))], ret::LOG),
        (vec![rule(log, Some(4)), rule(trap, Some(9))], ret::TRAP),
        (vec![rule("SCMP_ACT_KILL", None), rule(allow, None)], ret::ALLOW),
    ];
    for (rules, expected) in cases {
        let profile = json!({"defaultAction": "SCMP_ACT_KILL", "syscalls": rules});
        assert_eq!(
            bpf::run(&program(profile.clone()), &call(Abi::X86_64, "getpid", [5, 0, 0, 0, 0, 0])),
            expected,
            "{profile}"
        );
    }
}

#[test]
fn one_argument_twice_means_alternatives() {
    let args =
        json!([{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 5, "op": "SCMP_CMP_EQ"}]);
    let rule = json!({"names": ["getpid"], "action": "SCMP_ACT_ALLOW", "args": args});
    let program = program(json!({"defaultAction": "SCMP_ACT_KILL", "syscalls": [rule]}));
    for (arg, expected) in [(2, ret::ALLOW), (5, ret::ALLOW), (3, ret::KILL_THREAD)] {
        assert_eq!(bpf::run(&program, &call(Abi::X86_64, "getpid", [arg, 0, 0, 0, 0, 0])), expected);
    }
}

#[test]
fn a_sign_extended_constant_matches_a_32_bit_argument() {
    let args = json!([{"index": 1, "value": u64::MAX, "op": "SCMP_CMP_EQ"}]);
    let rule = json!({"names": ["getpid"], "action": "SCMP_ACT_ALLOW", "args": args});
    let program = program(
        json!({"defaultAction": "SCMP_ACT_KILL", "architectures": ["SCMP_ARCH_X86"], "syscalls": [rule]}),
    );
    assert_eq!(bpf::run(&program, &call(Abi::X86, "getpid", [0, 0xffff_ffff, 0, 0, 0, 0])), ret::ALLOW);
    assert_eq!(
        bpf::run(&program, &call(Abi::X86_64, "getpid", [0, 0xffff_ffff, 0, 0, 0, 0])),
        ret::KILL_THREAD
    );
}

#[test]
fn own_lists() {
    let names: Vec<String> = ["read", "clone3"].map(String::from).into();
    let run = |filter, data| bpf::run(&compile(&filter, "x86_64").unwrap(), &data);
    let deny = || Filter::Deny(names.clone());
    assert_eq!(run(deny(), call(Abi::X86_64, "read", [0; 6])), ret::ERRNO | EPERM);
    assert_eq!(run(deny(), call(Abi::X86_64, "clone3", [0; 6])), ret::ERRNO | ENOSYS);
    assert_eq!(run(deny(), call(Abi::X86_64, "write", [0; 6])), ret::ALLOW);
    let allow = || Filter::Allow(names.clone());
    assert_eq!(run(allow(), call(Abi::X86_64, "read", [0; 6])), ret::ALLOW);
    assert_eq!(run(allow(), call(Abi::X86_64, "write", [0; 6])), ret::KILL_PROCESS);
    for abi in [Abi::X86, Abi::X32] {
        assert_eq!(run(deny(), call(abi, "write", [0; 6])), ret::KILL_PROCESS);
        assert_eq!(run(allow(), call(abi, "read", [0; 6])), ret::KILL_PROCESS);
    }
    assert!(compile(&Filter::Tender, "x86_64").unwrap().is_empty());
    let typo = compile(&Filter::Allow(vec!["raed".into()]), "x86_64").unwrap_err();
    assert!(typo.to_string().contains("raed"));
    assert!(compile(&Filter::Allow(vec!["open".into()]), "aarch64").is_ok());
    assert!(compile(&Filter::Tender, "vax").is_err());
}

#[test]
fn pinned_arguments() {
    let fd = |value| Cond { arg: 0, op: Op::Eq, value };
    let length = Cond { arg: 2, op: Op::Le, value: 4096 };
    let rules = [(0, vec![fd(3), length]), (0, vec![fd(4)]), (231, vec![])];
    let program = pinned(Abi::X86_64, &rules);
    let run = |nr, args| bpf::run(&program, &number(Abi::X86_64, nr, args));
    assert_eq!(run(0, [3, 0, 4096, 0, 0, 0]), ret::ALLOW);
    assert_eq!(run(0, [3, 0, 4097, 0, 0, 0]), ret::KILL_PROCESS);
    assert_eq!(run(0, [4, 0, 4097, 0, 0, 0]), ret::ALLOW);
    assert_eq!(run(0, [3 | 1 << 32, 0, 0, 0, 0, 0]), ret::KILL_PROCESS);
    assert_eq!(run(231, [0; 6]), ret::ALLOW);
    for nr in (1..231).chain(232..1024).chain([X32_BIT, X32_BIT + 231, u32::MAX]) {
        assert_eq!(run(nr, [3, 0, 0, 0, 0, 0]), ret::KILL_PROCESS, "{nr}");
    }
    assert_eq!(bpf::run(&program, &number(Abi::X86, 231, [0; 6])), ret::KILL_PROCESS);
}

#[test]
fn refusals_name_the_path() {
    let with = |key: &str, value: Value| {
        let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW"});
        profile[key] = value;
        refusal(profile)
    };
    let arg = |arg: Value| {
        with(
            "syscalls",
            json!([{"names": ["read"], "action": "SCMP_ACT_KILL"}, {"names": ["read"], "action": "SCMP_ACT_KILL", "args": [arg]}]),
        )
    };
    let cases = [
        (refusal(json!({})), "linux.seccomp.defaultAction: is missing"),
        (refusal(json!([])), "linux.seccomp: want an object"),
        (refusal(json!("\u{7f}")), "linux.seccomp: want an object, not \"\\u{7f}\""),
        (
            with("defaultAction", json!("SCMP_ACT_NOTIFY")),
            "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY is not supported",
        ),
        (with("defaultErrnoRet", json!(-1)), "linux.seccomp.defaultErrnoRet: -1 is out of range"),
        (
            with("architectures", json!(["SCMP_ARCH_X86", "SCMP_ARCH_VAX"])),
            "linux.seccomp.architectures[1]: unknown architecture",
        ),
        (with("flags", json!(["X"])), "linux.seccomp.flags[0]: unknown flag \"X\""),
        (with("listenerPath", json!("/run/x")), "linux.seccomp.listenerPath:"),
        (
            with("syscalls", json!([{"names": ["read"], "action": "SCMP_ACT_NO"}])),
            "linux.seccomp.syscalls[0].action: unknown action",
        ),
        (
            with("syscalls", json!([{"names": [1], "action": "SCMP_ACT_LOG"}])),
            "linux.seccomp.syscalls[0].names[0]: want a string",
        ),
        (
            arg(json!({"index": 6, "op": "SCMP_CMP_EQ"})),
            "linux.seccomp.syscalls[1].args[0].index: 6 is out of range",
        ),
        (
            arg(json!({"index": 0, "op": "SCMP_CMP"})),
            "linux.seccomp.syscalls[1].args[0].op: unknown operator",
        ),
        (
            arg(json!({"index": 0, "value": 1.5, "op": "SCMP_CMP_EQ"})),
            "linux.seccomp.syscalls[1].args[0].value: want a whole number",
        ),
    ];
    for (got, wanted) in cases {
        assert!(got.contains(wanted), "{got}: {wanted}");
    }
}

/// What a profile answers, straight from its JSON and without any of the compiler's parts.
fn naive(profile: &Value, abi: Abi, name: &str, args: [u64; 6]) -> u32 {
    let code = |action: &str, errno: &Value| match action {
        "SCMP_ACT_ALLOW" => ret::ALLOW,
        "SCMP_ACT_TRAP" => ret::TRAP,
        "SCMP_ACT_ERRNO" => ret::ERRNO | errno.as_u64().map_or(1, |errno| u32::try_from(errno).unwrap()),
        other => panic!("{other}"),
    };
    let default = code(profile["defaultAction"].as_str().unwrap(), &Value::Null);
    let holds = |cond: &Value| {
        let arg = args[usize::try_from(cond["index"].as_u64().unwrap()).unwrap()];
        let (value, second) = (cond["value"].as_u64().unwrap(), cond["valueTwo"].as_u64().unwrap());
        match cond["op"].as_str().unwrap() {
            "SCMP_CMP_EQ" => arg == value,
            "SCMP_CMP_NE" => arg != value,
            "SCMP_CMP_LT" => arg < value,
            "SCMP_CMP_LE" => arg <= value,
            "SCMP_CMP_GE" => arg >= value,
            "SCMP_CMP_GT" => arg > value,
            _ => arg & value == second & value,
        }
    };
    let named = |call: &&Value| call["names"].as_array().unwrap().iter().any(|n| n == name);
    let calls = profile["syscalls"].as_array().unwrap();
    let of_name = || {
        calls
            .iter()
            .filter(named)
            .map(|call| (call, code(call["action"].as_str().unwrap(), &call["errnoRet"])))
            .filter(|(_, answer)| *answer != default)
    };
    let conds = |call: &Value| call["args"].as_array().unwrap().clone();
    if let Some((_, answer)) = of_name().find(|(call, _)| conds(call).is_empty()) {
        return answer;
    }
    let matched = of_name().find(|(call, _)| {
        let conds = conds(call);
        let twice = (1..conds.len()).any(|n| conds[..n].iter().any(|c| c["index"] == conds[n]["index"]));
        if twice { conds.iter().any(holds) } else { conds.iter().all(holds) }
    });
    if let Some((_, answer)) = matched {
        return answer;
    }
    let numbers = calls.iter().flat_map(|call| call["names"].as_array().unwrap());
    let last = numbers.filter_map(|name| abi.number(name.as_str().unwrap())).max();
    let newer = last.is_some_and(|last| abi.number(name).unwrap() > last);
    if newer && default != ret::ALLOW { ret::ERRNO | ENOSYS } else { default }
}

const NAMES: [&str; 8] = ["read", "write", "open", "clone", "personality", "socket", "pidfd_open", "mseal"];
const VALUES: [u64; 6] = [0, 1, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, u64::MAX];

fn any_value() -> impl Strategy<Value = u64> {
    prop_oneof![proptest::sample::select(&VALUES[..]), 0..4u64, any::<u64>()]
}

fn any_rule() -> impl Strategy<Value = Value> {
    let ops = vec!["EQ", "NE", "LT", "LE", "GE", "GT", "MASKED_EQ"];
    let arg = (0..3u8, any_value(), any_value(), proptest::sample::select(ops)).prop_map(
        |(index, value, second, op)| json!({"index": index, "value": value, "valueTwo": second, "op": format!("SCMP_CMP_{op}")}),
    );
    let names = proptest::collection::vec(proptest::sample::select(&NAMES[..]), 1..3);
    let action = proptest::sample::select(vec!["SCMP_ACT_ALLOW", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO"]);
    (names, action, 1..40u16, proptest::collection::vec(arg, 0..4)).prop_map(
        |(names, action, errno, args)| json!({"names": names, "action": action, "errnoRet": errno, "args": args}),
    )
}

proptest! {
    #[test]
    fn compiled_program_agrees_with_the_profile(
        rules in proptest::collection::vec(any_rule(), 0..12),
        default in proptest::sample::select(vec!["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_TRAP"]),
        args in proptest::collection::vec(proptest::array::uniform6(any_value()), 20),
    ) {
        let profile = json!({"defaultAction": default, "architectures": ["SCMP_ARCH_X32"], "syscalls": rules});
        let program = program(profile.clone());
        for args in args {
            for abi in [Abi::X86_64, Abi::X32] {
                for name in NAMES {
                    let expected = naive(&profile, abi, name, args);
                    prop_assert_eq!(bpf::run(&program, &call(abi, name, args)), expected, "{} {:x?}", name, args);
                }
            }
        }
    }
}
