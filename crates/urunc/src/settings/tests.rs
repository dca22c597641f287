use super::*;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
};

fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn loaded(text: impl AsRef<[u8]>) -> anyhow::Result<Loaded> {
    let (_dir, path) = file(text);
    load(Some(path.as_os_str()))
}

fn message(path: &Path) -> String {
    format!("{:#}", load(Some(path.as_os_str())).unwrap_err())
}

#[test]
fn a_missing_file_is_the_defaults() {
    let found = load(Some(OsStr::new("/nonexistent/config.toml"))).unwrap();
    assert_eq!(found.settings, Settings::default());
    assert_eq!(found.log_level, None);
    assert_eq!(
        found.warnings,
        ["URUNC_CONFIG_FILE: /nonexistent/config.toml does not exist, using the defaults"]
    );
}

/// The whole file of urunc 0.8, as its documentation shows it.
const OF_0_8: &str = r#"
[runtime]
libcontainer = false
vAccel = false
[log]
level = "info"
syslog = false
[timestamps]
enabled = false
destination = "/var/log/urunc/timestamps.log"
[monitors.qemu]
default_memory_mb = 256
default_vcpus = 1
path = ""
data_path = ""
vhost = false
socket_path = ""
[monitors.firecracker]
default_memory_mb = 256
[monitors.hvt]
default_memory_mb = 256
[monitors.spt]
default_memory_mb = 256
[monitors.cloud-hypervisor]
default_memory_mb = 256
"#;

#[test]
fn the_defaults_of_0_8_are_accepted_in_silence() {
    let found = loaded(OF_0_8).unwrap();
    assert_eq!(found.warnings, [] as [&str; 0]);
    assert_eq!(found.settings.monitors.len(), 5);
    assert_eq!(found.settings.monitors["qemu"].default_memory_mb, Some(256));
    assert_eq!(found.settings.monitors["qemu"].default_vcpus, Some(1));
    assert!(found.settings.origin.ends_with("config.toml"));
    assert_eq!(found.log_level, Some(LevelFilter::Info));
}

#[test]
fn every_key_of_ours_works() {
    let found = loaded(
        "runtime.delegate = 'crun'\nlog.level = 'debug'\n[monitors.spt]\n\
         uid_range = '100000:65536'\nallow_emulation = false\npath = '/usr/bin/env'\ndata_path = '/usr/share'",
    )
    .unwrap();
    assert_eq!(found.settings.delegate, "crun");
    assert_eq!(found.log_level, Some(LevelFilter::Debug));
    let spt = &found.settings.monitors["spt"];
    assert_eq!((spt.uid_range, spt.allow_emulation), (Some((100_000, 65_536)), Some(false)));
    assert_eq!((spt.path.as_str(), spt.data_path.as_str()), ("/usr/bin/env", "/usr/share"));
}

#[test]
fn what_has_no_effect_is_said() {
    let cases = [
        ("timestamps.enabled = true", "timestamps.enabled: accepted, but"),
        ("log.syslog = true", "log.syslog: accepted, but"),
        ("monitors.spt.vhost = true", "monitors.spt.vhost: accepted, but"),
        ("monitors.qemu.socket_path = '/x'", "monitors.qemu.socket_path: accepted, but"),
        ("extra_binaries.virtiofsd.path = '/x'", "extra_binaries.virtiofsd.path: accepted, but"),
        ("extra_binaries.virtiofsd.options = '-x'", "extra_binaries.virtiofsd.options: accepted, but"),
        ("frob = 1", "unknown key frob"),
        ("runtime.frob = 1", "unknown key runtime.frob"),
        ("monitors.bochs.path = '/x'", "unknown key monitors.bochs"),
        ("monitors.qemu.frob = 1", "unknown key monitors.qemu.frob"),
        ("extra_binaries.frob.path = '/x'", "unknown key extra_binaries.frob"),
    ];
    for (text, wanted) in cases {
        let warnings = loaded(text).unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].contains(wanted), "{text}: {warnings:?}");
    }
}

#[test]
fn bad_values_are_named() {
    let cases = [
        ("[log]\nlevel = 'info\n", "line 2, column 14: "),
        ("a = 1\na = 2", "line 2, column 1: duplicate key"),
        ("runtime = 1", "configuration: runtime: must be a table, not integer"),
        ("runtime.libcontainer = true", "configuration: runtime.libcontainer: containers are always"),
        ("runtime.vAccel = true", "configuration: runtime.vAccel: vAccel is not supported"),
        ("runtime.vAccel = 'no'", "configuration: runtime.vAccel: must be true or false, not string"),
        ("runtime.delegate = 'kata'", "configuration: runtime.delegate: \"kata\": use runc"),
        ("log.level = 'loud'", "configuration: log.level: \"loud\": use debug"),
        ("timestamps.destination = 'x'", "configuration: timestamps.destination: \"x\" is not absolute"),
        ("monitors.qemu.default_memory_mb = 0", "default_memory_mb: 0 is not within"),
        ("monitors.qemu.default_vcpus = -1", "default_vcpus: -1 is not within"),
        ("monitors.qemu.default_vcpus = '1'", "default_vcpus: must be a number, not string"),
        ("monitors.qemu.path = 'qemu'", "monitors.qemu.path: \"qemu\" is not absolute"),
        ("monitors.qemu.path = \"/a\\u0000\"", "monitors.qemu.path: contains a NUL"),
        ("monitors.spt.uid_range = '0:5'", "monitors.spt.uid_range: \"0:5\": use FIRST:COUNT"),
        ("monitors.spt.uid_range = '4294967295:1'", "monitors.spt.uid_range: "),
        ("monitors.spt.uid_range = '1:4294967295'", "monitors.spt.uid_range: "),
        ("monitors.spt.uid_range = '100000'", "monitors.spt.uid_range: "),
        ("monitors.spt.allow_emulation = 1", "allow_emulation: must be true or false, not integer"),
    ];
    for (text, wanted) in cases {
        let message = format!("{:#}", loaded(text).expect_err(text));
        assert!(message.contains(wanted) && !message.contains('\n'), "{text}: {message}");
    }
    assert_eq!(loaded("monitors.spt.uid_range = '1:4294967294'").unwrap().warnings.len(), 0);
}

#[test]
fn only_root_may_have_written_it() {
    let (_dir, path) = file("log.level = 'info'");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(message(&path).ends_with("everybody may write to it; chmod o-w"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    chown(&path, Some(1234), None).unwrap();
    assert!(message(&path).ends_with("belongs to uid 1234, not to root"));
    chown(&path, Some(0), None).unwrap();
    assert!(load(Some(path.as_os_str())).is_ok());
}

#[test]
fn programs_in_a_home_are_refused() {
    let (dir, config) = file("");
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("qemu"), "").unwrap();
    let text = format!("monitors.qemu.path = '{}/qemu'", home.display());
    fs::write(&config, &text).unwrap();
    assert!(load(Some(config.as_os_str())).is_ok());
    chown(&home, Some(1234), None).unwrap();
    assert!(
        message(&config).contains("monitors.qemu.path") && message(&config).contains("belongs to uid 1234")
    );
    chown(&home, Some(0), None).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(message(&config).contains("everybody may write to it"));
    fs::write(&config, text.replace("monitors.qemu.path", "runtime.delegate")).unwrap();
    assert!(message(&config).contains("runtime.delegate"));
}

#[test]
fn other_things_by_that_name() {
    let dir = tempfile::tempdir().unwrap();
    assert!(message(dir.path()).contains("not a regular file"));
    let fifo = dir.path().join("fifo");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(message(&fifo).contains("not a regular file"));
    let (_dir, binary) = file([0xff]);
    assert!(message(&binary).contains("not UTF-8"));
    let (_dir, big) = file(vec![b'#'; (1 << 20) + 1]);
    assert!(message(&big).contains("larger than"));
}

proptest::proptest! {
    #[test]
    fn no_damage_panics_and_every_refusal_is_one_line(
        at in 0_usize..OF_0_8.len(),
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..8),
    ) {
        let mut damaged = OF_0_8.as_bytes().to_vec();
        damaged.splice(at..(at + bytes.len()).min(damaged.len()), bytes);
        if let Err(error) = loaded(&damaged) {
            let text = format!("{error:#}");
            proptest::prop_assert!(!text.contains('\n') && text.len() < 1000, "{:?}", text);
        }
    }
}
