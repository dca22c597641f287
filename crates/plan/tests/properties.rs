//! Properties of `plan()` over all golden cases and around them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value;
use urunc_plan::launch::{Base, Exec, LaunchPlan};
use urunc_plan::memory::{self, Bounds, MIB, Overhead};
use urunc_plan::ordinary::Node;
use urunc_plan::undo::{Undo, undo};
use urunc_plan::{HostFacts, NetFacts, PlanError, Request, annotations, decide, monitor};

mod support;

struct Case {
    name: String,
    twin: bool,
    request: Request,
    host: HostFacts,
    net: Option<NetFacts>,
}

impl Case {
    fn plan(&self, request: &Request) -> Result<LaunchPlan, PlanError> {
        decide::plan(request, &self.host, self.net.as_ref())
    }
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let load = |dir: std::path::PathBuf| {
        let (request, host, net) = support::inputs(&dir);
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        Case { name, twin: dir.join("same-as.txt").exists(), request, host, net }
    };
    support::directories("plans").into_iter().map(load).collect()
});

fn planned() -> impl Iterator<Item = (&'static Case, LaunchPlan)> {
    CASES.iter().filter_map(|case| Some((case, case.plan(&case.request).ok()?)))
}

#[test]
fn no_two_plans_are_equal() {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut equal = Vec::new();
    for (case, plan) in planned().filter(|(case, _)| !case.twin) {
        let plan = LaunchPlan { sources: BTreeMap::new(), ..plan };
        if let Some(other) = seen.insert(serde_json::to_string(&plan).unwrap(), &case.name) {
            equal.push((&case.name, other));
        }
    }
    assert!(equal.is_empty(), "the same plan: {equal:?}");
}

#[test]
fn every_kind_of_refusal_has_a_case() {
    let variant = |error: &PlanError| format!("{error:?}").split(' ').next().unwrap().to_owned();
    let refused = CASES.iter().filter_map(|case| case.plan(&case.request).err());
    let found: BTreeSet<_> = refused.map(|error| variant(&error)).collect();
    let all = ["Key", "Config", "File", "Pair", "Host", "Memory", "Cmdline", "Network", "Setting"];
    assert_eq!(found, all.map(str::to_owned).into());
}

/// The receipt: what `delete` reads back undoes each group and the tap, once, and nothing else.
#[test]
fn undo_takes_back_what_a_plan_made() {
    for (case, plan) in planned() {
        let stored: LaunchPlan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(stored, plan, "{}", case.name);
        let (mut taps, mut groups, mut scopes) = (Vec::new(), Vec::new(), Vec::new());
        for step in undo(&stored) {
            match step {
                Undo::Network(tap) => taps.push(tap),
                Undo::Cgroup(group) => groups.push(group),
                Undo::Scope(scope) => scopes.push(scope),
            }
        }
        groups.reverse();
        assert_eq!(taps, plan.net.iter().collect::<Vec<_>>(), "{}", case.name);
        assert_eq!(groups, plan.cgroup.groups.iter().collect::<Vec<_>>(), "{}", case.name);
        assert_eq!(scopes, plan.cgroup.scope.iter().collect::<Vec<_>>(), "{}", case.name);
    }
}

/// Field and pointer of every value, containers included. Elements of lists and of maps with free names are one field.
fn fields(value: &Value, field: &str, pointer: &str, found: &mut Vec<(String, String)>) {
    if !pointer.is_empty() {
        found.push((field.to_owned(), pointer.to_owned()));
    }
    match value {
        // Verbatim JSON is one field: its parts are the business of their own compilers.
        _ if ["/resources", "/seccomp"].contains(&field) => {}
        Value::Object(members) => {
            let free = ["/sysctl", "/time_offsets", "/settings/monitors", "/image/found"].contains(&field);
            for (name, value) in members {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                let name = if free { "*" } else { name };
                fields(value, &format!("{field}/{name}"), &format!("{pointer}/{escaped}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                fields(item, &format!("{field}/*"), &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Other values of the same type.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::Bool(flag) => vec![(!flag).into()],
        Value::Number(number) => {
            number.as_u64().map_or_else(Vec::new, |n| vec![n.wrapping_add(1).into(), (n / 2).into()])
        }
        Value::String(text) => vec![format!("{text}x").into(), "".into()],
        _ => Vec::new(),
    }
}

/// A field that no plan depends on would be a promise that is silently broken.
#[test]
fn every_input_field_changes_some_plan() {
    let outcome = |case: &Case, request: &Request| {
        case.plan(request)
            .map(|plan| serde_json::to_string(&plan).unwrap())
            .map_err(|error| error.to_string())
    };
    let mut pool: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for case in CASES.iter() {
        let tree = serde_json::to_value(&case.request).unwrap();
        let mut found = Vec::new();
        fields(&tree, "", "", &mut found);
        for (field, pointer) in found {
            let value = tree.pointer(&pointer).unwrap();
            let values = pool.entry(field).or_default();
            values.extend(others(value).iter().chain([value]).map(Value::to_string));
        }
    }
    let mut silent: BTreeSet<_> = pool.keys().cloned().collect();
    for case in CASES.iter() {
        let tree = serde_json::to_value(&case.request).unwrap();
        let before = outcome(case, &case.request);
        let mut found = Vec::new();
        fields(&tree, "", "", &mut found);
        for (field, pointer) in found {
            for value in pool[&field].iter().filter(|_| silent.contains(&field)) {
                let mut tree = tree.clone();
                *tree.pointer_mut(&pointer).unwrap() = serde_json::from_str(value).unwrap();
                let changed = serde_json::from_value::<Request>(tree);
                if changed.is_ok_and(|request| outcome(case, &request) != before) {
                    silent.remove(&field);
                    break;
                }
            }
        }
    }
    assert!(silent.is_empty(), "no plan depends on {silent:#?}");
}

/// Text that has broken runtimes: option separators, quotes, control characters, foreign scripts.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        " -drive file=/x",
        "\n",
        "\0",
        "\"",
        "'",
        ",",
        ",,",
        "=",
        "--",
        "-",
        "à",
        "\u{a0}",
        "/../",
        "$(x)",
        "`",
        "\\",
        "{}",
        "a",
        "B1",
        " ",
        "\t",
        "init=/bin/sh",
        "%s",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| format!("ZQX{}", pieces.concat()))
}

fn check_refusal(error: &PlanError) {
    let text = error.to_string();
    assert!(text.len() <= 400 && !text.contains('\n') && !text.ends_with('.'), "{text:?}");
}

fn poison(request: &mut Request, place: u8, text: &str) {
    let text = text.to_owned();
    match place {
        0 => request.args.push(text),
        1 => request.env.push(format!("NAME={text}")),
        2 => request.env.push(text),
        3 => request.hostname = Some(text),
        4 => request.cwd = text,
        5 => (request.args, request.image.cmdline) = (Vec::new(), text),
        6 => request.image.block_mount_point = text,
        7 => request.args = vec![text],
        8 => request.image.version = text,
        9 => request.propagation = text,
        10 => drop(request.sysctl.insert(text, "1".to_owned())),
        11 => request.cgroups_path = text,
        12 => request.image.solo5_net = text,
        13 => request.image.binary = text,
        14 => drop(request.time_offsets.insert(text, (0, 0))),
        15 => request.image.guest = text,
        16 => request.domainname = Some(text),
        17 => request.resources = serde_json::json!({ "memory": { "limit": text } }),
        18 => request.resources = serde_json::json!({ "memory": { "limit": text.len() << 24 } }),
        19 => request.ordinary.capabilities.bounding.push(text),
        20 => request.ordinary.masked.push(format!("/{text}")),
        21 => request.ordinary.readonly.push(text),
        22 => request.ordinary.devices.push(Node {
            path: format!("/dev/{text}"),
            kind: "c".into(),
            ..Node::default()
        }),
        _ => request.apparmor = Some(text),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn foreign_text_stays_in_one_argument(index in any::<prop::sample::Index>(), place in 0_u8..24, text in hostile()) {
        let case = &CASES[index.index(CASES.len())];
        let (mut plain, mut request) = (case.request.clone(), case.request.clone());
        poison(&mut request, place, &text);
        // Another command is another init, which may have no initrd made for it.
        if matches!(place, 5 | 7) {
            poison(&mut plain, place, "ZQX");
        }
        let (before, after) = (case.plan(&plain), case.plan(&request));
        if let Err(error) = &after {
            check_refusal(error);
        }
        let (Ok(before), Ok(after)) = (before, after) else { return Ok(()) };
        let (Exec::Program(old), Exec::Program(new)) = (&before.exec, &after.exec) else { return Ok(()) };
        if after.monitor == "qemu" {
            prop_assert_eq!(old.args.len(), new.args.len());
            let marked: Vec<_> = (0..new.args.len()).filter(|at| new.args[*at].contains("ZQX")).collect();
            let append = new.args.iter().position(|arg| arg == "-append").unwrap() + 1;
            prop_assert!(marked.iter().all(|at| *at == append), "{:?}", new.args);
            // The fixed part of the kernel's line is as it was.
            let linux = after.guest == "linux";
            prop_assert!(!linux || new.args[append].starts_with("panic=-1 console=tty"));
        }
    }

    #[test]
    fn paths_of_a_plan_stay_in_the_jail(index in any::<prop::sample::Index>(), place in 0_u8..24, text in hostile()) {
        let case = &CASES[index.index(CASES.len())];
        let mut request = case.request.clone();
        poison(&mut request, place, &text);
        let Ok(plan) = case.plan(&request) else { return Ok(()) };
        for file in &plan.root.image_files {
            prop_assert!(matches!(file.target.trim_start_matches("/guest/"), "kernel" | "initrd" | "disk0"));
        }
        for bind in &plan.root.binds {
            let monitor = case.host.monitor.as_ref().unwrap();
            let own = [&monitor.path].into_iter().chain(&monitor.interpreter).chain(&monitor.libraries);
            prop_assert!(own.chain(&monitor.data).any(|path| *path == bind.path));
        }
        let default = urunc_plan::launch::Identity::default();
        let nothing = plan.identity.capability_sets == default.capability_sets && plan.identity.no_new_privs;
        prop_assert!(plan.monitor == "process" || (nothing && plan.root.base == Base::Tmpfs));
        let hidden = plan.root.masked.iter().chain(&plan.root.readonly_paths);
        let inner = hidden.chain(plan.root.nodes.iter().map(|node| &node.path));
        for path in inner {
            prop_assert!(path.starts_with('/') && path.split('/').all(|part| part != ".."), "{:?}", path);
        }
    }

    #[test]
    fn keys_never_panic(key in "[a-zA-Z0-9]{0,20}", value in hostile(), raw in prop::collection::vec(any::<u8>(), 0..64)) {
        let annotations = BTreeMap::from([
            (format!("{}{key}", urunc_plan::KEY_PREFIX), value.clone()),
            (format!("{}binary", urunc_plan::KEY_PREFIX), value),
        ]);
        for outcome in [annotations::classify(&annotations, None), annotations::classify(&BTreeMap::new(), Some(&raw))] {
            if let Err(error) = outcome {
                check_refusal(&error);
            }
        }
    }

    #[test]
    fn more_memory_never_means_less_ram(limit in 0_u64..1 << 36, more in 0_u64..1 << 30, kvm in any::<bool>()) {
        use urunc_plan::machine::Acceleration;
        let acceleration = if kvm { Acceleration::Kvm } else { Acceleration::Emulation };
        for monitor in monitor::ALL {
            let bounds = Bounds {
                least: MIB,
                most_mib: monitor.offers(monitor.boards()[0]).most_ram_mib,
                step_mib: monitor.ram_step_mib(),
                default_mib: 256,
                overhead: monitor.overhead(acceleration),
            };
            let Ok(small) = memory::split(Some(limit), &bounds) else { continue };
            let large = memory::split(Some(limit + more), &bounds).unwrap();
            prop_assert!(small.guest_mib <= large.guest_mib);
            prop_assert!(small.guest_mib * MIB + small.overhead_bytes <= limit);
        }
    }
}

/// The figure in a refusal is a limit that works, and the least one.
#[test]
fn a_refused_limit_names_the_least_that_works() {
    for monitor in monitor::ALL {
        for least in [MIB, 2 * MIB, 65 * MIB + 1, 1 << 34] {
            let overhead = monitor.overhead(urunc_plan::machine::Acceleration::Emulation);
            let step_mib = monitor.ram_step_mib();
            let bounds = Bounds { least, most_mib: u64::MAX, step_mib, default_mib: 256, overhead };
            let PlanError::Memory { why } = memory::split(Some(4096), &bounds).unwrap_err() else { panic!() };
            let figure = why.split("at least ").nth(1).unwrap().split(' ').next().unwrap();
            let figure: u64 = figure.parse().unwrap();
            let given = memory::split(Some(figure), &bounds).unwrap().guest_mib;
            assert_eq!(given, least.div_ceil(MIB).next_multiple_of(step_mib));
            memory::split(Some(figure - 1), &bounds).unwrap_err();
        }
    }
}

#[test]
fn ram_is_what_the_limit_can_give() {
    let guest = |monitor: &str, mib: u64| {
        let monitor = monitor::find(monitor).unwrap();
        let overhead: Overhead = monitor.overhead(urunc_plan::machine::Acceleration::Emulation);
        let step_mib = monitor.ram_step_mib();
        let bounds = Bounds { least: MIB, most_mib: u64::MAX, step_mib, default_mib: 256, overhead };
        memory::split(Some(mib * MIB), &bounds).unwrap().guest_mib
    };
    for mib in 32..=512 {
        assert!(guest("spt", mib) >= mib - 2, "{mib}");
        assert!(guest("hvt", mib) >= mib - 8 && guest("hvt", mib) % 2 == 0, "{mib}");
    }
    for mib in [256, 512] {
        assert!(guest("qemu", mib) >= mib - 80, "{mib}");
    }
}
