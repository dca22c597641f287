//! `doctor`: what this host can run, why not, and the fix; with `--security`, what it does to isolation.

use std::fmt::Write;
use std::path::Path;

use urunc_plan::input::KvmFacts;
use urunc_plan::security::{self, Finding, Level};
use urunc_plan::settings::Settings;

use crate::{delegate, facts, settings};

/// The command: exit 1 when something that the thin line needs is missing, or isolation is broken.
///
/// # Errors
/// Standard output is gone.
pub fn run(root: &Path, security: bool) -> anyhow::Result<u8> {
    let settings = settings::active().map(|loaded| loaded.settings).unwrap_or_default();
    let findings = if security {
        security::judge(&facts::security::gather(root, &settings))
    } else {
        examine(&settings)
    };
    super::print(&report(&findings))?;
    Ok(u8::from(findings.iter().any(|finding| finding.level == Level::Bad)))
}

fn report(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { level, what, why, fix } in findings {
        let word = match level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Bad => "FAIL",
        };
        let _ = writeln!(text, "{word} {what}");
        for (name, line) in [("why", why), ("fix", fix)].iter().filter(|(_, line)| !line.is_empty()) {
            let _ = writeln!(text, "     {name}: {line}");
        }
    }
    text
}

fn examine(settings: &Settings) -> Vec<Finding> {
    let root = "rootless is not supported yet: run as root";
    vec![
        needed(rustix::process::geteuid().is_root(), "run as root", root),
        needed(Path::new("/dev/net/tun").exists(), "/dev/net/tun", "load the tun module: modprobe tun"),
        cgroups(),
        Finding::ok("spt: built in, needs neither monitor nor KVM"),
        Finding::ok("hvt: built in, needs KVM"),
        qemu(settings),
        kvm(),
        runtime(settings),
    ]
}

fn needed(there: bool, what: impl Into<String>, fix: &str) -> Finding {
    if there { Finding::ok(what) } else { Finding::bad(what, "", fix) }
}

fn cgroups() -> Finding {
    let facts = urunc_sys::cgroup::facts().unwrap_or_default();
    let memory = facts.v1.contains_key("memory") || facts.v2_controllers.iter().any(|c| c == "memory");
    let version = if facts.v1.contains_key("memory") { "v1" } else { "v2" };
    let what = format!("cgroup {version} with the memory controller");
    needed(memory, what, "mount cgroup2 on /sys/fs/cgroup")
}

fn qemu(settings: &Settings) -> Finding {
    match facts::monitor::find("qemu", settings) {
        Ok(Some(found)) => Finding::ok(format!("qemu: {}", found.path)),
        Ok(None) => Finding::bad("qemu: not found", "", "install qemu-system-x86"),
        Err(error) => Finding::bad(format!("qemu: {error:#}"), "", "correct [monitors.qemu] path"),
    }
}

fn kvm() -> Finding {
    Finding::ok(match urunc_sys::kvm::probe() {
        KvmFacts::Usable => "kvm: runs guests",
        KvmFacts::Emulated => "kvm: only an instruction emulator; hvt is slow, qemu falls back to TCG",
        KvmFacts::Absent | KvmFacts::Unprobed => "kvm: /dev/kvm is absent; no hvt, qemu falls back to TCG",
    })
}

fn runtime(settings: &Settings) -> Finding {
    let program = delegate::program(&settings.delegate);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = program.is_absolute() && program.is_file()
        || std::env::split_paths(&path).any(|dir| dir.join(&program).is_file())
        || settings.delegate == "process";
    let what = format!("ordinary containers go to {}", program.display());
    needed(found, what, "install runc, or set [runtime] delegate in /etc/urunc/config.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_with_reason_and_fix_below() {
        let findings = [
            Finding::ok("smt: off"),
            Finding::warn("swap: /x", "it stays", "swapoff"),
            Finding::bad("qemu", "", "install"),
        ];
        let expected = "ok   smt: off\nwarn swap: /x\n     why: it stays\n     fix: swapoff\nFAIL qemu\n     fix: install\n";
        assert_eq!(report(&findings), expected);
    }
}
