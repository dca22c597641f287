//! The flags of every command, as data. Names, value words and arities are runc's where runc has the flag.

/// One flag.
#[derive(Debug, PartialEq, Eq)]
pub struct Flag {
    /// Name after `--`.
    pub long: &'static str,
    /// Name after `-`.
    pub short: Option<char>,
    /// Placeholder of its value; `None` for a switch.
    pub value: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
}

const fn switch(long: &'static str, help: &'static str) -> Flag {
    Flag { long, short: None, value: None, help }
}
const fn takes(long: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { long, short: None, value: Some(value), help }
}
impl Flag {
    const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }
}

/// Flags before the command.
pub static GLOBAL: &[Flag] = &[
    switch("debug", "log at debug level"),
    takes("log", "FILE", "write log lines to FILE (default: stderr)"),
    takes("log-format", "FORMAT", "text or json (default: text)"),
    takes("root", "DIR", "directory of all state (default: /run/urunc)"),
    switch("systemd-cgroup", "cgroups made by systemd"),
    takes("cgroup-manager", "NAME", "cgroupfs or systemd"),
    takes("rootless", "MODE", "true, false or auto (default: auto)"),
    takes("criu", "FILE", "accepted for compatibility with runc, unused"),
];

/// Understood by the program and by every command.
pub static ANYWHERE: &[Flag] = &[switch("help", "show help").short('h')];

/// Understood by the program only.
pub static VERSION: &[Flag] = &[switch("version", "print the version").short('v')];

const BUNDLE: Flag = takes("bundle", "DIR", "the bundle (default: current directory)").short('b');
const CONSOLE: Flag = takes("console-socket", "SOCKET", "send the terminal to this socket");
const PID_FILE: Flag = takes("pid-file", "FILE", "write the process id to FILE");
const DETACH: Flag = switch("detach", "return as soon as the process runs").short('d');
const NO_PIVOT: Flag = switch("no-pivot", "accepted, without effect: the private root needs a pivot");
const NO_SUBREAPER: Flag = switch("no-subreaper", "do not adopt orphans of the container");
const PRESERVE_FDS: Flag = takes("preserve-fds", "N", "pass N more descriptors, from 3 on (default: 0)");

/// `create`, and the first part of `run`.
pub static CREATE: &[Flag] = &[
    BUNDLE,
    CONSOLE,
    PID_FILE,
    takes("pidfd-socket", "SOCKET", "send a pidfd of the process to this socket"),
    NO_PIVOT,
    switch("no-new-keyring", "do not make a new session keyring"),
    PRESERVE_FDS,
];

/// `run`, beside [`CREATE`].
pub static RUN: &[Flag] = &[DETACH, switch("keep", "keep the container after its exit"), NO_SUBREAPER];

/// `kill`.
pub static KILL: &[Flag] = &[switch("all", "signal every process of the container").short('a')];

/// `delete`.
pub static DELETE: &[Flag] =
    &[switch("force", "kill it if it runs; success if it does not exist").short('f')];

/// `list` and `ps`.
pub static FORMAT: &[Flag] = &[takes("format", "FORMAT", "table or json (default: table)").short('f')];

/// `list`, beside [`FORMAT`].
pub static QUIET: &[Flag] = &[switch("quiet", "container ids only").short('q')];

/// `spec`.
pub static SPEC: &[Flag] = &[
    takes("bundle", "DIR", "write it there (default: current directory)").short('b'),
    switch("rootless", "for a container without root; not supported"),
];

/// `plan`.
pub static PLAN: &[Flag] = &[
    BUNDLE,
    switch("json", "the plan as JSON"),
    takes("host", "FILE", "host facts from FILE instead of this host"),
    takes("net", "FILE", "network facts from FILE"),
    takes("request", "FILE", "request from FILE instead of a bundle"),
];

/// `doctor`.
pub static DOCTOR: &[Flag] = &[switch("security", "what this host adds to or takes from isolation")];

/// `exec`.
pub static EXEC: &[Flag] = &[
    CONSOLE,
    takes("cwd", "DIR", "working directory"),
    takes("env", "NAME=VALUE", "set a variable").short('e'),
    switch("tty", "with a terminal").short('t'),
    takes("user", "UID[:GID]", "user").short('u'),
    takes("additional-gids", "GID", "supplementary group").short('g'),
    takes("process", "FILE", "process.json").short('p'),
    DETACH,
    PID_FILE,
    takes("pidfd-socket", "SOCKET", "send a pidfd of the process to this socket"),
    takes("process-label", "LABEL", "SELinux label"),
    takes("apparmor", "PROFILE", "AppArmor profile"),
    switch("no-new-privs", "set no_new_privs"),
    takes("cap", "NAME", "add a capability").short('c'),
    PRESERVE_FDS,
    takes("cgroup", "PATH", "run in this sub-cgroup"),
    switch("ignore-paused", "also in a paused container"),
    switch("no-subreaper", "accepted for compatibility with runc"),
];

/// `update`.
pub static UPDATE: &[Flag] = &[
    takes("resources", "FILE", "limits as JSON; - is standard input").short('r'),
    takes("blkio-weight", "N", "block I/O weight"),
    takes("cpu-period", "USEC", "CFS period"),
    takes("cpu-quota", "USEC", "CFS quota"),
    takes("cpu-burst", "USEC", "CFS burst"),
    takes("cpu-share", "N", "CPU shares"),
    takes("cpu-rt-period", "USEC", "real-time period"),
    takes("cpu-rt-runtime", "USEC", "real-time runtime"),
    takes("cpu-idle", "N", "SCHED_IDLE"),
    takes("cpuset-cpus", "LIST", "CPUs"),
    takes("cpuset-mems", "LIST", "memory nodes"),
    takes("kernel-memory", "BYTES", "obsolete"),
    takes("kernel-memory-tcp", "BYTES", "obsolete"),
    takes("memory", "BYTES", "memory limit"),
    takes("memory-reservation", "BYTES", "soft limit"),
    takes("memory-swap", "BYTES", "memory and swap together; -1 is no limit"),
    takes("pids-limit", "N", "number of tasks"),
    takes("l3-cache-schema", "TEXT", "Intel RDT cache schema"),
    takes("mem-bw-schema", "TEXT", "Intel RDT bandwidth schema"),
];

/// `events`.
pub static EVENTS: &[Flag] = &[
    takes("interval", "TIME", "between two samples (default: 5s)"),
    switch("stats", "one sample, then exit"),
];

/// Common to `checkpoint` and `restore`.
pub static SNAPSHOT: &[Flag] = &[
    takes("image-path", "DIR", "directory of the image"),
    takes("work-path", "DIR", "directory of work files"),
    switch("tcp-established", "allow open connections"),
    switch("ext-unix-sk", "allow external sockets"),
    switch("shell-job", "allow shell jobs"),
    switch("lazy-pages", "userfaultfd"),
    switch("file-locks", "allow file locks"),
    takes("manage-cgroups-mode", "MODE", "soft, full or strict"),
    takes("empty-ns", "NAME", "namespace to leave empty"),
    switch("auto-dedup", "deduplicate"),
];

/// `checkpoint`, beside [`SNAPSHOT`].
pub static CHECKPOINT: &[Flag] = &[
    takes("parent-path", "DIR", "earlier image"),
    switch("leave-running", "do not stop it"),
    takes("status-fd", "FD", "written when ready"),
    takes("page-server", "ADDRESS:PORT", "page server"),
    switch("pre-dump", "memory only"),
];

/// `restore`, beside [`SNAPSHOT`].
pub static RESTORE: &[Flag] = &[
    CONSOLE,
    BUNDLE,
    DETACH,
    PID_FILE,
    NO_SUBREAPER,
    NO_PIVOT,
    takes("lsm-profile", "TYPE:NAME", "profile"),
    takes("lsm-mount-context", "TEXT", "mount context"),
];
