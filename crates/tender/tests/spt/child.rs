//! The process that becomes a guest, as container init would: `spt --become-guest JSON`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use serde::{Deserialize, Serialize};
use urunc_plan::launch::{Device, Target, Tender};
use urunc_tender::{Fds, prepare};

/// Argument that selects this role.
pub const ROLE: &str = "--become-guest";

/// What the child is to do.
#[derive(Clone, Serialize, Deserialize)]
pub struct Orders {
    /// The plan; a block device's `file` is opened, a network device is a socket pair end.
    pub plan: Tender,
    /// The image.
    pub kernel: String,
    /// Socket files: own and peer's.
    pub sockets: Option<(String, String)>,
    /// As process 1 of a new pid namespace, user 65534, in this empty root, with SIGTERM blocked.
    pub pid1_in: Option<String>,
    /// What is wrong with this process.
    pub twist: Option<Twist>,
}

/// Something odd, done before `prepare`.
#[derive(Clone, Serialize, Deserialize)]
pub enum Twist {
    /// Seals the mappings whose line in /proc/self/maps has this text; `[v` is what
    /// CONFIG_MSEAL_SYSTEM_MAPPINGS does.
    Seal(String),
    /// Maps a page where the guest's memory is to be.
    Occupy,
    /// Sets READ_IMPLIES_EXEC.
    LegacyPersonality,
    /// Starts a thread.
    Thread,
    /// Closes standard input.
    NoStdin,
    /// Opens read-only disks for writing.
    WritableDisks,
}

/// Never returns: the guest's end is the process's.
pub fn run(orders: &str) -> ! {
    let orders: Orders = serde_json::from_str(orders).unwrap();
    let fds = open(&orders);
    // A descriptor that was forgotten.
    let _: i32 = File::open("/").unwrap().into_raw_fd();
    orders.twist.as_ref().inspect(|twist| apply(twist));
    if let Some(root) = &orders.pid1_in {
        become_first_process(root);
    }
    match prepare(&orders.plan, fds) {
        Ok(ready) => ready.enter(|| drop(std::io::stderr().write_all(b"ready\n"))),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1)
        }
    }
}

fn apply(twist: &Twist) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    let inside = std::ptr::without_provenance_mut(0x80_0000);
    match twist {
        Twist::Seal(what) => seal(what),
        Twist::WritableDisks => {}
        // SAFETY: nothing is mapped there.
        Twist::Occupy => assert_eq!(unsafe { libc::mmap(inside, 4096, 0, flags, -1, 0) }, inside),
        // SAFETY: no memory is involved.
        Twist::LegacyPersonality => assert!(unsafe { libc::personality(0x0040_0000) } >= 0),
        Twist::Thread => drop(std::thread::spawn(std::thread::park)),
        // SAFETY: nobody reads from it.
        Twist::NoStdin => assert_eq!(unsafe { libc::close(0) }, 0),
    }
}

fn open(orders: &Orders) -> Fds {
    let kernel = File::open(&orders.kernel).unwrap().into();
    let kvm = (orders.plan.target == Target::Hvt)
        .then(|| OpenOptions::new().read(true).write(true).open("/dev/kvm").unwrap().into());
    let mut fds = Fds { kernel, kvm, net: Vec::new(), block: Vec::new() };
    for attach in &orders.plan.attach {
        match &attach.device {
            Device::Net { .. } => fds.net.push(socket(orders.sockets.as_ref().unwrap())),
            Device::Block { file, writable, .. } => {
                let writable = *writable || matches!(orders.twist, Some(Twist::WritableDisks));
                fds.block.push(OpenOptions::new().read(true).write(writable).open(file).unwrap().into());
            }
        }
    }
    fds
}

fn socket((own, peer): &(String, String)) -> OwnedFd {
    let socket = UnixDatagram::bind(own).unwrap();
    socket.connect(peer).unwrap();
    socket.into()
}

/// The caller stays outside, tells the pid, and ends as its child does.
fn become_first_process(root: &str) {
    let root = std::ffi::CString::new(root).unwrap();
    // SAFETY: the process has one thread; every pointer is to a live object.
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWPID), 0);
        let pid = libc::fork();
        if pid > 0 {
            // One write: the child says READY on the same pipe at any moment.
            std::io::stderr().write_all(format!("pid {pid}\n").as_bytes()).unwrap();
            let mut status = 0;
            assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
            let code = if libc::WIFSIGNALED(status) {
                128 + libc::WTERMSIG(status)
            } else {
                libc::WEXITSTATUS(status)
            };
            libc::_exit(code);
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        let blocked = libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let root = libc::chroot(root.as_ptr()) + libc::chdir(c"/".as_ptr());
        let user = libc::setgroups(0, std::ptr::null()) + libc::setgid(65534) + libc::setuid(65534);
        assert_eq!((pid, blocked, root, user), (0, 0, 0, 0));
    }
}

fn seal(what: &str) {
    const MSEAL: libc::c_long = 462;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    for line in maps.lines().filter(|line| line.contains(what) && !line.contains("[vsyscall]")) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16).unwrap());
        // SAFETY: sealing changes no content.
        if unsafe { libc::syscall(MSEAL, start, end - start, 0) } != 0 {
            eprintln!("no mseal");
            return;
        }
    }
    eprintln!("sealed");
}
