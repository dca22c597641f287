//! Hosts, networks and kernel files for requests that come out of a config.json.

use std::collections::BTreeMap;
use urunc_plan::input::{
    BlockFacts, CgroupFacts, CgroupMount, HostFacts, ImageKeys, KvmFacts, Listener, MonitorFacts, NetDevice,
    NetFacts, Route,
};
use urunc_plan::kernel::{KernelFacts, KernelFormat};
use urunc_plan::launch::LaunchPlan;
use urunc_plan::solo5::{Declared, Solo5Image, TARGET_HVT, TARGET_SPT};
use urunc_plan::{Request, decide};

use crate::{invariants, refused};

/// Plans a request in every world; what is planned is checked, what is refused as well.
pub fn plan_everywhere(request: &Request) -> Vec<LaunchPlan> {
    let net = net();
    let mut plans = Vec::new();
    for host in [v1(), v2()] {
        for net in [None, Some(&net)] {
            match decide::plan(request, &host, net) {
                Ok(plan) => {
                    invariants::check(&plan, request);
                    plans.push(plan);
                }
                Err(error) => refused(error),
            }
        }
    }
    plans
}

/// What the files of an image with these keys would say.
pub fn with_image(mut request: Request, keys: ImageKeys) -> Request {
    request.id = "c1".to_owned();
    if !keys.binary.is_empty() {
        request.kernel = Some(kernel(&keys.monitor));
    }
    request.initrd_bytes = (!keys.initrd.is_empty()).then_some(1 << 20);
    request.block = (!keys.block.is_empty()).then_some(BlockFacts { bytes: 1 << 20, device: false });
    request.image = keys;
    request
}

fn kernel(monitor: &str) -> KernelFacts {
    let machine = "x86_64".to_owned();
    let target = match monitor {
        "spt" => TARGET_SPT,
        "hvt" => TARGET_HVT,
        _ => {
            let format = KernelFormat::Bzimage;
            return KernelFacts { bytes: 7 << 20, format, machine, ..Default::default() };
        }
    };
    let device = |name: &str, net| Declared { name: name.to_owned(), net };
    let devices = vec![device("service", true), device("storage", false)];
    let image = Solo5Image { target, version: 2, machine: 62, end: 1 << 21, devices };
    KernelFacts {
        bytes: 1 << 20,
        format: KernelFormat::Elf64,
        machine,
        solo5: Some(image),
        ..KernelFacts::default()
    }
}

fn group(mount: &str, own: &str) -> CgroupMount {
    CgroupMount { mount: format!("/sys/fs/cgroup{mount}"), own: own.to_owned() }
}

fn v1() -> HostFacts {
    let controllers = ["memory", "pids", "devices", "cpu", "cpuset", "blkio", "name=systemd"];
    let v1: BTreeMap<_, _> =
        controllers.iter().map(|name| ((*name).to_owned(), group(&format!("/{name}"), "/"))).collect();
    HostFacts { cgroup: CgroupFacts { v1, ..Default::default() }, ..host() }
}

fn v2() -> HostFacts {
    let v2_controllers = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"].map(String::from).into();
    let cgroup = CgroupFacts { v2: Some(group("", "/user.slice")), v2_controllers, ..Default::default() };
    HostFacts { cgroup, kvm: KvmFacts::Usable, apparmor: true, ..host() }
}

fn host() -> HostFacts {
    let monitor = MonitorFacts {
        path: "/usr/bin/qemu-system-x86_64".to_owned(),
        interpreter: Some("/lib64/ld-linux-x86-64.so.2".to_owned()),
        libraries: vec!["/lib/x86_64-linux-gnu/libc.so.6".to_owned()],
        data: vec!["/usr/share/qemu".to_owned()],
    };
    HostFacts {
        arch: "x86_64".to_owned(),
        monitor: Some(monitor),
        mmap_min_addr: 0x1_0000,
        kvm: KvmFacts::Emulated,
        capabilities: u64::MAX,
        ..Default::default()
    }
}

fn net() -> NetFacts {
    let device = NetDevice {
        name: "eth0".to_owned(),
        index: 2,
        kind: "veth".to_owned(),
        mac: "02:42:ac:11:00:02".to_owned(),
        mtu: 1500,
        up: true,
        ipv4: vec![([172, 17, 0, 2].into(), 16)],
        ..Default::default()
    };
    let route = Route { index: 2, gateway: Some([172, 17, 0, 1].into()), ..Default::default() };
    NetFacts {
        devices: vec![device],
        routes: vec![route],
        nameservers: vec!["127.0.0.11".to_owned(), "8.8.8.8".to_owned()],
        listeners: vec![Listener { tcp: false, address: [127, 0, 0, 11].into(), port: 40053 }],
        ..Default::default()
    }
}
