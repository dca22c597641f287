//! A: block devices and disk images that an image chooses.

use super::descriptors::report;
use super::kinds::on;
use super::qmp::{Qmp, real};
use super::{Entry, lives_or_is_refused, monitor_for_all, nothing_left};
use crate::bad_input::one_line;
use crate::bundle::Bundle;
use crate::command::{self, until};
use crate::harness::Case;
use crate::image::{HVT, LINUX, SPT, replaced};
use crate::sandbox::{Sandbox, text};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("a-07-layerless-image", layerless),
    ("a-12-disk-format-confusion-on-spt", |s| formats(s, spt_reads_raw)),
    ("a-12-disk-format-confusion-on-hvt", |s| formats(s, hvt_reads_raw)),
    ("a-12-disk-format-confusion-on-qemu", |s| formats(s, qemu_reads_raw)),
    ("a-12-disk-format-confusion-on-firecracker", |s| {
        formats(s, |s, name, disk| told_as_raw(s, ("firecracker", "/drives/0"), (name, disk)));
    }),
    ("a-12-disk-format-confusion-on-cloud-hypervisor", |s| {
        formats(s, |s, name, disk| told_as_raw(s, ("cloud-hypervisor", "/disk"), (name, disk)));
    }),
];

/// A mount of the case; gone when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(words: &[&str], target: &Path) -> Self {
        fs::create_dir_all(target).expect("mount point");
        let mut command = Command::new("mount");
        command.args(words).arg(target);
        assert!(command.status().expect("mount").success(), "{command:?}");
        Self(target.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(&self.0).status().expect("umount").success());
    }
}

/// Puts `mountRootfs` into the image and asks for it, whatever the root file system is mounted from.
fn layerless(s: &Sandbox) {
    let place = |name: &str| s.dir.join("bundles").join(name).join("rootfs").display().to_string();
    let bundles = ["plain", "bind", "overlay", "loop"].map(|name| s.bundle(name).linux());
    // The ledger looks before the mounts are there, and when they are gone.
    s.run(["list", "-q"]).ok();
    let tree = |name: &str| s.dir.join("trees").join(name);
    let tmpfs = Mounted::new(&["-t", "tmpfs", "tmpfs"], &tree("tmpfs"));
    for name in ["upper", "work"] {
        fs::create_dir(tree("tmpfs").join(name)).expect("directory");
    }
    let disk = s.dir.join("disk");
    fs::File::create(&disk).expect("disk").set_len(4 << 20).expect("disk");
    assert!(Command::new("mkfs.ext4").arg("-q").arg(&disk).status().expect("mkfs.ext4").success());
    let disk_mount = Mounted::new(&["-o", "loop", &disk.display().to_string()], &tree("loop"));
    copy(&bundles[0].rootfs(), &tree("loop").join("below"));
    copy(&bundles[0].rootfs(), &tree("bind"));
    let options = |name: &str| tree("tmpfs").join(name).display().to_string();
    let overlay =
        format!("lowerdir={},upperdir={},workdir={}", place("plain"), options("upper"), options("work"));
    let mounts = [
        Mounted::new(&["--bind", &tree("bind").display().to_string()], &bundles[1].rootfs()),
        Mounted::new(&["-t", "overlay", "-o", &overlay, "overlay"], &bundles[2].rootfs()),
        Mounted::new(&["--bind", &tree("loop").join("below").display().to_string()], &bundles[3].rootfs()),
    ];
    assert_eq!(
        block_devices(
            s,
            Command::new("dd").arg(format!("if={}", device(&tree("loop")))).args(["count=0", "status=none"])
        ),
        1
    );
    for bundle in bundles {
        let bundle = bundle.keys(&replaced(&LINUX, "mountRootfs", "true"));
        let path = bundle.path.display().to_string();
        let (command, _) = s.command(["create", "--bundle", &path, &s.id("a")]);
        let mut with_settings = Command::new(command.get_program());
        with_settings.args(command.get_args()).env("URUNC_CONFIG_FILE", &s.settings);
        assert_eq!(block_devices(s, &with_settings), 0, "{path}: a block device was opened");
        one_line(s, &s.container("a", &bundle).create(), "mountRootfs");
    }
    drop((mounts, disk_mount, tmpfs));
    nothing_left(s);
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.expect("cp").success());
}

/// The block device that a file system is on.
fn device(mount: &Path) -> String {
    let output = Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(mount).output().expect("findmnt");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// How many calls of a program, or of its children, had a descriptor of a block device.
fn block_devices(s: &Sandbox, program: &Command) -> usize {
    let trace = s.dir.join("trace");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-yy", "-o"]).arg(&trace).arg(program.get_program()).args(program.get_args());
    traced.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command::run(&mut traced, &s.dir.join("traced"));
    let calls = text(&trace);
    assert!(calls.contains("exited with"), "{calls}");
    calls.lines().filter(|line| line.contains("open") && line.contains("<block ")).count()
}

/// Headers of other formats, each of which names the canary as where its data is.
fn disguises(canary: &str) -> Vec<(&'static str, Vec<u8>)> {
    let sectors = |header: &[u8]| {
        let mut disk = header.to_vec();
        disk.resize(1 << 16, 0);
        disk
    };
    let be = |words: &[u32]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
    // Version 2: backing file at 1024, clusters of 64 KiB, one mebibyte, tables at 64 KiB.
    let length = u32::try_from(canary.len()).expect("short");
    let header = [2, 0, 1024, length, 16, 0, 1 << 20, 0, 1, 0, 1 << 16, 0, 1 << 16, 1, 0, 0, 0];
    let mut qcow2 = sectors(&[b"QFI\xfb".as_slice(), &be(&header)].concat());
    qcow2[1024..1024 + canary.len()].copy_from_slice(canary.as_bytes());
    let vmdk = format!(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 128 FLAT \"{canary}\" 0\n"
    );
    let json =
        format!("json:{{\"driver\":\"raw\",\"file\":{{\"driver\":\"file\",\"filename\":\"{canary}\"}}}}");
    vec![
        ("qcow2", qcow2),
        ("vmdk", sectors(vmdk.as_bytes())),
        ("vhdx", sectors(b"vhdxfile")),
        ("vpc", sectors(b"conectix")),
        ("json", sectors(json.as_bytes())),
    ]
}

/// Each disguise as the disk of an image; a guest could as well have written it there.
fn formats(s: &Sandbox, read: fn(&Sandbox, &str, &[u8])) {
    s.run(["list", "-q"]).ok();
    for (name, disk) in disguises(&s.dir.join("canary/file").display().to_string()) {
        read(s, name, &disk);
        nothing_left(s);
    }
}

fn spt_reads_raw(s: &Sandbox, name: &str, disk: &[u8]) {
    solo5_reads_raw(s, &s.bundle(name).spt("block").keys(&replaced(&SPT, "block", "/disk")), (name, disk));
}

fn hvt_reads_raw(s: &Sandbox, name: &str, disk: &[u8]) {
    solo5_reads_raw(s, &s.bundle(name).hvt("block").keys(&replaced(&HVT, "block", "/disk")), (name, disk));
}

/// The guest prints the first byte and the size that it sees.
fn solo5_reads_raw(s: &Sandbox, bundle: &Bundle, (name, disk): (&str, &[u8])) {
    fs::write(bundle.rootfs().join("disk"), disk).expect("disk");
    let c = s.container(name, bundle);
    c.create().ok();
    let output = s.last_output().with_extension("out");
    c.start().ok();
    until("the guest ends", || text(&output).contains("block ok"));
    let said = text(&output);
    assert!(said.contains(&format!("storage of {} bytes", disk.len())), "{said}");
    assert!(said.contains(&format!("first byte {:#04x}", disk[0])), "{said}");
    c.delete_force().ok();
}

/// The stand-in takes no disk whose format would be guessed, and says at which place how long the one is that it got.
fn told_as_raw(s: &Sandbox, (monitor, place): (&str, &str), (name, disk): (&str, &[u8])) {
    monitor_for_all(s);
    let keys = [&replaced(&LINUX, "hypervisor", monitor)[..], &[("block", "/disk")]].concat();
    let bundle = on(s.bundle(name), monitor).keys(&keys);
    fs::write(bundle.rootfs().join("disk"), disk).expect("disk");
    let c = s.container(name, &bundle);
    c.create().ok();
    let output = s.last_output();
    c.start().ok();
    let told = report(&output)["machine"].pointer(place).cloned();
    assert_eq!(told, Some(json!({"bytes": disk.len(), "readonly": false})), "{name}");
    c.delete_force().ok();
}

/// QEMU says how it reads the disk, and what stands behind it.
fn qemu_reads_raw(s: &Sandbox, name: &str, disk: &[u8]) {
    let bundle: Bundle = real(s, name).keys(&replaced(&LINUX, "block", "/disk"));
    fs::write(bundle.rootfs().join("disk"), disk).expect("disk");
    let lived = lives_or_is_refused(s, &bundle, "", |pid| {
        let block = Qmp::take(pid).ask("query-block");
        let seen = &block[0]["inserted"]["image"];
        assert_eq!(seen["format"], "raw", "{block}");
        assert_eq!(seen["virtual-size"], disk.len(), "{block}");
        assert!(seen.get("backing-filename").is_none() && seen.get("backing-image").is_none(), "{block}");
        assert_eq!(block.as_array().map(Vec::len), Some(1), "{block}");
    });
    assert!(lived, "{name}");
}
