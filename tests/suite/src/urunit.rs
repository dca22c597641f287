//! The file of urunit, as a Linux guest finds it in its initrd. A script plays urunit: it prints what it is given.

use crate::bundle::Bundle;
use crate::image::{KERNEL, LINUX, replaced};
use crate::sandbox::Sandbox;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Prints its words and its file, between which the kernel says nothing any more, and ends the machine.
const SCRIPT: &str = "#!/bin/busybox sh\n/bin/busybox dmesg -n 1\necho \"words: $*\"\necho \"mine: $MINE\"\n\
                      /bin/busybox cat \"$URUNIT_CONFIG\"\n/bin/busybox poweroff -f\n";

type Entry = (&'static str, fn(&Sandbox));

/// Cases of the group `net-linux`, whose kernel they boot.
pub(crate) const CASES: [Entry; 2] = [
    ("urunit-reads-its-file-in-the-archive", |s| file_arrives(s, "cat")),
    ("urunit-reads-its-file-in-front-of-a-packed-archive", |s| file_arrives(s, "gzip -n")),
];

fn file_arrives(s: &Sandbox, pack: &str) {
    let bundle = image(s.bundle("b"), pack);
    let env = json!(["MINE=not the kernel's", "console=tty9", "A_VARIABLE.OF-KUBERNETES=tcp://10.0.0.1:80"]);
    let bundle =
        bundle.with("/process/env", env).with("/process/args", json!(["/urunit", "/app", "two words"]));
    let bundle =
        bundle.with("/process/cwd", json!("/srv")).with("/process/user", json!({"uid": 0, "gid": 7}));
    let said = s.container("a", &bundle).on_bundle("run", &[]).ok().stdout.replace('\r', "");
    let file = "UES\nMINE=not the kernel's\nconsole=tty9\nA_VARIABLE.OF-KUBERNETES=tcp://10.0.0.1:80\nUEE\n\
                UCS\nUID:0\nGID:7\nWD:/srv\nARC:2\nARV:/app\nARV:two words\nUCE\n";
    assert!(said.contains(&format!("words: /app two words\nmine: \n{file}")), "{said}");
}

/// Nothing but busybox and the script beside the kernel.
fn image(bundle: Bundle, pack: &str) -> Bundle {
    let bundle = bundle.unikernel(&[], &replaced(&LINUX, "initrd", "/initrd"));
    let root = bundle.path.join("initrd");
    fs::create_dir_all(root.join("bin")).expect("initrd");
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox");
    fs::write(root.join("urunit"), SCRIPT).expect("script");
    let make = format!(
        "chmod 755 urunit && find . | cpio --quiet -o -H newc -R 0:0 | {pack} > {}",
        bundle.rootfs().join("initrd").display()
    );
    assert!(Command::new("sh").args(["-ec", &make]).current_dir(&root).status().expect("sh").success());
    let linux = std::env::var("LINUX").expect("LINUX: the output of scripts/linux-image.sh");
    fs::copy(Path::new(&linux).join("vmlinuz"), bundle.rootfs().join(KERNEL)).expect("kernel");
    bundle.with("/linux/resources/memory", json!({"limit": 256 << 20}))
}
