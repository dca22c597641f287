//! What holds for every plan, whoever wrote the request.

use urunc_plan::input::NamespaceKind;
use urunc_plan::launch::{Base, Exec, LaunchPlan, Root};
use urunc_plan::ordinary::CapabilitySets;
use urunc_plan::undo::undo;
use urunc_plan::{Request, seccomp, show};

use crate::noticed;

/// Checks a plan for `request`.
pub fn check(plan: &LaunchPlan, request: &Request) {
    receipt(plan);
    exec(&plan.exec);
    root(&plan.root);
    cgroup(plan);
    let names = &plan.namespaces;
    for name in names.hostname.iter().chain(&names.domainname) {
        assert!(name.len() <= 64 && !name.contains('\0'), "{name:?}");
    }
    for (file, value) in &names.sysctl {
        assert!(!file.starts_with('/') && clean(file) && !value.contains(['\0', '\n']), "{file:?} {value:?}");
    }
    let identity = &plan.identity;
    if plan.monitor != "process" {
        jailed(plan);
    }
    assert!(identity.uid != u32::MAX && identity.gid != u32::MAX && !identity.groups.contains(&u32::MAX));
    for filter in &plan.seccomp {
        let program = seccomp::compile(filter, "x86_64").expect("judged by plan()");
        checkable(&program);
    }
    plan.notices.iter().for_each(|notice| noticed(&notice.text));
    if let Some(limit) = plan.memory.limit_bytes.filter(|_| plan.memory.guest_mib > 0) {
        let guest = plan.memory.guest_mib << 20;
        assert!(guest + plan.memory.overhead_bytes <= limit, "{:?}", plan.memory);
    }
    assert_eq!(plan.console.is_some(), request.terminal);
}

/// What only an ordinary container can be given, no monitor is.
fn jailed(plan: &LaunchPlan) {
    let (identity, root, names) = (&plan.identity, &plan.root, &plan.namespaces);
    assert!(identity.no_new_privs && identity.capability_sets == CapabilitySets::default());
    assert!(root.base == Base::Tmpfs && root.nodes.is_empty());
    assert!(names.uid_map.is_empty() && names.gid_map.is_empty());
    for kind in [NamespaceKind::Mount, NamespaceKind::Pid, NamespaceKind::Ipc] {
        assert!(names.entries.iter().any(|entry| entry.kind == kind && entry.path.is_none()), "{kind:?}");
    }
}

/// What is stored is what is undone, and what is shown.
fn receipt(plan: &LaunchPlan) {
    let text = serde_json::to_string(plan).expect("plain data");
    let stored: LaunchPlan = serde_json::from_str(&text).expect("what we wrote");
    assert_eq!(stored, *plan);
    assert_eq!(undo(plan).len(), plan.cgroup.groups.len() + usize::from(plan.net.is_some()));
    assert!(show::json(plan).is_object());
    assert!(!show::text(plan).contains("# ?\n"), "a value without a source");
}

fn exec(exec: &Exec) {
    match exec {
        Exec::Program(program) => {
            let words = program.args.iter().chain(&program.env).chain([&program.path, &program.cwd]);
            assert!(!program.args.is_empty());
            words.into_iter().for_each(|word| assert!(!word.contains('\0'), "{word:?}"));
            assert!(program.cwd.starts_with('/'), "{:?}", program.cwd);
        }
        Exec::Tender(tender) => {
            assert!(tender.cmdline.len() <= urunc_plan::solo5::MAX_CMDLINE && !tender.cmdline.contains('\0'));
        }
    }
}

/// Nothing is made, mounted or bound outside of the private root.
fn root(root: &Root) {
    let made = root.dirs.iter().map(|dir| &dir.path).chain(root.files.iter().map(|file| &file.path));
    let mounted =
        root.mounts.iter().map(|mount| &mount.target).chain(root.binds.iter().map(|bind| &bind.path));
    let links = root.links.iter().map(|(_, link)| link);
    let covered =
        root.masked.iter().chain(&root.readonly_paths).chain(root.nodes.iter().map(|node| &node.path));
    for path in made.chain(mounted).chain(links).chain(&root.devices).chain(covered) {
        assert!(path.starts_with('/') && clean(path), "{path:?}");
    }
    for file in &root.image_files {
        assert!(!file.source.contains('\0') && clean(&file.source), "{:?}", file.source);
        assert!(matches!(file.target.trim_start_matches("/guest/"), "kernel" | "initrd" | "disk0"));
    }
    root.mounts.iter().for_each(|mount| assert!(!mount.data.contains('\0'), "{:?}", mount.data));
}

fn cgroup(plan: &LaunchPlan) {
    for group in &plan.cgroup.groups {
        assert!(
            group.path.starts_with('/') && clean(&group.path) && group.path.len() > 1,
            "{:?}",
            group.path
        );
        for write in &group.writes {
            assert!(!write.file.contains(['/', '\0']) && write.file.contains('.'), "{:?}", write.file);
            assert!(!write.value.contains('\0'), "{:?}", write.value);
        }
    }
}

/// A path without components that lead up.
fn clean(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|part| part != "..")
}

/// What the kernel's checker demands of a program (`seccomp_check_filter`, `bpf_check_classic`): known operations, jumps
/// that stay inside, and an answer at the end.
pub fn checkable(program: &[urunc_plan::bpf::Insn]) {
    use urunc_plan::bpf::{AND, JA, JEQ, JGE, JGT, LD, MAX_LEN, RET};
    if program.is_empty() {
        return;
    }
    assert!(program.len() <= MAX_LEN);
    for (at, insn) in program.iter().enumerate() {
        let reach = match insn.code {
            JEQ | JGT | JGE => usize::from(insn.jt.max(insn.jf)),
            JA => insn.k as usize,
            LD => {
                assert!(insn.k < 64 && insn.k.is_multiple_of(4));
                0
            }
            AND | RET => 0,
            code => panic!("operation {code:#x}"),
        };
        assert!(at + 1 + reach < program.len() || insn.code == RET, "instruction {at} of {}", program.len());
    }
}
