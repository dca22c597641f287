//! The door of this crate: request, host and network in, one launch plan or one refusal out.

use std::collections::BTreeMap;

use crate::attach::{self, Connection};
use crate::error::excerpt;
use crate::guest::Boot;
use crate::launch::{
    Attach, Console, DeviceRule, Filter, Identity, LaunchPlan, Memory, Mode, Notice, Root, Tap,
};
use crate::machine::{Acceleration, BootProtocol, Machine};
use crate::memory::{self, Bounds};
use crate::monitor::Device;
use crate::negotiate::{self, Pair};
use crate::settings::MonitorSettings;
use crate::{
    HostFacts, NetFacts, PLAN_VERSION, PlanError, Request, cgroup, command, devices, jail, mounts,
    namespaces, network, provenance, seccomp,
};

/// State annotation that says who executes the guest.
pub const ACCELERATION: &str = "com.urunc.state.acceleration";

/// Decides the launch. Without network facts it is the check at `create`: the result is complete but for what depends
/// on the network.
///
/// # Errors
/// Everything that can be refused is refused here, naming the input to change.
pub fn plan(req: &Request, host: &HostFacts, net: Option<&NetFacts>) -> Result<LaunchPlan, PlanError> {
    let pair = negotiate::pair(req)?;
    negotiate::kernel(req, host, pair.boot)?;
    let settings = req.settings.monitors.get(pair.monitor.name()).cloned().unwrap_or_default();
    let (args, mut notices) = words(req)?;
    let (acceleration, emulated) = accelerate(pair, host, &settings)?;
    notices.extend(emulated);
    notices.extend(unused(req, pair));
    let memory = split(req, pair, acceleration, &settings)?;
    let (identity, notice) = jail::identity(req, host, (pair.monitor.name(), pair.boot))?;
    notices.extend(notice);
    if memory.guest_mib == pair.monitor.offers().most_ram_mib {
        let text = format!("{} gives a guest at most {} MiB", pair.monitor.name(), memory.guest_mib);
        notices.push(Notice { warn: false, text });
    }
    let tap = net.map(|net| connect(req, net, pair, &identity)).transpose()?.flatten();
    notices.extend(net.zip(tap.as_ref()).and_then(|(net, tap)| network::left_out(net, tap)));
    let machine = machine(req, host, pair, &args)?;
    let machine = Machine {
        cmdline: pair.guest.cmdline(&boot(req, &args, tap.as_ref()))?,
        memory_mib: memory.guest_mib,
        vcpus: vcpus(pair, &settings)?,
        acceleration,
        tap: tap.as_ref(),
        attach: manifest(req, net.map_or(Connection::Unknown, |_| Connection::Known(tap.as_ref())))?,
        ..machine
    };
    let exec = pair.monitor.render(&machine);
    let nodes = pair.monitor.devices(acceleration);
    let mounts = if pair.boot == BootProtocol::Program {
        let (mounts, notice) = mounts::apply(req)?;
        notices.extend(notice);
        mounts
    } else {
        notices.extend(mounts::check(req)?);
        notices.extend(devices::check(req)?);
        Vec::new()
    };
    let (seccomp, notice) = filters(req, host, pair)?;
    notices.extend(notice);
    let root = jail::root(req, host, pair.boot, &nodes, mounts)?;
    let mut plan = LaunchPlan {
        version: PLAN_VERSION,
        guest: pair.guest.name().to_owned(),
        monitor: pair.monitor.name().to_owned(),
        mode: mode(pair),
        memory,
        namespaces: namespaces::plan(req, pair.boot, &identity)?,
        cgroup: cgroup::plan(req, host, &rules(req, &nodes, &root))?,
        root,
        identity,
        seccomp,
        exec,
        net: tap,
        console: req.terminal.then_some(Console { size: req.console_size }),
        notices,
        annotations: annotations(acceleration),
        sources: BTreeMap::new(),
    };
    plan.sources = provenance::sources(req, host, &plan);
    Ok(plan)
}

/// Init stays where the monitor cannot be the container's process alone.
fn mode(pair: Pair) -> Mode {
    let (guest, monitor) = (pair.guest, pair.monitor);
    match monitor.supervised() {
        None => Mode::Direct { why: format!("{} needs nothing beside it", monitor.name()) },
        Some(why) => Mode::Supervised { why: why.to_owned(), stop: guest.stop(), status: guest.statuses() },
    }
}

fn words(req: &Request) -> Result<(Vec<String>, Vec<Notice>), PlanError> {
    let (args, notice) = command::words(req)?;
    Ok((args, notice.into_iter().collect()))
}

/// Who executes the guest, and a warning when it is not the CPU.
fn accelerate(
    pair: Pair,
    host: &HostFacts,
    settings: &MonitorSettings,
) -> Result<(Acceleration, Option<Notice>), PlanError> {
    use crate::input::KvmFacts;
    if !pair.monitor.accelerated() {
        return Ok((Acceleration::None, None));
    }
    let why = match host.kvm {
        KvmFacts::Usable => return Ok((Acceleration::Kvm, None)),
        KvmFacts::Emulated => "/dev/kvm only emulates instructions",
        KvmFacts::Absent => "/dev/kvm cannot be opened",
        KvmFacts::Unprobed => "/dev/kvm was not probed",
    };
    let name = pair.monitor.name();
    if settings.allow_emulation == Some(false) {
        let why = format!("{why}, and monitors.{name}.allow_emulation is false");
        return Err(PlanError::Host { why });
    }
    let text = format!("{name} emulates the guest, which is slow: {why}");
    Ok((Acceleration::Emulation, Some(Notice { warn: true, text })))
}

/// What the request says and this pair has no use for.
fn unused(req: &Request, pair: Pair) -> Vec<Notice> {
    let guest = pair.guest.name();
    let mut texts = Vec::new();
    if !req.image.version.is_empty() {
        texts.push(format!("unikernelVersion {} has no meaning for {guest}", excerpt(&req.image.version)));
    }
    if !req.image.block_mount_point.is_empty() && !pair.guest.uses_mount_point() {
        let path = excerpt(&req.image.block_mount_point);
        texts.push(format!("blkMntPoint {path} has no meaning for {guest}"));
    }
    let solo5 = [("solo5NetDev", &req.image.solo5_net), ("solo5BlkDev", &req.image.solo5_block)];
    for (key, value) in solo5 {
        if !value.is_empty() && pair.boot != BootProtocol::Solo5Spt {
            texts.push(format!("{key} {} has no meaning for {guest}", excerpt(value)));
        }
    }
    if let Some(label) = req.selinux.as_deref().filter(|label| !label.is_empty()) {
        texts.push(format!("process.selinuxLabel {} is not applied", excerpt(label)));
    }
    texts.into_iter().map(|text| Notice { warn: false, text }).collect()
}

fn split(
    req: &Request,
    pair: Pair,
    acceleration: Acceleration,
    settings: &MonitorSettings,
) -> Result<Memory, PlanError> {
    let limit = memory::limit(&req.resources)?;
    if pair.boot == BootProtocol::Program {
        return Ok(Memory { guest_mib: 0, overhead_bytes: 0, limit_bytes: limit });
    }
    let kernel = req.kernel.as_ref();
    let image = if let Some(image) = manifest_of(req) {
        // A Solo5 image says where it ends.
        image.end
    } else {
        // A Linux kernel unpacks itself to two or three times its size, and its initrd beside the packed form.
        let (kernel, initrd) = (kernel.map_or(0, |facts| facts.bytes), req.initrd_bytes.unwrap_or(0));
        kernel.saturating_mul(3).saturating_add(initrd.saturating_mul(2))
    };
    let bounds = Bounds {
        least: image.saturating_add(pair.guest.wants().least_ram),
        most_mib: pair.monitor.offers().most_ram_mib,
        default_mib: settings.default_memory_mb.unwrap_or(memory::DEFAULT_MIB),
        overhead: pair.monitor.overhead(acceleration),
    };
    memory::split(limit, &bounds)
}

/// The connection, if this guest can have one.
fn connect(req: &Request, net: &NetFacts, pair: Pair, identity: &Identity) -> Result<Option<Tap>, PlanError> {
    let offers = pair.monitor.offers();
    let driven = pair.guest.wants().nics.iter().any(|model| offers.nics.contains(model));
    let declared = manifest_of(req).is_none_or(|image| image.devices.iter().any(|device| device.net));
    if !driven || !declared {
        return Ok(None);
    }
    let tap = network::tap(req, net, offers.vnet_hdr)?;
    let tap = tap.map(|tap| Tap { uid: identity.uid, gid: identity.gid, ..tap });
    let wants = pair.guest.wants();
    let tap = tap.map(|tap| network::reach(tap, net, wants.addressing)).transpose()?;
    Ok(tap.map(|tap| if wants.nameservers { network::resolve(tap, net) } else { tap }))
}

/// The parts of the machine that depend on neither memory nor network.
fn machine<'a>(
    req: &'a Request,
    host: &'a HostFacts,
    pair: Pair,
    args: &'a [String],
) -> Result<Machine<'a>, PlanError> {
    let name = pair.monitor.name();
    let settings = req.settings.monitors.get(name);
    let program = match (pair.monitor.program(&host.arch), &host.monitor) {
        (None, _) => {
            if settings.is_some_and(|settings| !settings.path.is_empty())
                && pair.boot != BootProtocol::Program
            {
                let key = format!("monitors.{name}.path");
                let why =
                    format!("external {name} monitors are not built yet; remove it, {name} is built in");
                return Err(PlanError::Setting { key, why });
            }
            ""
        }
        (Some(_), Some(facts)) => facts.path.as_str(),
        (Some(program), None) => {
            let why =
                format!("no {program} found; install it, or set monitors.{name}.path in the configuration");
            return Err(PlanError::Host { why });
        }
    };
    if pair.boot != BootProtocol::Program && host.arch != "x86_64" {
        return Err(PlanError::Host { why: format!("{name} on {} is not built yet", host.arch) });
    }
    if pair.boot == BootProtocol::Solo5Spt && host.mmap_min_addr > 0x1_0000 {
        let why = format!("vm.mmap_min_addr is {}, spt guests need 65536 or less", host.mmap_min_addr);
        return Err(PlanError::Host { why });
    }
    // The directory that is bound: of the configured path, or of the one that was found.
    let data = host.monitor.as_ref().and_then(|monitor| monitor.data.first());
    Ok(Machine {
        program,
        data: data.map_or("/usr/share/qemu", String::as_str),
        cmdline: String::new(),
        args,
        env: &req.env,
        cwd: &req.cwd,
        memory_mib: 0,
        vcpus: 1,
        acceleration: Acceleration::None,
        initrd: !req.image.initrd.is_empty(),
        disk_writable: (!req.image.block.is_empty()).then_some(!req.readonly),
        tap: None,
        attach: Vec::new(),
    })
}

fn boot<'a>(req: &'a Request, args: &'a [String], tap: Option<&'a Tap>) -> Boot<'a> {
    Boot {
        args,
        env: &req.env,
        cwd: &req.cwd,
        hostname: req.hostname.as_deref(),
        tap,
        initrd: !req.image.initrd.is_empty(),
        disk: !req.image.block.is_empty(),
        mount_point: &req.image.block_mount_point,
        readonly: req.readonly,
    }
}

fn vcpus(pair: Pair, settings: &MonitorSettings) -> Result<u32, PlanError> {
    let (name, most) = (pair.monitor.name(), pair.monitor.offers().most_vcpus);
    match settings.default_vcpus.unwrap_or(1) {
        vcpus if (1..=most).contains(&vcpus) => Ok(vcpus),
        vcpus => {
            let why = format!("{vcpus} is not within 1 to {most}");
            Err(PlanError::Setting { key: format!("monitors.{name}.default_vcpus"), why })
        }
    }
}

fn manifest_of(req: &Request) -> Option<&crate::solo5::Solo5Image> {
    req.kernel.as_ref()?.solo5.as_ref()
}

fn manifest(req: &Request, net: Connection<'_>) -> Result<Vec<Attach>, PlanError> {
    manifest_of(req).map_or(Ok(Vec::new()), |image| attach::attach(req, image, net))
}

/// The devices of the jail, and those a terminal needs.
fn rules(req: &Request, nodes: &[Device], root: &Root) -> Vec<DeviceRule> {
    let rule = |major: u32, minor: Option<u32>| DeviceRule {
        allow: true,
        kind: 'c',
        major: Some(major),
        minor,
        access: "rwm".to_owned(),
    };
    let terminal = [rule(5, Some(2)), rule(136, None)];
    let own = nodes.iter().map(|device| rule(device.major, Some(device.minor)));
    own.chain(terminal.into_iter().filter(|_| req.terminal)).chain(devices::rules(&root.nodes)).collect()
}

/// The container's profile binds an exec'ed monitor, below the monitor's own filter; a built-in one has a narrower
/// filter than any profile.
fn filters(req: &Request, host: &HostFacts, pair: Pair) -> Result<(Vec<Filter>, Option<Notice>), PlanError> {
    let profile = req.seccomp.clone().map(Filter::Profile);
    if let Some(profile) = &profile {
        // Init compiles it again; here it is judged, before anything is done.
        seccomp::flags(profile)?;
        seccomp::compile(profile, &host.arch)?;
    }
    let own = pair.monitor.filters();
    if profile.is_some() && own.contains(&Filter::Tender) {
        let text = "linux.seccomp is not applied: the built-in monitor's own filter allows less".to_owned();
        return Ok((own, Some(Notice { warn: false, text })));
    }
    Ok((profile.into_iter().chain(own).collect(), None))
}

fn annotations(acceleration: Acceleration) -> BTreeMap<String, String> {
    let value = match acceleration {
        Acceleration::None => return BTreeMap::new(),
        Acceleration::Kvm => "kvm",
        Acceleration::Emulation => "tcg",
    };
    BTreeMap::from([(ACCELERATION.to_owned(), value.to_owned())])
}
