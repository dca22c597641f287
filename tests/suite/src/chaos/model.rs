//! What one container may do, and whether a history of concurrent commands is possible in some order.

use std::collections::BTreeSet;

/// Where a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Absent,
    /// Its directory is there and the record is not, yet or any more: only in the way of a `create`.
    Empty,
    Creating,
    /// Its `create` cannot succeed any more.
    Broken,
    Created,
    Running,
    /// SIGKILL was sent to it: created or running until the kernel has done its work.
    Doomed {
        started: bool,
    },
    Stopped,
}

use Place::{Absent, Broken, Created, Creating, Doomed, Empty, Running, Stopped};

/// One command: what was asked, what it said, and when (numbers of one global counter).
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) verb: &'static str,
    pub(super) said: &'static str,
    pub(super) begin: usize,
    pub(super) end: usize,
}

/// How many steps a command takes that others can see between.
fn steps(command: &Command) -> u8 {
    match (command.verb, command.said) {
        ("create", "interrupted") => 4,
        ("create" | "delete" | "force", "ok") => 3,
        ("create", "exists") => 2,
        _ => 1,
    }
}

/// Where the container may be after a step of a command, and how many it has taken then; empty: the step cannot be
/// taken here.
fn step(place: Place, command: &Command, number: u8) -> Vec<(Place, u8)> {
    match (command.verb, command.said, number, place) {
        // It made the directory; a `delete` may take that away, and another `create` the id.
        ("create", "exists", 0, Absent) => vec![(Empty, 1)],
        ("create", "exists", 1, Absent) => vec![(Absent, 0)],
        ("create", "exists", 1, Empty) => Vec::new(),
        ("create", "exists", ..) => vec![(place, 2)],
        _ => places(place, command, number).into_iter().map(|place| (place, number + 1)).collect(),
    }
}

/// As [`step`], of commands whose steps follow each other.
#[expect(clippy::match_same_arms, reason = "one line for each answer, in the order of a life")]
fn places(place: Place, command: &Command, number: u8) -> Vec<Place> {
    let next = match (command.verb, command.said, number, place) {
        ("create", "ok" | "interrupted", 0, Absent) => Empty,
        // A `delete` may have taken away the empty directory.
        ("create", "ok" | "interrupted", 1, Empty | Absent) => Creating,
        ("create", "ok", 2, Creating) => Created,
        ("create", "interrupted", 2, Broken) => Empty,
        ("create", "interrupted", 3, Empty) => Absent,
        ("start", "ok", _, Created) => Running,
        ("start", "running", _, Running | Doomed { started: true }) => place,
        ("start", "creating", _, Creating | Broken) => place,
        ("start", "stopped", _, Stopped | Broken) | ("start", "interrupted", _, Stopped) => place,
        ("start", "interrupted", _, Doomed { .. }) => place,
        ("kill", "ok", _, Created) => Doomed { started: false },
        ("kill", "ok", _, Running) => Doomed { started: true },
        ("kill", "ok", _, Creating | Broken) => Broken,
        ("kill", "ok", _, Doomed { .. }) => place,
        ("kill", "not running", _, Stopped | Creating | Broken) => place,
        ("delete", "ok", 0, Created | Doomed { started: false } | Stopped) => Stopped,
        ("force", "ok", 0, Creating | Broken) => Broken,
        ("force", "ok", 0, Absent | Empty) => place,
        ("force", "ok", 0, _) => Stopped,
        ("delete", "ok", 0 | 1, Empty) | ("force", "ok", 1, Empty) => Empty,
        ("delete" | "force", "ok", 1, Stopped) => Empty,
        ("delete" | "force", "ok", 2, Empty) => Absent,
        ("force", "ok", 1 | 2, Absent) => Absent,
        ("delete", "not stopped", _, Running | Creating | Broken | Doomed { started: true }) => place,
        ("state", "creating", _, Creating | Broken) => place,
        ("state", "created", _, Created | Doomed { started: false }) => place,
        ("state", "running", _, Running | Doomed { started: true }) => place,
        ("state", "stopped", _, Stopped | Broken) => place,
        ("delete", "absent", _, Absent) => Absent,
        ("start" | "kill" | "state", "absent", _, Absent | Empty) => place,
        _ => {
            return if matches!(place, Doomed { .. }) {
                places(Stopped, command, number)
            } else {
                Vec::new()
            };
        }
    };
    // What is doomed may be seen as it was, and as stopped.
    let stopped = matches!(place, Doomed { .. }) && next == place;
    if stopped { vec![next, Stopped] } else { vec![next] }
}

/// A possible present: where the container is, and how many steps each unfinished command has taken.
type World = (Place, Vec<(usize, u8)>);

/// The first command of a history (of one container, absent at first) that no order explains; what was possible then.
pub(super) fn unexplained(history: &[Command]) -> Option<(usize, String)> {
    let mut events: Vec<(usize, usize)> =
        history.iter().enumerate().flat_map(|(index, c)| [(c.begin, index), (c.end, index)]).collect();
    events.sort_unstable();
    let mut worlds = BTreeSet::from([(Absent, Vec::new())]);
    for (time, index) in events {
        if time == history[index].begin {
            worlds = worlds
                .into_iter()
                .map(|(place, mut open)| {
                    open.push((index, 0));
                    (place, open)
                })
                .collect();
            continue;
        }
        let all = closure(history, &worlds);
        let done = |open: &[(usize, u8)]| open.contains(&(index, steps(&history[index])));
        let without = |open: Vec<(usize, u8)>| open.into_iter().filter(|(i, _)| *i != index).collect();
        let next: BTreeSet<World> = all
            .into_iter()
            .filter(|(_, open)| done(open))
            .map(|(place, open)| (place, without(open)))
            .collect();
        if next.is_empty() {
            return Some((index, format!("{worlds:?}")));
        }
        worlds = next;
    }
    None
}

/// Every world that steps of unfinished commands can reach.
fn closure(history: &[Command], worlds: &BTreeSet<World>) -> BTreeSet<World> {
    let mut all = worlds.clone();
    let mut fresh: Vec<World> = worlds.iter().cloned().collect();
    while let Some((place, open)) = fresh.pop() {
        for (at, (index, taken)) in open.iter().enumerate() {
            if *taken == steps(&history[*index]) {
                continue;
            }
            for (place, taken) in step(place, &history[*index], *taken) {
                let mut open = open.clone();
                open[at].1 = taken;
                if all.insert((place, open.clone())) {
                    fresh.push((place, open));
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(list: &[(&'static str, &'static str, usize, usize)]) -> Option<usize> {
        let commands: Vec<_> =
            list.iter().map(|&(verb, said, begin, end)| Command { verb, said, begin, end }).collect();
        unexplained(&commands).map(|(index, _)| index)
    }

    /// Commands that do not overlap, VERB SAID each.
    fn in_turn(text: &'static str) -> Option<usize> {
        let words: Vec<_> = text.split(", ").map(|pair| pair.split_once(' ').unwrap()).collect();
        let list: Vec<_> =
            words.iter().enumerate().map(|(n, &(verb, said))| (verb, said, 2 * n, 2 * n + 1)).collect();
        history(&list)
    }

    #[test]
    fn possible_lives() {
        let lives = [
            "create ok, state created, start ok, state running, kill ok, state stopped, delete ok, state absent",
            "create ok, create exists, start ok, start running, delete not stopped, force ok, create ok",
            "create ok, delete ok, delete absent, force ok, start absent, kill absent, create ok, start ok",
            "create ok, kill ok, state created, state stopped, start stopped, kill not running, delete ok",
            "create ok, start ok, kill ok, state running, kill ok, state stopped, delete ok",
        ];
        for life in lives {
            assert_eq!(in_turn(life), None, "{life}");
        }
    }

    /// The last command of each is what cannot be.
    #[test]
    fn impossible_lives() {
        let lives = [
            "state created",
            "create exists",
            "delete ok",
            "create absent",
            "create ok, create ok",
            "create ok, state absent",
            "create ok, state creating",
            "create ok, state running",
            "create ok, state stopped",
            "create ok, start absent",
            "create ok, start running",
            "create ok, start interrupted",
            "create ok, kill not running",
            "create ok, delete not stopped",
            "create ok, start ok, start ok",
            "create ok, start ok, state created",
            "create ok, start ok, state stopped",
            "create ok, start ok, delete ok",
            "create ok, start ok, start stopped",
            "create ok, kill ok, start ok",
            "create ok, kill ok, state running",
            "create ok, start ok, kill ok, start ok",
            "create ok, start ok, kill ok, state stopped, state running",
            "create ok, start ok, kill ok, state stopped, kill ok",
            "create ok, start ok, kill ok, state stopped, delete not stopped",
            "create ok, delete ok, delete ok",
            "create ok, delete ok, start ok",
            "create ok, force ok, state stopped",
            "create ok, force ok, create exists",
        ];
        for life in lives {
            assert_eq!(in_turn(life), Some(life.split(", ").count() - 1), "{life}");
        }
    }

    /// What overlaps may have happened in any order, and only then.
    #[test]
    fn overlapping_commands() {
        let started = [("create", "ok", 0, 1), ("start", "ok", 2, 4)];
        assert_eq!(history(&[&started[..], &[("start", "ok", 3, 5)]].concat()), Some(2));
        assert_eq!(history(&[&started[..], &[("start", "running", 3, 5)]].concat()), None);
        assert_eq!(history(&[&started[..], &[("state", "created", 3, 5)]].concat()), None);
        assert_eq!(history(&[&started[..], &[("state", "created", 5, 6)]].concat()), Some(2));
        let both = [("create", "ok", 0, 1), ("delete", "ok", 2, 4), ("delete", "ok", 3, 5)];
        assert_eq!(history(&both), Some(2));
        let both = [("create", "ok", 0, 2), ("create", "ok", 1, 3)];
        assert_eq!(history(&both), Some(1));
        // A failed start needs somebody who ended the container.
        let failed = [("create", "ok", 0, 1), ("start", "interrupted", 2, 5), ("kill", "ok", 3, 4)];
        assert_eq!(history(&failed), None);
    }
}
