//! Image keys that are missing, wrong, or name what must not be reached.

use super::Row;
use crate::bundle::Bundle;
use crate::image::{KERNEL, LINUX, SPT, replaced};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

fn key(bundle: Bundle, name: &'static str, value: &'static str) -> Bundle {
    bundle.keys(&replaced(&SPT, name, value))
}

fn kernel_is(bundle: Bundle, make: impl FnOnce(&std::path::Path)) -> Bundle {
    let path = bundle.rootfs().join(KERNEL);
    fs::remove_file(&path).unwrap();
    make(&path);
    bundle
}

/// On the spt bundle.
pub(super) const ROWS: &[Row] = &[
    ("an-unknown-guest", "unikernelType", |b| key(b, "unikernelType", "toaster")),
    ("an-unknown-monitor", "hypervisor", |b| key(b, "hypervisor", "toaster")),
    ("a-monitor-in-upper-case", "hypervisor", |b| key(b, "hypervisor", "SPT")),
    ("a-guest-that-the-monitor-cannot-run", "pair", |b| key(b, "unikernelType", "linux")),
    ("only-the-guest-is-named", "hypervisor", |b| b.keys(&[("unikernelType", "solo5")])),
    ("no-kernel-is-named", "binary", |b| b.keys(&SPT[..2])),
    ("an-annotation-that-is-bad-base64-of-nothing", "hypervisor", |b| {
        b.annotations(&replaced(&SPT, "hypervisor", "c3B0=====")) // neither a monitor nor base64
    }),
    ("urunc-json-is-no-json", "urunc.json", |b| {
        fs::write(b.rootfs().join("urunc.json"), "{").unwrap();
        b
    }),
    ("urunc-json-is-an-array", "urunc.json", |b| {
        fs::write(b.rootfs().join("urunc.json"), "[]").unwrap();
        b
    }),
    ("urunc-json-is-a-gigabyte", "urunc.json", |b| {
        fs::File::options()
            .write(true)
            .open(b.rootfs().join("urunc.json"))
            .unwrap()
            .set_len(1 << 30)
            .unwrap();
        b
    }),
    ("mountRootfs-is-no-bool", "mountRootfs", |b| key(b, "mountRootfs", "perhaps")),
    ("the-kernel-is-missing", "binary", |b| key(b, "binary", "/.boot/missing")),
    ("the-kernel-is-a-directory", "binary", |b| key(b, "binary", "/.boot")),
    ("the-kernel-is-a-fifo", "binary", |b| {
        kernel_is(b, |path| {
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        })
    }),
    ("the-kernel-is-a-link-out-of-the-image", "binary", |b| {
        kernel_is(b, |path| symlink("/etc/shadow", path).unwrap())
    }),
    ("the-kernel-is-a-relative-link-out-of-the-image", "binary", |b| {
        kernel_is(b, |path| symlink("../../../../../../../../etc/shadow", path).unwrap())
    }),
    ("the-kernel-is-a-loop-of-links", "binary", |b| kernel_is(b, |path| symlink("kernel", path).unwrap())),
    ("the-kernel-path-leaves-the-image", "binary", |b| key(b, "binary", "../../canary/file")),
    ("the-kernel-path-has-dots-inside", "binary", |b| key(b, "binary", "/.boot/../../../canary/file")),
    ("the-kernel-path-has-a-space", "binary", |b| key(b, "binary", "/.boot/kernel -x")),
    ("the-kernel-path-begins-with-a-dash", "binary", |b| key(b, "binary", "-kernel")),
    ("the-kernel-path-is-the-root", "binary", |b| key(b, "binary", "/")),
    ("a-block-image-for-a-guest-without-block-device", "block", |b| {
        fs::write(b.rootfs().join("disk"), [0; 4096]).unwrap();
        key(b, "block", "/disk")
    }),
    ("a-guest-with-a-block-device-without-image", "block", |b| b.spt("block")),
    ("a-block-image-of-an-odd-size", "block", |b| {
        let b = b.spt("block").keys(&replaced(&SPT, "block", "/disk"));
        fs::write(b.rootfs().join("disk"), [0; 513]).unwrap();
        b
    }),
    ("a-block-image-that-is-missing", "block", |b| b.spt("block").keys(&replaced(&SPT, "block", "/disk"))),
    ("a-command-line-of-nine-kilobytes", "command line", |b| {
        b.with("/process/args", json!(["x".repeat(9 * 1024)]))
    }),
    ("an-argument-with-a-nul", "", |b| b.with("/process/args", json!(["a\0b"]))),
    ("a-memory-limit-of-one-mebibyte", "memory", |b| {
        b.with("/linux/resources/memory", json!({"limit": 1 << 20}))
    }),
    ("a-user-namespace", "user", |b| {
        let b = b
            .namespace("user", None)
            .with("/linux/uidMappings", json!([{"containerID": 0, "hostID": 1000, "size": 1}]));
        b.with("/linux/gidMappings", json!([{"containerID": 0, "hostID": 1000, "size": 1}]))
    }),
    ("a-volume", "mounts", |mut b| {
        let volume = json!({"destination": "/data", "type": "bind", "source": "/tmp", "options": ["rbind"]});
        b.config["mounts"].as_array_mut().unwrap().push(volume);
        b.write();
        b
    }),
];

/// On the Linux bundle.
pub(super) const LINUX_ROWS: &[Row] = &[
    ("a-linux-kernel-that-is-text", "binary", |b| {
        fs::write(b.rootfs().join(KERNEL), "#!/bin/sh\n").unwrap();
        b
    }),
    ("an-initrd-that-is-missing", "initrd", |b| b.keys(&replaced(&LINUX, "initrd", "/.boot/missing"))),
    ("an-initrd-that-is-a-link-out-of-the-image", "initrd", |b| {
        symlink("/etc/shadow", b.rootfs().join(".boot/initrd")).unwrap();
        b.keys(&replaced(&LINUX, "initrd", "/.boot/initrd"))
    }),
    ("an-argument-with-a-newline-on-a-kernel-line", "command line", |b| {
        b.with("/process/args", json!(["a\nb"]))
    }),
    ("an-argument-with-a-double-quote-on-a-kernel-line", "command line", |b| {
        b.with("/process/args", json!(["a\"b"]))
    }),
    ("a-linux-guest-in-one-mebibyte", "memory", |b| {
        b.with("/linux/resources/memory", json!({"limit": 1 << 20}))
    }),
    ("the-whole-tree-as-root-file-system", "mountRootfs", |b| {
        b.keys(&replaced(&LINUX, "mountRootfs", "true"))
    }),
];
