//! `doctor`: what this host can run, why not, and the fix.

use std::fmt::Write;
use std::path::Path;

use urunc_plan::input::KvmFacts;
use urunc_plan::settings::Settings;

use crate::{delegate, facts, settings};

/// One line of the report.
struct Finding {
    ok: bool,
    what: String,
    fix: &'static str,
}

/// The command: exit 1 when something that the thin line needs is missing.
///
/// # Errors
/// Standard output is gone.
pub fn run(_security: bool) -> anyhow::Result<u8> {
    let settings = settings::active().map(|loaded| loaded.settings).unwrap_or_default();
    let findings = examine(&settings);
    let mut text = String::new();
    for finding in &findings {
        let _ = writeln!(text, "{} {}", if finding.ok { "ok  " } else { "FAIL" }, finding.what);
        if !finding.ok && !finding.fix.is_empty() {
            let _ = writeln!(text, "     fix: {}", finding.fix);
        }
    }
    super::print(&text)?;
    Ok(u8::from(findings.iter().any(|finding| !finding.ok)))
}

fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![
        Finding {
            ok: rustix::process::geteuid().is_root(),
            what: "run as root".into(),
            fix: "rootless is not supported yet: run as root",
        },
        exists("/dev/net/tun", "load the tun module: modprobe tun"),
        cgroups(),
        Finding { ok: true, what: "spt: built in, needs neither monitor nor KVM".into(), fix: "" },
    ];
    findings.push(qemu(settings));
    findings.push(kvm());
    findings.push(runtime(settings));
    findings
}

fn exists(path: &str, fix: &'static str) -> Finding {
    Finding { ok: Path::new(path).exists(), what: path.into(), fix }
}

fn cgroups() -> Finding {
    let facts = urunc_sys::cgroup::facts().unwrap_or_default();
    let memory = facts.v1.contains_key("memory") || facts.v2_controllers.iter().any(|c| c == "memory");
    let version = if facts.v1.contains_key("memory") { "v1" } else { "v2" };
    Finding {
        ok: memory,
        what: format!("cgroup {version} with the memory controller"),
        fix: "mount cgroup2 on /sys/fs/cgroup",
    }
}

fn qemu(settings: &Settings) -> Finding {
    match facts::monitor::find("qemu", settings) {
        Ok(Some(found)) => Finding { ok: true, what: format!("qemu: {}", found.path), fix: "" },
        Ok(None) => Finding { ok: false, what: "qemu: not found".into(), fix: "install qemu-system-x86" },
        Err(error) => {
            Finding { ok: false, what: format!("qemu: {error:#}"), fix: "correct [monitors.qemu] path" }
        }
    }
}

fn kvm() -> Finding {
    let what = match urunc_sys::kvm::probe() {
        KvmFacts::Usable => "kvm: runs guests",
        KvmFacts::Emulated => "kvm: only an instruction emulator; qemu falls back to TCG",
        KvmFacts::Absent | KvmFacts::Unprobed => "kvm: /dev/kvm is absent; qemu falls back to TCG",
    };
    Finding { ok: true, what: what.into(), fix: "" }
}

fn runtime(settings: &Settings) -> Finding {
    let program = delegate::program(&settings.delegate);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = program.is_absolute() && program.is_file()
        || std::env::split_paths(&path).any(|dir| dir.join(&program).is_file())
        || settings.delegate == "process";
    Finding {
        ok: found,
        what: format!("ordinary containers go to {}", program.display()),
        fix: "install runc, or set [runtime] delegate in /etc/urunc/config.toml",
    }
}
