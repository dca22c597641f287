//! From the document to the planner's request: `process`.

use super::document::{Capabilities, ConsoleSize, Process};
use std::collections::BTreeSet;
use urunc_plan::{
    PlanError, Request,
    error::quoted,
    input::{Rlimit, User},
    ordinary::{CapabilitySets, Ordinary},
};

/// getrlimit(2).
const RLIMITS: [&str; 16] = [
    "RLIMIT_AS",
    "RLIMIT_CORE",
    "RLIMIT_CPU",
    "RLIMIT_DATA",
    "RLIMIT_FSIZE",
    "RLIMIT_LOCKS",
    "RLIMIT_MEMLOCK",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_NOFILE",
    "RLIMIT_NPROC",
    "RLIMIT_RSS",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
    "RLIMIT_SIGPENDING",
    "RLIMIT_STACK",
];

pub(super) fn fill(request: Request, process: &Process) -> Result<Request, PlanError> {
    words("process.args", &process.args)?;
    environment(&process.env)?;
    Ok(Request {
        args: process.args.clone(),
        env: process.env.clone(),
        cwd: cwd(&process.cwd)?,
        terminal: process.terminal,
        console_size: process.console_size.as_ref().map_or(Ok(None), console_size)?,
        user: user(process)?,
        rlimits: rlimits(process)?,
        oom_score_adj: oom_score_adj(process.oom_score_adj)?,
        apparmor: text(&process.apparmor_profile),
        selinux: text(&process.selinux_label),
        ordinary: Ordinary {
            capabilities: capabilities(&process.capabilities),
            no_new_privs: process.no_new_privileges,
            ..request.ordinary
        },
        ..request
    })
}

fn capabilities(sets: &Capabilities) -> CapabilitySets {
    CapabilitySets {
        bounding: sets.bounding.clone(),
        effective: sets.effective.clone(),
        inheritable: sets.inheritable.clone(),
        permitted: sets.permitted.clone(),
        ambient: sets.ambient.clone(),
    }
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned()).filter(|v| !v.is_empty())
}

fn words(field: &str, words: &[String]) -> Result<(), PlanError> {
    match words.iter().position(|word| word.contains('\0')) {
        Some(n) => Err(PlanError::config(format!("{field}[{n}]"), "contains a NUL byte")),
        None => Ok(()),
    }
}

fn environment(env: &[String]) -> Result<(), PlanError> {
    words("process.env", env)?;
    match env.iter().position(|word| word.find('=').is_none_or(|at| at == 0)) {
        Some(n) => Err(PlanError::config(format!("process.env[{n}]"), "is not of the form NAME=VALUE")),
        None => Ok(()),
    }
}

/// Paths below /proc are refused: they may lead out through a descriptor (CVE-2024-21626).
fn cwd(cwd: &str) -> Result<String, PlanError> {
    let wrong = |why: &str| Err(PlanError::config("process.cwd", format!("{} {why}", quoted(cwd))));
    match cwd {
        "" => wrong("is missing: want an absolute path"),
        cwd if !cwd.starts_with('/') || cwd.contains('\0') => wrong("is not absolute"),
        cwd if cwd.split('/').find(|part| !part.is_empty() && *part != ".") == Some("proc") => {
            wrong("is in /proc")
        }
        cwd => Ok(cwd.to_owned()),
    }
}

/// Docker sends 0x0 when it does not know the size.
fn console_size(size: &ConsoleSize) -> Result<Option<(u16, u16)>, PlanError> {
    match (u16::try_from(size.height), u16::try_from(size.width)) {
        (Ok(0), Ok(0)) => Ok(None),
        (Ok(rows), Ok(columns)) => Ok(Some((rows, columns))),
        _ => Err(PlanError::config("process.consoleSize", "height and width are at most 65535")),
    }
}

/// The all-ones id means "no change" to the kernel (chown(2), setresuid(2)): a user asked for would not be set.
fn user(process: &Process) -> Result<User, PlanError> {
    let user = &process.user;
    let groups = user.additional_gids.iter().enumerate();
    let mut ids = vec![("process.user.uid".to_owned(), user.uid), ("process.user.gid".to_owned(), user.gid)];
    ids.extend(groups.map(|(n, gid)| (format!("process.user.additionalGids[{n}]"), *gid)));
    if let Some((field, _)) = ids.into_iter().find(|(_, id)| *id == u32::MAX) {
        return Err(PlanError::config(field, "4294967295 is not an id"));
    }
    if user.umask.is_some_and(|mask| mask > 0o777) {
        return Err(PlanError::config("process.user.umask", "is larger than 511 (octal 777)"));
    }
    Ok(User { uid: user.uid, gid: user.gid, groups: user.additional_gids.clone(), umask: user.umask })
}

fn rlimits(process: &Process) -> Result<Vec<Rlimit>, PlanError> {
    let mut seen = BTreeSet::new();
    let one = |(n, limit): (usize, &super::document::Rlimit)| {
        let wrong = |why: String| Err(PlanError::config(format!("process.rlimits[{n}]"), why));
        if !RLIMITS.contains(&limit.kind.as_str()) {
            return wrong(format!("type {} is unknown", quoted(&limit.kind)));
        }
        if !seen.insert(limit.kind.clone()) {
            return wrong(format!("{} is listed twice", limit.kind));
        }
        if limit.soft > limit.hard {
            return wrong(format!("soft limit {} is above hard limit {}", limit.soft, limit.hard));
        }
        Ok(Rlimit { kind: limit.kind.clone(), soft: limit.soft, hard: limit.hard })
    };
    process.rlimits.iter().enumerate().map(one).collect()
}

fn oom_score_adj(value: Option<i32>) -> Result<Option<i32>, PlanError> {
    match value {
        Some(value) if !(-1000..=1000).contains(&value) => {
            Err(PlanError::config("process.oomScoreAdj", format!("{value} is not within -1000 and 1000")))
        }
        value => Ok(value),
    }
}
