//! What a hostile monitor would like to reach: a process, memory, a queue and a socket that are not the container's.

use super::{Outcomes, parse};
use crate::bystander::Bystander;
use crate::probe::probe;
use crate::reality::network::Network;
use crate::sandbox::{Sandbox, text};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use urunc_plan::NetFacts;

/// Makes the root a mount of its own, whose holder is in no chroot, and runs a program in it with a terminal and a
/// directory that are left open: as free as root can be.
const FREE: &str = r#"mount --make-rprivate / && mkdir "$0" && mount --rbind / "$0" && cd "$0" && \
    pivot_root . . && umount -l . && cd "$OLDPWD" && exec "$@" 8<>/dev/ptmx 9</"#;

/// All of it; removed when dropped.
pub(super) struct Host<'a> {
    sandbox: &'a Sandbox,
    bystander: Bystander,
    memory: String,
    listener: UnixListener,
}

/// Runs a program to its end and gives what it printed.
fn output(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().expect(program);
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl<'a> Host<'a> {
    /// Everything is open to `uid`, as far as the host is concerned.
    pub(super) fn new(s: &'a Sandbox, uid: u32) -> Self {
        let made = output("ipcmk", &["-M", "4096", "-p", "0666"]);
        let memory = made.split_whitespace().last().expect("an id").to_owned();
        let bystander = Bystander::new(uid);
        let host = Self { sandbox: s, bystander, memory, listener: abstract_listener(&s.tag) };
        host.with_files(|path| {
            std::fs::write(path, "").expect("a file");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).expect("its mode");
        });
        host
    }

    /// POSIX memory, and a message queue, which is a file of a file system of its own.
    fn with_files(&self, act: impl Fn(&Path)) {
        let queues = self.sandbox.dir.join("queues");
        std::fs::create_dir(&queues).expect("a directory");
        output("mount", &["-t", "mqueue", "none", &queues.display().to_string()]);
        for dir in [Path::new("/dev/shm"), &queues] {
            act(&dir.join(&self.sandbox.tag));
        }
        output("umount", &[&queues.display().to_string()]);
        std::fs::remove_dir(&queues).expect("an empty directory");
    }

    /// The word that tells the probe what to try to reach.
    pub(super) fn word(&self, file: &str) -> String {
        format!("probe=escape:{},{},{},{file}", self.bystander.pid(), self.memory, self.sandbox.tag)
    }

    /// What becomes of the tries of root, without a jail but in throw-away mount, host name and network namespaces.
    pub(super) fn without_jail(&self) -> Outcomes {
        let s = self.sandbox;
        let _network = Network(s);
        let namespace = File::open(Network::make(s, &NetFacts::default())).expect("a network namespace");
        let place = s.dir.join("free");
        std::fs::create_dir(&place).expect("a directory");
        let mut command = Command::new("unshare");
        command.args(["-m", "-u", "sh", "-c", FREE]).arg(place.join("root")).arg(probe());
        // The canary is for those inside; any file will do.
        command.args(["probe=quiet", &self.word("/etc/hostname")]).current_dir(&place);
        let tag = s.tag.clone();
        let run = std::thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("the network namespace");
            let _listener = abstract_listener(&tag);
            command.output().expect("unshare")
        });
        let output = run.join().expect("no panic");
        s.reap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        parse(&String::from_utf8_lossy(&output.stdout))
    }

    /// The bystander lives, nobody came to the socket, and the files are what they were.
    pub(super) fn is_untouched(&self) {
        let status = PathBuf::from(format!("/proc/{}/status", self.bystander.pid()));
        assert!(text(&status).contains("State:\tS"), "the bystander does not sleep any more");
        assert!(text(&status).contains("TracerPid:\t0"), "the bystander is traced");
        let came = self.listener.accept().map_err(|error| error.kind());
        assert_eq!(
            came.err(),
            Some(std::io::ErrorKind::WouldBlock),
            "somebody connected to the host's socket"
        );
        assert_eq!(text(&Path::new("/dev/shm").join(&self.sandbox.tag)), "");
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        // A case that failed half-way may have lost some of it.
        let _ = Command::new("ipcrm").args(["-m", &self.memory]).status();
        self.with_files(|path| {
            let _ = std::fs::remove_file(path);
        });
    }
}

/// Listens on a name without a file in the caller's network namespace.
fn abstract_listener(name: &str) -> UnixListener {
    let address = SocketAddr::from_abstract_name(name).expect("a name");
    let listener = UnixListener::bind_addr(&address).expect("a free name");
    listener.set_nonblocking(true).expect("a socket");
    listener
}
