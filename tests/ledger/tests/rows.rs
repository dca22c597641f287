//! Each row sees the object it is about come and go.
#![allow(clippy::unwrap_used)]

use ledger::canary::Canary;
use ledger::{Ledger, Scope, diff, settle};
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

fn changed(scope: &Scope, before: &Ledger) -> String {
    diff(before, &Ledger::take(scope)).join("\n")
}

#[test]
fn a_child_and_its_zombie_are_seen_until_it_is_reaped() {
    let scope =
        Scope { tags: vec!["no such tag".into()], parent: Some(std::process::id()), ..Scope::default() };
    let before = Ledger::take(&scope);
    let mut child = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    assert!(changed(&scope, &before).contains("+ process"));
    child.kill().unwrap();
    while !changed(&scope, &before).contains("+ zombie") {}
    child.wait().unwrap();
    assert_eq!(settle(&before, &scope, Duration::from_secs(5)), [""; 0]);
}

#[test]
fn a_tree_is_compared_by_content_mode_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    fs::write(&file, "a").unwrap();
    let scope = Scope {
        tags: vec!["tree".into()],
        trees: vec![dir.path().into()],
        roots: vec![dir.path().into()],
        ..Scope::default()
    };
    let before = Ledger::take(&scope);
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    fs::write(&file, "b").unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    assert!(changed(&scope, &before).contains("tree"));
    fs::write(dir.path().join("g"), "").unwrap();
    assert!(changed(&scope, &before).contains("+ state file"));
}

#[test]
fn a_socket_is_seen_by_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let scope = Scope { tags: vec![dir.path().display().to_string()], ..Scope::default() };
    let before = Ledger::take(&scope);
    let socket = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
    assert!(changed(&scope, &before).contains("+ socket"));
    drop(socket);
    // A child that another test forks holds it until it executes its program.
    assert_eq!(settle(&before, &scope, Duration::from_secs(5)), [""; 0]);
}

#[test]
fn the_machine_has_links_mounts_and_sysctls() {
    let all = Ledger::take(&Scope::machine());
    assert!(all.row("link").any(|l| l.starts_with("device lo")));
    assert!(all.row("mount").count() > 0);
    assert!(all.row("sysctl").any(|l| l.starts_with("kernel.core_pattern")));
    assert_eq!(Ledger::from_json(&all.to_json()).unwrap(), all);
}

#[test]
fn a_canary_sees_an_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut canary = Canary::plant(&dir.path().join("canary")).unwrap();
    canary.watch().unwrap();
    assert_eq!(canary.events(), [""; 0]);
    canary.watch().unwrap();
    fs::read(canary.path().join("file")).unwrap();
    assert!(canary.events().join(" ").contains("OPEN"));
}

fn ip(words: &str) {
    assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success(), "ip {words}");
}

#[test]
fn a_named_network_namespace_shows_devices_addresses_routes_queues_and_filters_of_both_kinds() {
    let name = format!("tests-ledger-{}", std::process::id());
    let scope = Scope { tags: vec![name.clone()], netns: vec![name.clone()], ..Scope::default() };
    let empty = Ledger::take(&scope);
    ip(&format!("netns add {name}"));
    let tc = |words: &str| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &name, "tc"]).args(words.split(' '));
        assert!(command.status().unwrap().success(), "tc {words}");
    };
    ip(&format!("-n {name} link add v0 type veth peer name v1"));
    ip(&format!("-n {name} addr add 10.1.2.3/24 dev v0"));
    ip(&format!("-n {name} link set v0 up"));
    tc("qdisc add dev v0 ingress");
    tc("filter add dev v0 parent ffff: u32 match u32 0 0 action mirred egress redirect dev v1");
    for words in ["sysctl -qw net.ipv4.conf.v0.forwarding=1", "sysctl -qw net.ipv4.conf.v1.forwarding=0"] {
        ip(&format!("netns exec {name} {words}"));
    }
    for words in ["add table ip t", "add chain ip t c", "add rule ip t c accept", "add rule ip t c drop"] {
        ip(&format!("netns exec {name} nft {words}"));
    }
    let seen = changed(&scope, &empty);
    ip(&format!("netns delete {name}"));
    for part in [
        "+ network namespace",
        "device v0 forwarding=1",
        "device v1 forwarding=0",
        "family 2 table t",
        "family 2 chain c of table t",
        "family 2 rule in chain c of table t, number 1",
        "device v0 veth up",
        "address 10.1.2.3/24 on v0",
        "route 10.1.2.0/24",
        "queue ingress on v0",
        "filter u32",
    ] {
        assert!(seen.contains(part), "{part} is missing in:\n{seen}");
    }
    assert_eq!(settle(&empty, &scope, ledger::SETTLE), [""; 0]);
}
