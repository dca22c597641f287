use super::*;

/// A host on which nothing is to be said against.
fn good() -> SecurityFacts {
    let vulnerabilities =
        [("vmscape", "Mitigation: IBPB before exit to userspace"), ("itlb_multihit", "Not affected")];
    SecurityFacts {
        smt: Some(false),
        vulnerabilities: vulnerabilities.map(|(name, state)| (name.to_owned(), state.to_owned())).into(),
        ksm: Some(false),
        nested: Some(false),
        nx_huge_pages: Some("Y".into()),
        kernel_release: "6.18.21".into(),
        monitors: [("qemu".to_owned(), "QEMU emulator version 7.2.17".to_owned())].into(),
        umask: 0o022,
        paths: vec![
            path_of("/run/urunc", 0, 0o700, true),
            path_of("/etc/urunc/config.toml", 0, 0o644, false),
        ],
        store_bypass: Some(3),
        indirect_branch: Some(0),
        landlock_abi: 7,
        ..SecurityFacts::default()
    }
}

fn path_of(path: &str, uid: u32, mode: u32, private: bool) -> PathFacts {
    PathFacts { path: path.into(), uid, mode, private }
}

/// Findings that are not well.
fn complaints(facts: &SecurityFacts) -> Vec<(Level, String)> {
    let findings = judge(facts);
    for finding in &findings {
        let silent = finding.why.is_empty() && finding.fix.is_empty();
        assert_eq!(finding.level == Level::Ok, silent, "{finding:?}");
    }
    let complaint = |f: Finding| (f.level != Level::Ok).then_some((f.level, f.what));
    findings.into_iter().filter_map(complaint).collect()
}

#[test]
fn a_good_host_has_nothing_but_ok() {
    assert_eq!(complaints(&good()), []);
    let lines: Vec<String> = judge(&good()).into_iter().map(|finding| finding.what).collect();
    assert_eq!(
        lines,
        [
            "smt: off",
            "itlb_multihit: Not affected",
            "vmscape: Mitigation: IBPB before exit to userspace",
            "ksm: off",
            "swap: none",
            "nested: off",
            "nx_huge_pages: Y",
            "kernel: 6.18.21",
            "qemu: 7.2.17",
            "umask: 0022",
            "/run/urunc: uid 0, mode 0700",
            "/etc/urunc/config.toml: uid 0, mode 0644",
            "store bypass: off in each built-in monitor",
            "indirect branches: the processor is not affected",
            "core scheduling: not needed without sibling threads",
            "landlock: ABI 7, not used yet",
        ]
    );
}

/// One thing changed on a good host, and what is said about it.
#[test]
fn each_item_is_judged_by_itself() {
    use Level::{Bad, Warn};
    type Change = fn(&mut SecurityFacts);
    let state = |facts: &mut SecurityFacts, name: &str, text: &str| {
        facts.vulnerabilities.insert(name.into(), text.into());
    };
    let cases: &[(Change, Level, &str)] = &[
        (|f| f.ksm = Some(true), Bad, "ksm: equal pages are merged"),
        (|f| f.swaps = vec!["/dev/sda2".into(), "/swap".into()], Warn, "swap: /dev/sda2, /swap"),
        (|f| f.nested = Some(true), Warn, "nested: on"),
        (|f| f.kernel_release = "5.15.2".into(), Warn, "kernel: 5.15.2"),
        (|f| f.kernel_release = String::new(), Warn, "kernel: version unknown"),
        (|f| drop(f.monitors.insert("qemu".into(), "version 6.1.0".into())), Warn, "qemu: 6.1.0"),
        (|f| f.umask = 0, Warn, "umask: 0000"),
        (|f| f.paths[0].mode = 0o710, Bad, "/run/urunc: uid 0, mode 0710"),
        (|f| f.paths[1].mode = 0o664, Bad, "/etc/urunc/config.toml: uid 0, mode 0664"),
        (|f| f.paths[1].uid = 1000, Bad, "/etc/urunc/config.toml: uid 1000, mode 0644"),
        (|f| f.store_bypass = None, Warn, "store bypass: a process cannot switch it off"),
        (|f| f.indirect_branch = Some(2), Warn, "indirect branches: a process cannot switch it off"),
        (|f| f.landlock_abi = 0, Warn, "landlock: not available"),
        (|f| drop(f.vulnerabilities.remove("vmscape")), Warn, "vmscape: not known to this kernel"),
        (|f| f.vulnerabilities.clear(), Bad, "vulnerabilities: nothing is listed"),
    ];
    for (change, level, what) in cases {
        let mut facts = good();
        change(&mut facts);
        assert_eq!(complaints(&facts), [(*level, (*what).to_owned())]);
    }
    for (text, level) in [
        ("Vulnerable", Bad),
        ("Vulnerable: Clear CPU buffers attempted, no microcode; SMT vulnerable", Bad),
        ("KVM: Vulnerable", Bad),
        ("Mitigation: Clear CPU buffers; SMT vulnerable", Warn),
        ("Mitigation: Clear CPU buffers; SMT Host state unknown", Level::Ok),
        ("Unknown: Dependent on hypervisor status", Warn),
    ] {
        let mut facts = good();
        state(&mut facts, "mds", text);
        let seen = complaints(&facts).first().map_or(Level::Ok, |(level, _)| *level);
        assert_eq!(seen, level, "{text}");
    }
}

#[test]
fn huge_pages_matter_to_a_processor_that_stops_on_them() {
    let mut facts = good();
    facts.nx_huge_pages = Some("N".into());
    assert_eq!(complaints(&facts), []);
    facts.vulnerabilities.insert("itlb_multihit".into(), "KVM: Mitigation: Split huge pages".into());
    assert_eq!(complaints(&facts), [(Level::Bad, "nx_huge_pages: N".to_owned())]);
}

#[test]
fn sibling_threads_ask_for_core_scheduling() {
    let facts = SecurityFacts { smt: Some(true), ..good() };
    let names: Vec<String> = complaints(&facts).into_iter().map(|(_, what)| what).collect();
    assert_eq!(names, ["smt: sibling threads are on", "core scheduling: not available"]);
    let facts = SecurityFacts { smt: Some(true), core_scheduling: true, ..good() };
    assert_eq!(complaints(&facts).len(), 1);
}
