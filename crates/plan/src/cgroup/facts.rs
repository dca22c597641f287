//! Which hierarchies are mounted where: `/proc/self/mountinfo` and `/proc/self/cgroup` to [`CgroupFacts`].

use crate::input::{CgroupFacts, CgroupMount};

/// One cgroup mount of mountinfo (proc_pid_mountinfo(5)).
struct Mount<'a> {
    root: String,
    point: String,
    v2: bool,
    options: Vec<&'a str>,
}

/// Joins the two files; `v2_controllers` is the text of `cgroup.controllers` in the v2 mount. Lines that do not have
/// the kernel's form are skipped.
pub fn parse(mountinfo: &str, own_groups: &str, v2_controllers: &str) -> CgroupFacts {
    let mounts: Vec<Mount<'_>> = mountinfo.lines().filter_map(mount).collect();
    let mut facts = CgroupFacts::default();
    for line in own_groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(own)) = (parts.next(), parts.next()) else { continue };
        if controllers.is_empty() {
            facts.v2 = choose(&mounts, own, |mount| mount.v2);
            continue;
        }
        for controller in controllers.split(',') {
            let chosen = choose(&mounts, own, |mount| !mount.v2 && mount.options.contains(&controller));
            facts.v1.extend(chosen.map(|mount| (controller.to_owned(), mount)));
        }
    }
    if facts.v2.is_some() {
        facts.v2_controllers = v2_controllers.split_whitespace().map(str::to_owned).collect();
    }
    facts
}

/// Mount point of the v2 hierarchy, whose `cgroup.controllers` [`parse`] wants.
pub fn v2_mount_point(mountinfo: &str) -> Option<String> {
    let mounts: Vec<Mount<'_>> = mountinfo.lines().filter_map(mount).collect();
    choose(&mounts, "/", |mount| mount.v2).map(|mount| mount.mount)
}

/// A whole hierarchy is better than a part of it, the usual place better than another one, a later mount covers an
/// earlier one.
fn choose(mounts: &[Mount<'_>], own: &str, fits: impl Fn(&Mount<'_>) -> bool) -> Option<CgroupMount> {
    let usual =
        |mount: &Mount<'_>| mount.point == "/sys/fs/cgroup" || mount.point.starts_with("/sys/fs/cgroup/");
    let best =
        mounts.iter().filter(|mount| fits(mount)).max_by_key(|mount| (mount.root == "/", usual(mount)))?;
    let below = own.strip_prefix(best.root.trim_end_matches('/')).filter(|rest| rest.starts_with('/'));
    Some(CgroupMount { mount: best.point.clone(), own: below.unwrap_or("/").to_owned() })
}

fn mount(line: &str) -> Option<Mount<'_>> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point) = (unescape(left.next()?), unescape(left.next()?));
    let mut right = right.split(' ');
    let kind = right.next()?;
    let options = right.nth(1)?.split(',').collect();
    matches!(kind, "cgroup" | "cgroup2").then(|| Mount { root, point, v2: kind == "cgroup2", options })
}

/// `\040` to a space and so on: mountinfo writes blank, tab, newline and backslash in octal.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = |digits: &[u8]| {
            std::str::from_utf8(digits).ok().and_then(|text| u8::from_str_radix(text, 8).ok())
        };
        let escaped = tail.get(..3).filter(|_| first == b'\\').and_then(octal);
        out.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}
