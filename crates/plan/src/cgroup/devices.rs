//! Device rules: the engine's list, then what every private root needs, then what the monitor needs.

use super::{Tree, Version, Writes};
use crate::PlanError;
use crate::error::quoted;
use crate::field::Field;
use crate::launch::DeviceRule;

/// What the private root's `/dev` holds (null, zero, full, random, urandom, tty, ptmx, pts). Creating a node counts
/// too: init makes them inside the group, and the monitor has no CAP_MKNOD.
const PRIVATE_DEV: [(u32, Option<u32>); 8] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(2)),
    (136, None),
];

/// Adds the v1 writes, or returns the rules of the v2 program.
pub(super) fn plan(
    resources: &Field<'_>,
    tree: &mut Tree<'_>,
    monitor: &[DeviceRule],
) -> Result<Vec<DeviceRule>, PlanError> {
    let mut rules = Vec::new();
    for (at, item) in resources.items("devices")?.iter().enumerate() {
        for rule in parse(item)? {
            add(&mut rules, rule, at);
        }
    }
    let private = PRIVATE_DEV.map(|(major, minor)| DeviceRule {
        allow: true,
        kind: 'c',
        major: Some(major),
        minor,
        access: "rwm".into(),
    });
    for rule in private.iter().chain(monitor) {
        if !is_covered(&rules, rule) {
            rules.push((usize::MAX, rule.clone()));
        }
    }
    if tree.version("devices") == Some(Version::V1) {
        let writes = v1_writes(&rules)?;
        tree.put("devices", resources, writes)?;
        return Ok(Vec::new());
    }
    if let [(_, only)] = &rules[..]
        && is_everything(only)
    {
        return Ok(Vec::new());
    }
    if tree.v2.is_none() {
        return Err(PlanError::Host {
            why: "no cgroup controller devices, and no cgroup v2 in its place".into(),
        });
    }
    tree.keep_v2 = true;
    Ok(rules.into_iter().map(|(_, rule)| rule).collect())
}

/// One entry of `linux.resources.devices`. Type `a` with numbers or with less than full access means both types.
fn parse(item: &Field<'_>) -> Result<Vec<DeviceRule>, PlanError> {
    let allow = item.flag("allow")?;
    let number = |name| match item.number::<i64>(name)? {
        None | Some(-1) => Ok(None),
        Some(value) => u32::try_from(value).map(Some).map_err(|_| {
            PlanError::config(format!("{}.{name}", item.path()), format!("{value} is out of range"))
        }),
    };
    let (major, minor) = (number("major")?, number("minor")?);
    let access = item.text("access")?.filter(|access| !access.is_empty()).unwrap_or("rwm");
    if !access.chars().all(|letter| "rwm".contains(letter)) {
        return Err(item.required("access")?.error(format!("want letters of rwm, not {}", quoted(access))));
    }
    let access: String = "rwm".chars().filter(|letter| access.contains(*letter)).collect();
    let rule = |kind| DeviceRule { allow, kind, major, minor, access: access.clone() };
    match item.text("type")?.unwrap_or_default() {
        "" | "a" if is_everything(&rule('a')) => Ok(vec![rule('a')]),
        "" | "a" => Ok(vec![rule('b'), rule('c')]),
        "b" => Ok(vec![rule('b')]),
        "c" => Ok(vec![rule('c')]),
        other => Err(item.required("type")?.error(format!("want a, b or c, not {}", quoted(other)))),
    }
}

fn is_everything(rule: &DeviceRule) -> bool {
    rule.kind == 'a' && rule.major.is_none() && rule.minor.is_none() && rule.access == "rwm"
}

/// A rule about everything makes all before it moot; "deny everything" is where the list begins anyway.
fn add(rules: &mut Vec<(usize, DeviceRule)>, rule: DeviceRule, at: usize) {
    if is_everything(&rule) {
        rules.clear();
        if !rule.allow {
            return;
        }
    }
    rules.push((at, rule));
}

fn overlaps(one: &DeviceRule, other: &DeviceRule) -> bool {
    let meets = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    (one.kind == other.kind || one.kind == 'a' || other.kind == 'a')
        && meets(one.major, other.major)
        && meets(one.minor, other.minor)
        && one.access.chars().any(|letter| other.access.contains(letter))
}

/// The last rule that meets it at all allows all of it.
fn is_covered(rules: &[(usize, DeviceRule)], wanted: &DeviceRule) -> bool {
    let last = rules.iter().rev().find(|(_, rule)| overlaps(rule, wanted));
    last.is_some_and(|(_, rule)| {
        let holds = |wide: Option<u32>, narrow: Option<u32>| wide.is_none() || wide == narrow;
        rule.allow
            && holds(rule.major, wanted.major)
            && holds(rule.minor, wanted.minor)
            && wanted.access.chars().all(|letter| rule.access.contains(letter))
    })
}

/// v1 keeps a default and a flat list of exceptions, so a hole in an exception cannot be said.
fn v1_writes(rules: &[(usize, DeviceRule)]) -> Result<Writes, PlanError> {
    let (open, rest) = match rules {
        [(_, first), rest @ ..] if is_everything(first) => (true, rest),
        _ => (false, rules),
    };
    let mut writes = Writes::default();
    writes.put(if open { "devices.allow" } else { "devices.deny" }, &"a");
    for (position, (at, rule)) in rest.iter().enumerate() {
        let hole = |(_, other): &&(usize, DeviceRule)| {
            other.allow != open
                && rule.allow == open
                && overlaps(other, rule)
                && (other.major, other.minor) != (rule.major, rule.minor)
        };
        if rest[..position].iter().any(|other| hole(&other)) {
            let field = format!("linux.resources.devices[{at}]");
            return Err(PlanError::config(
                field,
                "cgroup v1 cannot make an exception from an earlier rule's exception",
            ));
        }
        writes.put(if rule.allow { "devices.allow" } else { "devices.deny" }, &v1_line(rule));
    }
    Ok(writes)
}

fn v1_line(rule: &DeviceRule) -> String {
    let number = |number: Option<u32>| number.map_or("*".into(), |number| number.to_string());
    format!("{} {}:{} {}", rule.kind, number(rule.major), number(rule.minor), rule.access)
}
