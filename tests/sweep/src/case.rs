//! What is swept: points of a command's run, and what happens at each.

use std::fmt;
use std::str::FromStr;

/// Commands that are swept; `remove` is `delete --force` of a running container.
pub(crate) const VERBS: [&str; 5] = ["create", "start", "kill", "delete", "remove"];

/// The errnos that each call is answered with.
pub(crate) const ERRNOS: [(&str, i32); 11] = [
    ("EINTR", libc::EINTR),
    ("EAGAIN", libc::EAGAIN),
    ("EIO", libc::EIO),
    ("ENOMEM", libc::ENOMEM),
    ("ENOSPC", libc::ENOSPC),
    ("EMFILE", libc::EMFILE),
    ("EPERM", libc::EPERM),
    ("EBUSY", libc::EBUSY),
    ("EROFS", libc::EROFS),
    ("ENOSYS", libc::ENOSYS),
    ("ENOBUFS", libc::ENOBUFS),
];

/// The call that netlink's answers are received with, and what only that one is answered with: an overrun queue.
const RECEIVE: &str = "recvfrom";
const OVERRUN: &str = "ENOBUFS";

/// Who is killed.
pub(crate) const TARGETS: [&str; 3] = ["runtime", "init", "both"];

/// One call of an undisturbed run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    /// `runtime`, `init` or `hookN`.
    pub(crate) role: String,
    /// Which call of this process since the command began, from 1.
    pub(crate) n: u32,
    /// Name of the call, with what distinguishes calls of one name: `prctl:15`.
    pub(crate) call: String,
    /// The runtime has reached its `main`.
    pub(crate) begun: bool,
    /// Init was there to be killed.
    pub(crate) init: bool,
}

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shot {
    /// The call fails: index into [`ERRNOS`].
    Errno(usize),
    /// The call returns the beginning of something that nobody has written.
    Cut,
    /// Before the call, SIGKILL: index into [`TARGETS`]. "After" a call is before the next one.
    Kill(usize),
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    /// Kind of container.
    pub(crate) lane: String,
    /// Command.
    pub(crate) verb: String,
    /// Process.
    pub(crate) role: String,
    /// Call of the process.
    pub(crate) n: u32,
    /// What happens.
    pub(crate) shot: Shot,
}

impl Shot {
    /// Can the call of this name come to it?
    pub(crate) fn fits(self, call: &str) -> bool {
        match self {
            Self::Cut => call == RECEIVE,
            Self::Errno(index) => ERRNOS[index].0 != OVERRUN || call == RECEIVE,
            Self::Kill(_) => true,
        }
    }
}

impl fmt::Display for Shot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("cut"),
            Self::Errno(index) => f.write_str(ERRNOS[*index].0),
            Self::Kill(index) => write!(f, "kill:{}", TARGETS[*index]),
        }
    }
}

impl FromStr for Shot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "cut" {
            return Ok(Self::Cut);
        }
        let found = match text.strip_prefix("kill:") {
            Some(target) => TARGETS.iter().position(|known| *known == target).map(Self::Kill),
            None => ERRNOS.iter().position(|(known, _)| *known == text).map(Self::Errno),
        };
        found.ok_or_else(|| format!("{text}: neither an errno of the sweep nor cut nor kill:TARGET"))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {} {}", self.lane, self.verb, self.role, self.n, self.shot)
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [lane, verb, role, n, shot] = words[..] else {
            return Err(format!("{text}: not LANE VERB ROLE N SHOT"));
        };
        let n = n.parse().map_err(|_| format!("{n}: not a number"))?;
        Ok(Self { lane: lane.into(), verb: verb.into(), role: role.into(), n, shot: shot.parse()? })
    }
}

/// Calls of `data/unswept.txt` with this mark: `never` seen, or `killed` only.
pub(crate) fn unswept(mark: &'static str) -> impl Iterator<Item = &'static str> {
    let lines = include_str!("../data/unswept.txt").lines().filter(|line| !line.starts_with('#'));
    let rows = lines.filter_map(|line| line.split_once(char::is_whitespace));
    rows.filter(move |(_, rest)| rest.trim_start().starts_with(mark)).map(|(name, _)| name)
}

/// Would this answer be one that no runtime could doubt? `data/unswept.txt` has them as `ERRNO@PATH`.
pub(crate) fn beyond_doubt(call: &str, object: &str, shot: Shot) -> bool {
    let lines = include_str!("../data/unswept.txt").lines().filter(|line| !line.starts_with('#'));
    let mut rows = lines.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
    rows.any(|row| match row[..] {
        [name, mark] if name == call => mark
            .split_once('@')
            .is_some_and(|(errno, path)| errno == shot.to_string() && object.starts_with(path)),
        _ => false,
    })
}

/// All cases at the points of one command.
pub(crate) fn cases<'a>(
    lane: &'a str,
    verb: &'a str,
    points: &'a [Point],
) -> impl Iterator<Item = Case> + 'a {
    let at = move |point: &Point, shot| Case {
        lane: lane.into(),
        verb: verb.into(),
        role: point.role.clone(),
        n: point.n,
        shot,
    };
    points.iter().flat_map(move |point| {
        let fails = !unswept("killed").any(|name| name == point.call);
        let answers = (0..ERRNOS.len()).map(Shot::Errno).chain([Shot::Cut]);
        let answers = answers.filter(move |shot| fails && shot.fits(&point.call));
        let kills = (0..TARGETS.len()).filter(move |target| *target == 0 || point.init).map(Shot::Kill);
        answers.chain(kills).map(move |shot| at(point, shot))
    })
}

/// Is this case among every `part`-th that `seed` picks? By its text: one more call elsewhere picks no other cases.
pub(crate) fn picked(case: &Case, seed: u64, part: u64) -> bool {
    // FNV-1a, then the finalizer of SplitMix64.
    let text = case.to_string();
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).is_multiple_of(part.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_its_text() {
        for text in
            ["spt create init 17 EROFS", "qemu delete runtime 1 kill:both", "qemu start runtime 9 cut"]
        {
            assert_eq!(text.parse::<Case>().unwrap().to_string(), text);
        }
        for text in ["spt create init 17", "spt create init x EIO", "spt create init 1 kill:me"] {
            assert!(text.parse::<Case>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_beyond_doubt_is_of_one_call_one_errno_and_one_place() {
        let doubt = |call, object, shot: &str| !beyond_doubt(call, object, shot.parse().unwrap());
        assert!(!doubt("flock", "/sys/fs/cgroup/pids/a", "EAGAIN"));
        assert!(doubt("flock", "/sys/fs/cgroup/pids/a", "EIO"));
        assert!(doubt("flock", "/run/root/a", "EAGAIN"));
        assert!(doubt("openat", "/sys/fs/cgroup/pids/a", "EAGAIN"));
    }

    #[test]
    fn a_tenth_is_a_tenth_and_the_seed_decides_which() {
        let all: Vec<Case> =
            (0..5000).map(|n| format!("spt start runtime {n} EIO").parse().unwrap()).collect();
        let of = |seed| all.iter().filter(|case| picked(case, seed, 10)).count();
        assert!((400..600).contains(&of(1)), "{}", of(1));
        assert!(all.iter().any(|case| picked(case, 1, 10) != picked(case, 2, 10)));
        assert!(all.iter().all(|case| picked(case, 1, 1)));
    }
}
