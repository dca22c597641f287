//! E: who may reach what the runtime makes, and what it takes from others.

use super::{Entry, lives_or_is_refused, nothing_left};
use crate::bad_input::one_line;
use crate::command;
use crate::harness::Case;
use crate::probe::monitor_path;
use crate::sandbox::Sandbox;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] =
    &[("e-02-directory-and-file-modes", modes), ("e-06-configured-paths-of-a-local-user", paths_of_others)];

/// Everything a container has on disk, relative to the state root.
const STATE: [(&str, u32); 6] = [
    ("", 0o40700),
    ("ID", 0o40700),
    ("ID/init.sock", 0o140_600),
    ("ID/plan.json", 0o100_600),
    ("ID/record.json", 0o100_600),
    ("ID/status.json", 0o100_600),
];

/// Whatever the mask of the caller is, root alone reaches the state.
fn modes(s: &Sandbox) {
    let bundle = s.bundle("b").spt("idle").path.display().to_string();
    let expected: BTreeMap<String, u32> = STATE.map(|(path, mode)| (path.to_owned(), mode)).into();
    for mask in ["0", "022", "077"] {
        let (create, output) = s.command(["create", "--bundle", &bundle, &s.id("a")]);
        let mut masked = Command::new("sh");
        masked.args(["-c", &format!("umask {mask}; exec \"$@\""), "sh"]).arg(create.get_program());
        masked.args(create.get_args()).env("URUNC_CONFIG_FILE", &s.settings);
        command::run(&mut masked, &output).ok();
        let mut seen = BTreeMap::new();
        walk(&s.root(), &s.root(), &s.id("a"), &mut seen);
        assert_eq!(seen, expected, "umask {mask}");
        s.run(["delete", "--force", &s.id("a")]).ok();
        fs::remove_dir(s.root()).expect("an empty root");
    }
    nothing_left(s);
}

fn walk(root: &Path, path: &Path, id: &str, seen: &mut BTreeMap<String, u32>) {
    let meta = path.symlink_metadata().expect("metadata");
    assert_eq!((meta.uid(), meta.gid()), (0, 0), "{}", path.display());
    let name = path.strip_prefix(root).expect("below the root").display().to_string();
    seen.insert(name.replace(id, "ID"), meta.mode());
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        walk(root, &entry.path(), id, seen);
    }
}

/// A program, settings or a state root that somebody else than root could exchange.
fn paths_of_others(s: &Sandbox) {
    let usual = fs::read_to_string(&s.settings).expect("settings");
    let bundle = s.bundle("b").linux();
    let open = s.dir.join("open");
    fs::create_dir(&open).expect("directory");
    let program = open.join("monitor");
    fs::copy(monitor_path(), &program).expect("monitor");
    let strangers: [fn(&Path); 3] = [
        |path| chown(path, Some(1000), None).expect("chown"),
        |path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("chmod"),
        |path| fs::set_permissions(path, fs::Permissions::from_mode(0o775)).expect("chmod"),
    ];
    let roots_own = |path: &Path| {
        chown(path, Some(0), None).expect("chown");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("chmod");
    };
    for key in ["path", "data_path"] {
        let value = if key == "path" { &program } else { &open };
        let other =
            if key == "path" { String::new() } else { format!("path = \"{}\"\n", monitor_path().display()) };
        fs::write(&s.settings, format!("{usual}[monitors.qemu]\n{other}{key} = \"{}\"\n", value.display()))
            .expect("settings");
        for place in [&open, &program].into_iter().filter(|place| value.starts_with(place)) {
            for stranger in strangers {
                roots_own(place);
                stranger(place);
                assert!(
                    !lives_or_is_refused(s, &bundle, "monitors.qemu", |_| {}),
                    "{key}: {}",
                    place.display()
                );
            }
            roots_own(place);
        }
        assert!(lives_or_is_refused(s, &bundle, "", |_| {}), "{key} that is root's own");
    }
    // Others of root's group may be trusted with settings, but neither everybody nor another owner.
    for stranger in &strangers[..2] {
        roots_own(&s.settings);
        stranger(&s.settings);
        assert!(!lives_or_is_refused(s, &bundle, "config.toml", |_| {}));
    }
    roots_own(&s.settings);
    fs::create_dir_all(s.root()).expect("root");
    for stranger in strangers {
        roots_own(&s.root());
        stranger(&s.root());
        one_line(s, &s.container("a", &bundle).create(), "root");
    }
    fs::remove_dir(s.root()).expect("an empty root");
    nothing_left(s);
}
