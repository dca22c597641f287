//! Image keys that are missing, wrong, or name what must not be reached.

use super::Row;
use crate::bundle::Bundle;
use crate::image::{KERNEL, LINUX, SPT, bzimage, replaced};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

fn key(bundle: Bundle, name: &'static str, value: &'static str) -> Bundle {
    bundle.keys(&replaced(&SPT, name, value))
}

fn json_is(bundle: Bundle, content: &[u8]) -> Bundle {
    fs::write(bundle.rootfs().join("urunc.json"), content).unwrap();
    bundle
}

fn kernel_is(bundle: Bundle, make: impl FnOnce(&std::path::Path)) -> Bundle {
    let path = bundle.rootfs().join(KERNEL);
    fs::remove_file(&path).unwrap();
    make(&path);
    bundle
}

/// With keys that say less than is needed, and a kernel that does not say the rest.
fn silent(bundle: Bundle) -> Bundle {
    kernel_is(bundle, |path| fs::write(path, "#!/bin/sh\n").unwrap())
}

/// On the spt bundle.
pub(super) const ROWS: &[Row] = &[
    ("i-45-an-unknown-guest", "unikernelType", |b| key(b, "unikernelType", "toaster")),
    ("i-45-an-unknown-monitor", "hypervisor", |b| key(b, "hypervisor", "toaster")),
    ("i-45-a-monitor-in-upper-case", "hypervisor", |b| key(b, "hypervisor", "SPT")),
    ("i-46-a-kernel-of-another-guest-than-declared", "unikernelType", |b| {
        let keys = replaced(&replaced(&SPT, "hypervisor", "qemu"), "unikernelType", "unikraft");
        kernel_is(b.keys(&keys), |path| fs::write(path, bzimage()).unwrap())
    }),
    ("i-46-a-guest-that-nobody-is-going-to-run", "not supported", |b| key(b, "unikernelType", "nanos")),
    ("i-46-a-monitor-that-nobody-is-going-to-run", "not supported", |b| key(b, "hypervisor", "xen")),
    ("i-46-a-preference-that-is-no-monitor", "annotations.com.urunc.monitor.preference", |b| {
        b.with("/annotations", json!({"com.urunc.monitor.preference": "spt,bochs"}))
    }),
    ("i-46-a-guest-that-the-monitor-cannot-run", "pair", |b| key(b, "unikernelType", "linux")),
    ("i-43-only-the-guest-is-named", "hypervisor", |b| silent(b.keys(&[("unikernelType", "solo5")]))),
    ("i-43-no-kernel-is-named-and-there-is-none", "binary", |b| kernel_is(b.keys(&SPT[..2]), |_| ())),
    ("i-44-an-annotation-that-is-bad-base64-of-nothing", "hypervisor", |b| {
        b.annotations(&replaced(&SPT, "hypervisor", "c3B0=====")) // neither a monitor nor base64
    }),
    ("i-43-only-the-monitor-is-named", "unikernelType", |b| silent(b.keys(&[("hypervisor", "spt")]))),
    ("i-43-only-the-kernel-is-named", "unikernelType", |b| silent(b.keys(&[("binary", "/.boot/kernel")]))),
    ("i-43-only-the-guest-is-annotated", "hypervisor", |b| {
        silent(b.annotations(&[("unikernelType", "solo5")]))
    }),
    ("i-43-only-a-command-line-is-annotated", "unikernelType", |b| {
        silent(b.annotations(&[("cmdline", "x")]))
    }),
    ("i-43-a-path-of-4097-bytes", "binary", |b| {
        b.annotations(&replaced(&SPT, "binary", &format!("/{}", "x".repeat(4096))))
    }),
    ("i-43-a-name-of-68-bytes", "unikernelType", |b| {
        b.annotations(&replaced(&SPT, "unikernelType", &"x".repeat(68)))
    }),
    ("i-44-base64-of-base64-of-a-monitor", "hypervisor", |b| {
        b.annotations(&replaced(&SPT, "hypervisor", "YzNCMA=="))
    }),
    ("i-44-base64-without-its-end", "hypervisor", |b| b.annotations(&replaced(&SPT, "hypervisor", "c3B"))),
    ("i-44-base64-of-a-newline", "hypervisor", |b| b.annotations(&replaced(&SPT, "hypervisor", "c3B0Cg=="))),
    ("i-45-a-guest-in-upper-case", "unikernelType", |b| key(b, "unikernelType", "Solo5")),
    ("i-45-a-guest-with-a-space", "unikernelType", |b| key(b, "unikernelType", "solo5 ")),
    ("i-46-a-solo5-guest-for-spt-on-qemu", "binary", |b| key(b, "hypervisor", "qemu")),
    ("i-46-a-mirage-guest-for-spt-on-qemu", "binary", |b| {
        b.keys(&replaced(&replaced(&SPT, "hypervisor", "qemu"), "unikernelType", "mirage"))
    }),
    ("i-47-urunc-json-is-empty", "urunc.json", |b| json_is(b, b"")),
    ("i-47-urunc-json-without-a-guest", "unikernelType", |b| silent(b.keys(&SPT[1..]))),
    ("i-47-urunc-json-names-a-kernel-of-the-host", "bootKernel", |b| {
        let keys = [&SPT[..], &[("bootKernel", "/boot/vmlinuz")]].concat();
        b.keys(&keys)
    }),
    ("i-47-urunc-json-has-numbers", "urunc.json", |b| {
        json_is(b, br#"{"com.urunc.unikernel.unikernelType": 5}"#)
    }),
    ("i-47-urunc-json-is-a-directory", "urunc.json", |b| {
        fs::remove_file(b.rootfs().join("urunc.json")).unwrap();
        fs::create_dir(b.rootfs().join("urunc.json")).unwrap();
        b
    }),
    ("i-47-urunc-json-is-a-fifo", "urunc.json", |b| {
        let path = b.rootfs().join("urunc.json");
        fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        b
    }),
    ("i-47-urunc-json-is-no-base64", "unikernelType", |b| {
        json_is(b, br#"{"com.urunc.unikernel.unikernelType": "%%%"}"#)
    }),
    ("i-47-urunc-json-is-a-mebibyte-of-brackets", "urunc.json", |b| json_is(b, &vec![b'['; 1 << 20])),
    ("i-47-urunc-json-is-no-json", "urunc.json", |b| {
        fs::write(b.rootfs().join("urunc.json"), "{").unwrap();
        b
    }),
    ("i-47-urunc-json-is-an-array", "urunc.json", |b| {
        fs::write(b.rootfs().join("urunc.json"), "[]").unwrap();
        b
    }),
    ("i-47-urunc-json-is-a-gigabyte", "urunc.json", |b| {
        fs::File::options()
            .write(true)
            .open(b.rootfs().join("urunc.json"))
            .unwrap()
            .set_len(1 << 30)
            .unwrap();
        b
    }),
    ("i-43-mountRootfs-is-no-bool", "mountRootfs", |b| key(b, "mountRootfs", "perhaps")),
    ("i-53-the-kernel-is-missing", "binary", |b| key(b, "binary", "/.boot/missing")),
    ("i-53-the-kernel-is-a-directory", "binary", |b| key(b, "binary", "/.boot")),
    ("i-53-the-kernel-is-a-fifo", "binary", |b| {
        kernel_is(b, |path| {
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        })
    }),
    ("i-53-the-kernel-is-a-link-out-of-the-image", "binary", |b| {
        kernel_is(b, |path| symlink("/etc/shadow", path).unwrap())
    }),
    ("i-53-the-kernel-is-a-relative-link-out-of-the-image", "binary", |b| {
        kernel_is(b, |path| symlink("../../../../../../../../etc/shadow", path).unwrap())
    }),
    ("i-53-the-kernel-is-a-loop-of-links", "binary", |b| {
        kernel_is(b, |path| symlink("kernel", path).unwrap())
    }),
    ("i-53-the-kernel-path-leaves-the-image", "binary", |b| key(b, "binary", "../../canary/file")),
    ("i-53-the-kernel-path-has-dots-inside", "binary", |b| key(b, "binary", "/.boot/../../../canary/file")),
    ("i-53-the-kernel-path-has-a-space", "binary", |b| key(b, "binary", "/.boot/kernel -x")),
    ("i-53-the-kernel-path-begins-with-a-dash", "binary", |b| key(b, "binary", "-kernel")),
    ("i-53-the-kernel-path-is-the-root", "binary", |b| key(b, "binary", "/")),
    ("i-58-a-block-image-for-a-guest-without-block-device", "block", |b| {
        fs::write(b.rootfs().join("disk"), [0; 4096]).unwrap();
        key(b, "block", "/disk")
    }),
    ("i-58-a-guest-with-a-block-device-without-image", "block", |b| b.spt("block")),
    ("i-59-a-block-image-of-an-odd-size", "block", |b| {
        let b = b.spt("block").keys(&replaced(&SPT, "block", "/disk"));
        fs::write(b.rootfs().join("disk"), [0; 513]).unwrap();
        b
    }),
    ("i-59-a-block-image-of-no-bytes", "block", |b| {
        let b = b.spt("block").keys(&replaced(&SPT, "block", "/disk"));
        fs::write(b.rootfs().join("disk"), []).unwrap();
        b
    }),
    ("i-59-a-block-image-that-is-missing", "block", |b| {
        b.spt("block").keys(&replaced(&SPT, "block", "/disk"))
    }),
    ("i-61-a-command-line-of-nine-kilobytes", "command line", |b| {
        b.with("/process/args", json!(["x".repeat(9 * 1024)]))
    }),
    ("i-15-an-argument-with-a-nul", "", |b| b.with("/process/args", json!(["a\0b"]))),
    ("i-26-a-memory-limit-of-one-mebibyte", "memory", |b| {
        b.with("/linux/resources/memory", json!({"limit": 1 << 20}))
    }),
    ("i-22-a-user-namespace", "user", |b| {
        let b = b
            .namespace("user", None)
            .with("/linux/uidMappings", json!([{"containerID": 0, "hostID": 1000, "size": 1}]));
        b.with("/linux/gidMappings", json!([{"containerID": 0, "hostID": 1000, "size": 1}]))
    }),
    ("i-23-a-volume", "mounts", |mut b| {
        let volume = json!({"destination": "/data", "type": "bind", "source": "/tmp", "options": ["rbind"]});
        b.config["mounts"].as_array_mut().unwrap().push(volume);
        b.write();
        b
    }),
];

fn variables(bundle: Bundle, count: usize) -> Bundle {
    let entries: Vec<_> = (0..count).map(|index| format!("V{index}=")).collect();
    bundle.with("/process/env", json!(entries))
}

/// On the Linux bundle.
pub(super) const LINUX_ROWS: &[Row] = &[
    ("i-53-a-linux-kernel-that-is-text", "binary", |b| {
        fs::write(b.rootfs().join(KERNEL), "#!/bin/sh\n").unwrap();
        b
    }),
    ("i-60-an-initrd-that-is-missing", "initrd", |b| b.keys(&replaced(&LINUX, "initrd", "/.boot/missing"))),
    ("i-60-an-initrd-that-is-a-link-out-of-the-image", "initrd", |b| {
        symlink("/etc/shadow", b.rootfs().join(".boot/initrd")).unwrap();
        b.keys(&replaced(&LINUX, "initrd", "/.boot/initrd"))
    }),
    ("i-60-an-initrd-that-is-a-loop-of-links", "initrd", |b| {
        symlink("initrd", b.rootfs().join(".boot/initrd")).unwrap();
        b.keys(&replaced(&LINUX, "initrd", "/.boot/initrd"))
    }),
    ("i-60-an-initrd-of-no-bytes", "initrd", |b| {
        fs::write(b.rootfs().join(".boot/initrd"), []).unwrap();
        b.keys(&replaced(&LINUX, "initrd", "/.boot/initrd"))
    }),
    ("i-59-a-block-image-of-an-odd-size-for-a-machine", "block", |b| {
        fs::write(b.rootfs().join("disk"), [0; 513]).unwrap();
        b.keys(&replaced(&LINUX, "block", "/disk"))
    }),
    ("i-16-33-variables-on-a-kernel-line", "at most", |b| variables(b, 33)),
    ("i-16-1000-variables-on-a-kernel-line", "at most", |b| variables(b, 1000)),
    ("i-15-a-variable-with-a-newline-on-a-kernel-line", "command line", |b| {
        b.with("/process/env", json!(["A=b\nc"]))
    }),
    ("i-15-a-variable-with-a-double-quote-on-a-kernel-line", "command line", |b| {
        b.with("/process/env", json!(["A=b\"c"]))
    }),
    ("i-61-a-kernel-line-of-4096-bytes", "the guest takes at most 2047", |b| {
        b.with("/process/args", json!(["/init", "x".repeat(4096)]))
    }),
    ("i-15-an-argument-with-a-newline-on-a-kernel-line", "command line", |b| {
        b.with("/process/args", json!(["a\nb"]))
    }),
    ("i-15-an-argument-with-a-double-quote-on-a-kernel-line", "command line", |b| {
        b.with("/process/args", json!(["a\"b"]))
    }),
    ("i-26-a-linux-guest-in-one-mebibyte", "memory", |b| {
        b.with("/linux/resources/memory", json!({"limit": 1 << 20}))
    }),
    ("i-46-the-whole-tree-as-root-file-system", "mountRootfs", |b| {
        b.keys(&replaced(&LINUX, "mountRootfs", "true"))
    }),
];
