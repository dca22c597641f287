//! What the monitor is, against the plan.

use super::network::Network;
use crate::container::{Container, namespace};
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use urunc_plan::LaunchPlan;
use urunc_plan::capabilities::mask;
use urunc_plan::launch::{Exec, Port, Program, Target};

/// What disagrees, in words.
#[derive(Default)]
pub(super) struct Differences(Vec<String>);

/// Names of `/proc/PID/limits`, proc_pid_limits(5).
const LIMITS: [(&str, &str); 16] = [
    ("RLIMIT_AS", "Max address space"),
    ("RLIMIT_CORE", "Max core file size"),
    ("RLIMIT_CPU", "Max cpu time"),
    ("RLIMIT_DATA", "Max data size"),
    ("RLIMIT_FSIZE", "Max file size"),
    ("RLIMIT_LOCKS", "Max file locks"),
    ("RLIMIT_MEMLOCK", "Max locked memory"),
    ("RLIMIT_MSGQUEUE", "Max msgqueue size"),
    ("RLIMIT_NICE", "Max nice priority"),
    ("RLIMIT_NOFILE", "Max open files"),
    ("RLIMIT_NPROC", "Max processes"),
    ("RLIMIT_RSS", "Max resident set"),
    ("RLIMIT_RTPRIO", "Max realtime priority"),
    ("RLIMIT_RTTIME", "Max realtime timeout"),
    ("RLIMIT_SIGPENDING", "Max pending signals"),
    ("RLIMIT_STACK", "Max stack size"),
];

impl Differences {
    pub(super) fn add(&mut self, line: String) {
        self.0.push(line);
    }

    pub(super) fn same(&mut self, what: &str, seen: &Value, planned: &Value) {
        if seen != planned {
            self.add(format!("{what}: reality is {seen}, plan says {planned}"));
        }
    }

    /// Fails with everything that disagreed.
    pub(super) fn none(&self) {
        assert!(self.0.is_empty(), "{:#?}", self.0);
    }

    pub(super) fn program(&mut self, report: &Value, program: &Program) {
        self.same("argv", &report["argv"], &json!(program.args));
        self.same("environment", &report["env"], &json!(program.env));
        // Not every monitor may ask for it.
        if let Some(directory) = report.get("cwd") {
            self.same("working directory", directory, &json!(program.cwd));
        }
        let open: Vec<&Value> = report["fds"].as_array().unwrap().iter().map(|fd| &fd["fd"]).collect();
        let planned: Vec<usize> = (0..3 + program.fds.len()).collect();
        self.same("descriptors", &json!(open), &json!(planned));
    }

    pub(super) fn identity(&mut self, plan: &LaunchPlan, c: &Container<'_>) {
        let planned = &plan.identity;
        let four = |id: u32| [id; 4].map(|id| id.to_string()).join(" ");
        // The kernel sorts them.
        let mut groups = planned.groups.clone();
        groups.sort_unstable();
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        let mut expected = vec![
            ("Uid", four(planned.uid)),
            ("Gid", four(planned.gid)),
            ("Groups", groups.join(" ")),
            ("Umask", format!("{:04o}", planned.umask)),
            ("NoNewPrivs", u8::from(planned.no_new_privs).to_string()),
            ("Seccomp", if plan.seccomp.is_empty() { "0" } else { "2" }.to_owned()),
            ("Seccomp_filters", plan.seccomp.len().to_string()),
        ];
        let sets = &planned.capability_sets;
        expected.extend(
            [
                ("CapInh", &sets.inheritable),
                ("CapPrm", &sets.permitted),
                ("CapEff", &sets.effective),
                ("CapBnd", &sets.bounding),
                ("CapAmb", &sets.ambient),
            ]
            .map(|(set, names)| (set, format!("{:016x}", mask(names)))),
        );
        for (field, value) in expected {
            self.same(field, &json!(c.status_field(field)), &json!(value));
        }
    }

    pub(super) fn limits(&mut self, plan: &LaunchPlan, c: &Container<'_>) {
        if let Some(value) = plan.identity.oom_score_adj {
            self.same("oom_score_adj", &json!(c.proc("oom_score_adj").trim_end()), &json!(value.to_string()));
        }
        let limits = c.proc("limits");
        let number = |limit: u64| if limit == u64::MAX { "unlimited".to_owned() } else { limit.to_string() };
        for limit in &plan.identity.rlimits {
            let (_, name) = LIMITS.iter().find(|(kind, _)| *kind == limit.kind).unwrap();
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            let seen: Vec<&str> = line.split_whitespace().take(2).collect();
            self.same(&limit.kind, &json!(seen), &json!([number(limit.soft), number(limit.hard)]));
        }
    }

    /// The built-in monitor keeps standard input and output, its devices, an epoll and a timer descriptor, and on hvt
    /// the guest's processor.
    pub(super) fn descriptors(&mut self, plan: &LaunchPlan, c: &Container<'_>) {
        let Exec::Tender(tender) = &plan.exec else { return };
        let open: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", c.pid()))
            .unwrap()
            .flatten()
            .filter(|entry| !matches!(entry.file_name().to_str(), Some("0" | "1" | "2")))
            .map(|entry| std::fs::read_link(entry.path()).unwrap().display().to_string())
            .collect();
        let count = |part: &str| open.iter().filter(|target| target.contains(part)).count();
        let nets =
            tender.attach.iter().filter(|a| matches!(a.device, urunc_plan::launch::Device::Net { .. }));
        let nets = nets.count();
        let blocks = tender.attach.len() - nets;
        let processors = usize::from(tender.target == Target::Hvt);
        let seen = (count("[eventpoll]"), count("[timerfd]"), count("kvm-vcpu"), count("/dev/net/tun"));
        self.same("descriptors", &json!(seen), &json!((1, 1, processors, nets)));
        self.same("number of descriptors", &json!(open.len()), &json!(2 + processors + nets + blocks));
    }

    pub(super) fn namespaces(&mut self, plan: &LaunchPlan, c: &Container<'_>) {
        for entry in &plan.namespaces.entries {
            let kind = serde_json::to_value(entry.kind).unwrap();
            let link = match kind.as_str().unwrap() {
                "network" => "net",
                "mount" => "mnt",
                other => other,
            };
            let own = c.namespace(link);
            if let Some(path) = &entry.path {
                let joined = format!("{link}:[{}]", std::fs::metadata(path).unwrap().ino());
                self.same(link, &json!(own), &json!(joined));
            } else if own == namespace("self", link) {
                self.add(format!("namespace: {link} is the host's"));
            }
        }
        let planned = &plan.namespaces;
        let names = [("kernel/hostname", &planned.hostname), ("kernel/domainname", &planned.domainname)];
        let names = names.iter().filter_map(|(file, value)| Some((*file, value.as_deref()?)));
        for (file, value) in names.chain(planned.sysctl.iter().map(|(f, v)| (f.as_str(), v.as_str()))) {
            let seen = Command::new("nsenter")
                .args(["-n", "-i", "-u", "-t", &c.pid().to_string(), "cat", &format!("/proc/sys/{file}")])
                .output()
                .unwrap();
            self.same(file, &json!(String::from_utf8_lossy(&seen.stdout).trim_end()), &json!(value));
        }
        let offsets = c.proc("timens_offsets");
        for (clock, seconds, nanoseconds) in &planned.time_offsets {
            let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let line = [clock.clone(), seconds.to_string(), nanoseconds.to_string()];
            if !offsets.lines().any(|seen| words(seen) == line) {
                self.add(format!("time namespace: {line:?} is not in {offsets:?}"));
            }
        }
    }

    /// The tap, its owner record, and the redirection both ways or the rule of the static mode.
    pub(super) fn network(&mut self, plan: &LaunchPlan, c: &Container<'_>) {
        let links = Network::links(c.sandbox);
        let Some(tap) = &plan.net else {
            if links.iter().any(|line| line.contains("tun up") || line.contains("queue ingress")) {
                self.add(format!("network: nothing is planned, but there is {links:#?}"));
            }
            return;
        };
        let redirected = [&tap.device, &tap.name].into_iter().filter(|_| tap.port == Port::Redirect);
        for device in redirected {
            for part in ["queue ingress", "filter u32"] {
                if !links.iter().any(|line| line.contains(part) && line.ends_with(&format!(" on {device}"))) {
                    self.add(format!("network: no {part} on {device}: {links:#?}"));
                }
            }
        }
        if tap.port != Port::Redirect
            && !links.iter().any(|line| line.contains("rule in chain postrouting of table urunc-nat"))
        {
            self.add(format!("network: no rule is there: {links:#?}"));
        }
        // The alias is the owner record: whatever its form, it names the container.
        let device = format!("device {} tun up mtu={} alias=", tap.name, tap.mtu);
        if !links.iter().any(|line| line.contains(&device) && line.contains(&c.id)) {
            self.add(format!("network: no {device} that names its owner {}: {links:#?}", c.id));
        }
    }
}
