//! The external monitor on this host: its program, what that needs to start, and its data.

use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use urunc_plan::input::MonitorFacts;
use urunc_plan::monitor::VHOST_NET;
use urunc_plan::settings::Settings;

use super::library;

/// Looked through when the environment has no PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program of monitor `name`, by `[monitors.NAME] path` or by PATH; `None` if PATH has none, or if the monitor
/// is part of urunc and no path chooses another.
///
/// Errors: a configured path that is missing, a program or directory that somebody else than root may exchange, a
/// library that is not found.
pub fn find(name: &str, settings: &Settings) -> Result<Option<MonitorFacts>> {
    let configured = settings.monitors.get(name).map_or("", |monitor| monitor.path.as_str());
    let program = if configured.is_empty() {
        let Some(program) = program_name(name).and_then(|program| search(&program, std::env::var_os("PATH")))
        else {
            return Ok(None);
        };
        program
    } else {
        PathBuf::from(configured)
    };
    if settings.monitors.get(name).and_then(|monitor| monitor.vhost) == Some(true) {
        let there = Path::new(VHOST_NET.path).exists();
        ensure!(there, "monitors.{name}.vhost: no {}; load vhost_net, or set it to false", VHOST_NET.path);
    }
    let key = if configured.is_empty() { String::new() } else { format!("monitors.{name}.path: ") };
    describe(name, &program, settings).with_context(|| format!("{key}{}", program.display())).map(Some)
}

/// Is monitor `name` built in, or is there a program of it? What is wrong with that is said when it is taken.
pub fn is_here(name: &str, settings: &Settings) -> bool {
    if urunc_plan::monitor::find(name).is_some_and(|found| found.program(std::env::consts::ARCH).is_none()) {
        return true;
    }
    let configured = settings.monitors.get(name).map_or("", |monitor| monitor.path.as_str());
    let in_path = || program_name(name).and_then(|program| search(&program, std::env::var_os("PATH")));
    if configured.is_empty() { in_path().is_some() } else { Path::new(configured).is_file() }
}

/// Name in PATH; `None` for what is never searched there (an ordinary container asks for no monitor).
fn program_name(monitor: &str) -> Option<String> {
    urunc_plan::monitor::find(monitor)?.program(std::env::consts::ARCH)
}

/// The program `iptables` by PATH, where root alone may exchange it: the one that needs no nf_tables before the other.
///
/// # Errors
/// Somebody else may exchange it.
pub fn iptables() -> Result<Option<String>> {
    let path = std::env::var_os("PATH");
    let found = ["iptables-legacy", "iptables"].into_iter().find_map(|name| search(name, path.clone()));
    let Some(program) = found else { return Ok(None) };
    // Its name says what it is to do: links stay.
    resolve(&program).with_context(|| program.display().to_string())?;
    text(&program).map(Some)
}

fn search(program: &str, path: Option<OsString>) -> Option<PathBuf> {
    let path = path.filter(|path| !path.is_empty()).unwrap_or_else(|| PATH.into());
    let executable = |file: &PathBuf| file.metadata().is_ok_and(|meta| meta.is_file() && may_run(&meta));
    std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(program)).find(executable)
}

/// By somebody: the kernel executes nothing else, not even for root.
fn may_run(meta: &Metadata) -> bool {
    meta.mode() & 0o111 != 0
}

fn describe(name: &str, program: &Path, settings: &Settings) -> Result<MonitorFacts> {
    ensure!(program.is_absolute(), "must be an absolute path");
    let program = resolve(program)?;
    let meta = program.metadata()?;
    ensure!(meta.is_file(), "is not a file");
    ensure!(may_run(&meta), "is not executable");
    let modules = if name == "qemu" { modules(&program)? } else { Vec::new() };
    let needs = library::needs(&program, &modules)?;
    let data_path = settings.monitors.get(name).map_or("", |monitor| monitor.data_path.as_str());
    let data = if data_path.is_empty() {
        if name == "qemu" { qemu_data(&program)? } else { Vec::new() }
    } else {
        let data = resolve(Path::new(data_path)).with_context(|| format!("monitors.{name}.data_path"))?;
        vec![text(&data)?]
    };
    Ok(MonitorFacts { path: text(&program)?, interpreter: needs.interpreter, libraries: needs.files, data })
}

/// What QEMU opens with dlopen(3) for the options we use: its instruction translator, where that is a module.
/// It looks relative to its own program, as its build was configured (docs/devel/modules.rst).
fn modules(program: &Path) -> Result<Vec<PathBuf>> {
    let arch = std::env::consts::ARCH;
    let name = format!("qemu/accel-tcg-{arch}.so");
    let libraries = [format!("lib/{arch}-linux-gnu"), "lib64".to_owned(), "lib".to_owned()];
    let candidates = libraries.iter().map(|dir| prefix(program).join(dir).join(&name));
    Ok(first(candidates, Metadata::is_file)?.into_iter().collect())
}

/// The first path that is `wanted`. What cannot be looked at is an error: the monitor would miss it later.
fn first(
    candidates: impl Iterator<Item = PathBuf>,
    wanted: impl Fn(&Metadata) -> bool,
) -> Result<Option<PathBuf>> {
    for path in candidates {
        match path.metadata() {
            Ok(meta) if wanted(&meta) => return Ok(Some(path)),
            Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(e).with_context(|| format!("stat {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// `/usr` of `/usr/bin/qemu-system-x86_64`.
fn prefix(program: &Path) -> &Path {
    program.parent().and_then(Path::parent).unwrap_or(Path::new("/"))
}

/// Of each kind of data the first directory that exists: beside the program, then where others install.
fn qemu_data(program: &Path) -> Result<Vec<String>> {
    let prefixes = [prefix(program), Path::new("/usr/local"), Path::new("/usr")];
    let mut data = Vec::new();
    for kind in ["share/qemu", "share/seabios", "lib/ipxe/qemu"] {
        if let Some(dir) = first(prefixes.iter().map(|prefix| prefix.join(kind)), Metadata::is_dir)? {
            data.push(text(&resolve(&dir)?)?);
        }
    }
    Ok(data)
}

/// The path without symbolic links, provided that root alone may change what it and the given path mean.
fn resolve(path: &Path) -> Result<PathBuf> {
    let resolved = path.canonicalize().with_context(|| format!("open {}", path.display()))?;
    trusted(path)?;
    trusted(&resolved)?;
    Ok(resolved)
}

/// Every component belongs to root and is writable by nobody else; a sticky directory such as /tmp is not enough.
fn trusted(path: &Path) -> Result<()> {
    for component in path.ancestors() {
        let meta = component.symlink_metadata().with_context(|| format!("stat {}", component.display()))?;
        let writable = !meta.is_symlink() && meta.mode() & 0o022 != 0;
        ensure!(
            meta.uid() == 0 && !writable,
            "{} must belong to root and be writable by nobody else",
            component.display()
        );
    }
    Ok(())
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::process::Command;
    use urunc_plan::settings::MonitorSettings;

    fn settings(path: &Path, data_path: &str) -> Settings {
        let monitor = MonitorSettings {
            path: path.display().to_string(),
            data_path: data_path.to_owned(),
            ..MonitorSettings::default()
        };
        Settings { monitors: [("qemu".to_owned(), monitor)].into(), ..Settings::default() }
    }

    /// A directory that root alone may write to, unlike those below /tmp.
    fn private_directory() -> tempfile::TempDir {
        tempfile::Builder::new().prefix("urunc-monitor-").tempdir_in("/var/lib").unwrap()
    }

    fn problem(settings: &Settings) -> String {
        format!("{:#}", find("qemu", settings).unwrap_err())
    }

    /// The loader's own list: `name => path (address)`.
    fn loaded_by_the_loader(program: &str) -> Vec<PathBuf> {
        let output = Command::new(program).env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let path = |line: &str| Some(PathBuf::from(line.split_once("=> ")?.1.split(" (").next()?));
        text.lines().filter_map(path).collect()
    }

    #[test]
    fn qemu_of_this_host_needs_what_its_loader_loads() {
        let facts = find("qemu", &Settings::default()).unwrap().expect("qemu-system-x86 is installed");
        let expected = loaded_by_the_loader(&facts.path);
        assert!(expected.len() > 10);
        for library in expected {
            let listed = facts.libraries.iter().any(|file| Path::new(file) == library);
            assert!(listed || facts.interpreter.as_deref() == library.to_str(), "{}", library.display());
        }
        for file in facts.libraries.iter().chain(&facts.data).chain(&facts.interpreter) {
            assert!(Path::new(file).exists(), "{file}");
        }
        assert!(
            facts.data.iter().any(|dir| Path::new(dir).join("kvmvapic.bin").exists()),
            "{:?}",
            facts.data
        );
    }

    #[test]
    fn built_in_monitors_are_external_only_by_path() {
        assert_eq!(find("spt", &Settings::default()).unwrap(), None);
        assert_eq!(find("no-such-monitor", &Settings::default()).unwrap(), None);
    }

    #[test]
    fn path_is_searched_in_order_for_executables() {
        let dir = tempfile::tempdir().unwrap();
        for (name, mode) in [("plain", 0o644), ("good", 0o755), ("later", 0o755)] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            let file = dir.path().join(name).join("vmm");
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        let path =
            std::env::join_paths(["plain", "none", "good", "later"].map(|d| dir.path().join(d))).unwrap();
        assert_eq!(search("vmm", Some(path)), Some(dir.path().join("good/vmm")));
        assert_eq!(search("sh", None), search("sh", Some(PATH.into())));
        assert!(search("sh", Some(OsString::new())).is_some());
        // Tests run in the directory of their package.
        assert!(Path::new("../../scripts/test.sh").exists());
        assert_eq!(search("test.sh", Some("../../scripts:".into())), None);
    }

    #[test]
    fn a_program_that_others_may_exchange_is_refused() {
        let dir = private_directory();
        let (sub, program) = (dir.path().join("sub"), dir.path().join("sub/qemu"));
        std::fs::create_dir(&sub).unwrap();
        std::fs::copy("/bin/true", &program).unwrap();
        let configured = settings(&program, "/usr/share");
        assert!(find("qemu", &configured).unwrap().is_some());
        for (path, mode) in [(&program, 0o775), (&program, 0o757), (&sub, 0o777), (&sub, 0o1777)] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
            let expected = format!("{} must belong to root and be writable by nobody else", path.display());
            assert!(problem(&configured).ends_with(&expected), "{}", problem(&configured));
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        chown(&sub, Some(65534), None).unwrap();
        assert!(problem(&configured).contains("must belong to root"));
    }

    #[test]
    fn a_link_in_a_foreign_directory_is_refused_even_to_a_good_program() {
        let (good, open) = (private_directory(), tempfile::tempdir().unwrap());
        std::fs::copy("/bin/true", good.path().join("qemu")).unwrap();
        let link = open.path().join("qemu"); // below /tmp, which everybody may write to
        symlink(good.path().join("qemu"), &link).unwrap();
        assert!(problem(&settings(&link, "/usr/share")).contains("must belong to root"));
        let link = good.path().join("link");
        symlink("qemu", &link).unwrap();
        let facts = find("qemu", &settings(&link, "/usr/share")).unwrap().unwrap();
        assert_eq!(Path::new(&facts.path), good.path().join("qemu"));
    }

    #[test]
    fn configured_paths_that_are_wrong_are_named() {
        let good = private_directory();
        assert!(problem(&settings(&good.path().join("none"), "")).starts_with("monitors.qemu.path: "));
        assert!(problem(&settings(good.path(), "")).ends_with("is not a file"));
        assert!(problem(&settings(Path::new("qemu"), "")).ends_with("must be an absolute path"));
        let script = good.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(problem(&settings(&script, "/usr")).ends_with("is not executable"));
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let not_elf = problem(&settings(&script, "/usr"));
        assert!(not_elf.contains("not a usable ELF file"), "{not_elf}");
        std::fs::copy("/bin/true", good.path().join("qemu")).unwrap();
        let no_data = problem(&settings(&good.path().join("qemu"), "/no/such"));
        assert!(no_data.contains("monitors.qemu.data_path: open /no/such"), "{no_data}");
    }
}
