//! `linux.devices`: nodes for an ordinary container; a guest sees none, so a wish for one is refused.

use crate::error::{excerpt, quoted};
use crate::launch::{DeviceRule, FsMount, Notice};
use crate::ordinary::Node;
use crate::{PlanError, Request};

/// Device nodes that every root has: listing them asks for nothing.
const OWN: [&str; 8] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/console",
    "/dev/ptmx",
];

/// Device nodes that are opened for a guest where it needs them.
const FOR_GUESTS: [&str; 2] = ["/dev/kvm", "/dev/net/tun"];

fn wished(req: &Request) -> impl Iterator<Item = (usize, &Node)> {
    req.ordinary.devices.iter().enumerate().filter(|(_, node)| !OWN.contains(&node.path.as_str()))
}

/// Checks the devices of a guest, which sees none of them.
///
/// # Errors
/// A device that the user asked for: its absence in the guest must not go unnoticed.
pub fn check(req: &Request) -> Result<Option<Notice>, PlanError> {
    match wished(req).find(|(_, node)| !FOR_GUESTS.contains(&node.path.as_str())) {
        None => Ok(None),
        Some(_) if is_privileged(&req.resources) => {
            let text = "the host's devices of a privileged container are not given to the guest".to_owned();
            Ok(Some(Notice { warn: false, text }))
        }
        Some((n, node)) => {
            let why = "cannot be given to a guest; remove it or use another runtime";
            let why = format!("device {} {why}", quoted(&node.path));
            Err(PlanError::config(format!("linux.devices[{n}]"), why))
        }
    }
}

/// The nodes of an ordinary container, in the file systems that are its own: the image's tree is never written.
///
/// # Errors
/// An unknown type, numbers that are none, or a place that is not the container's own.
pub fn nodes(req: &Request, mounts: &[FsMount]) -> Result<Vec<Node>, PlanError> {
    let own = |path: &str| {
        let below =
            |mount: &FsMount| path.strip_prefix(&mount.target).is_some_and(|rest| rest.starts_with('/'));
        mounts.iter().rev().find(|mount| below(mount)).is_some_and(|mount| mount.kind == "tmpfs")
    };
    let mut nodes = Vec::new();
    for (n, node) in wished(req) {
        let refuse = |why: String| Err(PlanError::config(format!("linux.devices[{n}]"), why));
        let path = &node.path;
        if !matches!(node.kind.as_str(), "b" | "c" | "p" | "u") {
            return refuse(format!("type {} is not b, c, p or u", quoted(&node.kind)));
        }
        // 12 and 20 bits: makedev(3) on Linux.
        if !(0..1 << 12).contains(&node.major) || !(0..1 << 20).contains(&node.minor) {
            return refuse(format!("{}:{} is not a device number", node.major, node.minor));
        }
        let parts = || path.split('/').skip(1);
        if parts().any(|part| matches!(part, "" | "." | "..")) || path.contains(['\0', '\n']) || !own(path) {
            return refuse(format!("{} is not in a tmpfs of mounts, as /dev is", excerpt(path)));
        }
        if !req.ordinary.uid_map.is_empty() && node.kind != "p" {
            return refuse(format!("{} cannot be made in a user namespace", excerpt(path)));
        }
        nodes.push(node.clone());
    }
    Ok(nodes)
}

/// Making a node needs its group's leave; to open it is another matter, of `linux.resources.devices`.
pub fn rules(nodes: &[Node]) -> impl Iterator<Item = DeviceRule> {
    nodes.iter().filter(|node| node.kind != "p").map(|node| DeviceRule {
        allow: true,
        kind: if node.kind == "b" { 'b' } else { 'c' },
        major: u32::try_from(node.major).ok(),
        minor: u32::try_from(node.minor).ok(),
        access: "m".to_owned(),
    })
}

/// True when the device rules end with "everything is allowed". Engines write that for a privileged container, whose
/// `linux.devices` is then a copy of the host's /dev and not somebody's wish; a wished device comes with its own rule.
fn is_privileged(resources: &serde_json::Value) -> bool {
    let last = resources["devices"].as_array().and_then(|rules| rules.last());
    last.is_some_and(|rule| {
        rule["allow"] == true
            && matches!(rule["type"].as_str(), None | Some("a" | ""))
            && ["major", "minor"].iter().all(|number| rule[number].as_i64().is_none_or(|n| n < 0))
            && rule["access"].as_str().is_some_and(|access| "rwm".chars().all(|way| access.contains(way)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The device lists of Docker 26, Podman 4.3 and containerd 1.6 with `--privileged`, and such as only look like it.
    #[test]
    fn host_devices_are_ignored_when_privileged_only() {
        let everything = json!({"allow": true, "access": "rwm"});
        let nothing = json!({"allow": false, "access": "rwm"});
        let autofs = json!({"allow": true, "type": "c", "major": 10, "minor": 235, "access": "rwm"});
        let node = |path: &str| Node { path: path.to_owned(), ..Node::default() };
        let mut req = Request::default();
        req.ordinary.devices = vec![node("/dev/kvm"), node("/dev/autofs"), node("/dev/sda")];
        for (rules, accepted) in [
            (json!([everything]), true),
            (json!([nothing, everything]), true),
            (json!([{"allow": true, "type": "a", "major": -1, "minor": -1, "access": "mrw"}]), true),
            (json!(null), false),
            (json!([]), false),
            (json!([nothing]), false),
            (json!([everything, autofs]), false),
            (json!([nothing, autofs]), false),
            (json!([{"allow": true, "access": "r"}]), false),
            (json!([{"allow": true, "type": "c", "access": "rwm"}]), false),
            (json!([{"allow": true, "major": 10, "access": "rwm"}]), false),
        ] {
            req.resources = json!({ "devices": rules });
            match check(&req) {
                Ok(notice) => assert!(accepted && notice.is_some(), "{rules}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(
                        !accepted && error.contains("linux.devices[1]: device \"/dev/autofs\""),
                        "{error}"
                    );
                }
            }
        }
        req.ordinary.devices.truncate(1);
        assert_eq!(check(&req), Ok(None));
    }

    #[test]
    fn nodes_are_made_in_own_file_systems_only() {
        let mount = |kind: &str, target: &str| FsMount {
            kind: kind.to_owned(),
            source: String::new(),
            target: target.to_owned(),
            data: String::new(),
            readonly: false,
        };
        let mounts = [mount("proc", "/proc"), mount("tmpfs", "/dev"), mount("mqueue", "/dev/mqueue")];
        let good = Node { path: "/dev/a/b".to_owned(), kind: "b".to_owned(), ..Node::default() };
        let outcome = |node: Node| {
            let mut req = Request::default();
            req.ordinary.devices = vec![node];
            nodes(&req, &mounts).map_err(|error| error.to_string())
        };
        let at = |path: &str| Node { path: path.to_owned(), ..good.clone() };
        for given in [good.clone(), at("/dev/net/tun")] {
            assert_eq!(outcome(given.clone()), Ok(vec![given]));
        }
        assert_eq!(outcome(at("/dev/null")), Ok(Vec::new()));
        for path in ["/proc/a", "/dev/mqueue/a", "/devices/a", "/dev/../a", "/dev//a", "/dev/", "dev/a", "/a"]
        {
            assert!(outcome(at(path)).unwrap_err().contains("is not in a tmpfs"), "{path}");
        }
        for node in [Node { major: 4096, ..good.clone() }, Node { minor: -1, ..good.clone() }] {
            assert!(outcome(node).unwrap_err().contains("is not a device number"));
        }
        assert!(outcome(Node { kind: "x".to_owned(), ..good }).unwrap_err().contains("type \"x\""));
    }
}
