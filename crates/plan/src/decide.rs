//! The door of this crate: request, host and network in, one launch plan or one refusal out.

use std::collections::BTreeMap;

use crate::attach::{self, Connection};
use crate::guest::Boot;
use crate::launch::{
    Attach, Console, DeviceRule, Filter, Identity, LaunchPlan, Mode, Notice, Root, Stop, Tap,
};
use crate::machine::{Acceleration, BootProtocol, DeviceModel, Machine};
use crate::memory;
use crate::monitor::{Device, VHOST_NET};
use crate::negotiate::{self, Pair};
use crate::settings::MonitorSettings;
use crate::{
    HostFacts, NetFacts, PLAN_VERSION, PlanError, Request, acceleration, cgroup, command, devices, initrd,
    jail, mounts, namespaces, network, notices, provenance, seccomp,
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
    negotiate::kernel(req, host, &pair)?;
    let settings = req.settings.monitors.get(pair.monitor.name()).cloned().unwrap_or_default();
    let (args, mut notices) = words(req)?;
    let (acceleration, emulated) = acceleration::of(pair, host, &settings)?;
    let config = pair.guest.config(&boot(req, pair, &args, None))?;
    let memory = memory::of(req, &pair, acceleration, &settings, initrd::copied(req, config.as_ref()))?;
    notices.extend(emulated.into_iter().chain(notices::of(req, host, pair, acceleration, &memory)));
    let (identity, notice) = jail::identity(req, host, (pair.monitor.name(), pair.boot))?;
    notices.extend(notice);
    let tap = net.map(|net| connect(req, net, pair, &identity)).transpose()?.flatten();
    notices.extend(net.zip(tap.as_ref()).and_then(|(net, tap)| network::left_out(net, tap)));
    let machine = machine(req, host, pair, &args)?;
    let machine = Machine {
        cmdline: pair.guest.cmdline(&boot(req, pair, &args, tap.as_ref()))?,
        initrd: machine.initrd || config.is_some(),
        memory_mib: memory.guest_mib,
        vcpus: vcpus(pair, &settings)?,
        acceleration,
        tap: tap.as_ref(),
        attach: manifest(req, net.map_or(Connection::Unknown, |_| Connection::Known(tap.as_ref())))?,
        ..machine
    };
    pair.monitor.check(&machine)?;
    let exec = pair.monitor.render(&machine);
    let nodes = nodes(pair, &machine);
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
    let mut root = jail::root(req, host, pair.boot, &nodes, mounts)?;
    pair.monitor.furnish(&machine, &mut root);
    initrd::add(&mut root, req, config)?;
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

/// Init stays where the monitor cannot be the container's process alone. It asks a guest to stop where it can.
fn mode(pair: Pair) -> Mode {
    let (guest, monitor) = (pair.guest, pair.monitor);
    let voice = monitor.voice();
    let stop = if voice.asks() { guest.stop() } else { Stop::Signal };
    match monitor.supervised() {
        None => Mode::Direct { why: format!("{} needs nothing beside it", monitor.name()) },
        Some(why) => Mode::Supervised { why: why.to_owned(), stop, voice, status: guest.statuses() },
    }
}

fn words(req: &Request) -> Result<(Vec<String>, Vec<Notice>), PlanError> {
    let (args, notice) = command::words(req)?;
    Ok((args, notice.into_iter().collect()))
}

/// Device nodes of the private root.
fn nodes(pair: Pair, machine: &Machine<'_>) -> Vec<Device> {
    let own = pair.monitor.devices(machine.acceleration);
    own.into_iter().chain(machine.vhost.then_some(VHOST_NET)).collect()
}

/// The host's kernel is to take the guest's frames.
fn leaves_frames(pair: Pair, settings: Option<&MonitorSettings>) -> bool {
    pair.nic().is_some()
        && pair.monitor.has_vhost()
        && settings.and_then(|settings| settings.vhost) == Some(true)
}

/// The connection, if this guest can have one.
fn connect(req: &Request, net: &NetFacts, pair: Pair, identity: &Identity) -> Result<Option<Tap>, PlanError> {
    let declared = req.manifest().is_none_or(|image| image.devices.iter().any(|device| device.net));
    if pair.nic().is_none() || !declared {
        return Ok(None);
    }
    let tap = network::tap(req, net, pair.offers.vnet_hdr)?;
    if tap.is_none() && pair.wants.needs_nic {
        let why = format!("{} does not run without one, and the container has none", pair.guest.name());
        return Err(PlanError::Network { why });
    }
    let persistent = pair.monitor.opens_tap();
    let tap = tap.map(|tap| Tap { uid: identity.uid, gid: identity.gid, persistent, ..tap });
    let tap = tap.map(|tap| network::reach(tap, net, pair.wants.addressing)).transpose()?;
    Ok(tap.map(|tap| if pair.wants.nameservers { network::resolve(tap, net) } else { tap }))
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
        (None, _) => "",
        (Some(_), Some(facts)) => facts.path.as_str(),
        (Some(program), None) => {
            let why =
                format!("no {program} found; install it, or set monitors.{name}.path in the configuration");
            return Err(PlanError::Host { why });
        }
    };
    let builtin = pair.monitor.program(&host.arch).is_none() && pair.boot != BootProtocol::Program;
    if builtin && host.arch != "x86_64" {
        return Err(PlanError::Host { why: format!("{name} on {} is not built yet", host.arch) });
    }
    if pair.boot == BootProtocol::Solo5Spt && host.mmap_min_addr > 0x1_0000 {
        let why = format!("vm.mmap_min_addr is {}, spt guests need 65536 or less", host.mmap_min_addr);
        return Err(PlanError::Host { why });
    }
    // The directory that is bound: of the configured path, or of the one that was found.
    let data = host.monitor.as_ref().and_then(|monitor| monitor.data.first());
    Ok(Machine {
        id: &req.id,
        program,
        data: data.map_or("/usr/share/qemu", String::as_str),
        cmdline: String::new(),
        args,
        env: &req.env,
        cwd: &req.cwd,
        memory_mib: 0,
        vcpus: 1,
        physical_bits: pair.guest.physical_bits(&req.image.version),
        board: pair.board,
        acceleration: Acceleration::None,
        initrd: !req.image.initrd.is_empty(),
        disk_writable: (!req.image.block.is_empty()).then_some(!req.readonly),
        disk: pair.disk().unwrap_or(DeviceModel::VirtioPci),
        tap: None,
        nic: pair.nic().unwrap_or(DeviceModel::VirtioPci),
        vhost: leaves_frames(pair, settings),
        exit_port: pair.wants.exit_port,
        attach: Vec::new(),
    })
}

fn boot<'a>(req: &'a Request, pair: Pair, args: &'a [String], tap: Option<&'a Tap>) -> Boot<'a> {
    Boot {
        version: &req.image.version,
        user: (req.user.uid, req.user.gid),
        board: pair.board,
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
    let (name, most) = (pair.monitor.name(), pair.offers.most_vcpus);
    match settings.default_vcpus.unwrap_or(1) {
        vcpus if (1..=most).contains(&vcpus) => Ok(vcpus),
        vcpus => {
            let why = format!("{vcpus} is not within 1 to {most}");
            Err(PlanError::Setting { key: format!("monitors.{name}.default_vcpus"), why })
        }
    }
}

fn manifest(req: &Request, net: Connection<'_>) -> Result<Vec<Attach>, PlanError> {
    req.manifest().map_or(Ok(Vec::new()), |image| attach::attach(req, image, net))
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
