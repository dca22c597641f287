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

/// Where the container may be after a step of a command; empty: the step cannot be taken here.
#[expect(clippy::match_same_arms, reason = "one line for each answer, in the order of a life")]
fn step(place: Place, command: &Command, number: u8) -> Vec<Place> {
    // Its directory may have been taken away by a `delete`, and the id by another `create`.
    if (command.verb, command.said, number) == ("create", "exists", 0) {
        return if place == Absent { vec![Absent, Empty] } else { vec![place] };
    }
    let next = match (command.verb, command.said, number, place) {
        ("create", "ok" | "interrupted", 0, Absent) => Empty,
        // A `delete` may have taken away the empty directory.
        ("create", "ok" | "interrupted", 1, Empty | Absent) => Creating,
        ("create", "ok", 2, Creating) => Created,
        ("create", "interrupted", 2, Broken) => Empty,
        ("create", "interrupted", 3, Empty) => Absent,
        ("create", "exists", ..) if place != Absent => place,
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
        _ => return if matches!(place, Doomed { .. }) { step(Stopped, command, number) } else { Vec::new() },
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
            for place in step(place, &history[*index], *taken) {
                let mut open = open.clone();
                open[at].1 += 1;
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

    #[test]
    fn one_life_has_one_start() {
        assert_eq!(
            history(&[("create", "ok", 0, 1), ("start", "ok", 2, 3), ("start", "running", 4, 5)]),
            None
        );
        assert_eq!(history(&[("create", "ok", 0, 1), ("start", "ok", 2, 4), ("start", "ok", 3, 5)]), Some(2));
    }

    #[test]
    fn what_is_deleted_has_no_state() {
        let life = [("create", "ok", 0, 1), ("force", "ok", 2, 3)];
        assert_eq!(history(&[&life[..], &[("state", "stopped", 4, 5)]].concat()), Some(2));
        assert_eq!(history(&[&life[..], &[("state", "absent", 4, 5)]].concat()), None);
        // A second delete of one life is no success unless forced.
        assert_eq!(
            history(&[("create", "ok", 0, 1), ("delete", "ok", 2, 4), ("delete", "ok", 3, 5)]),
            Some(2)
        );
    }

    #[test]
    fn a_failed_start_needs_a_reason() {
        assert_eq!(history(&[("create", "ok", 0, 1), ("start", "interrupted", 2, 3)]), Some(1));
        assert_eq!(
            history(&[("create", "ok", 0, 1), ("start", "interrupted", 2, 5), ("kill", "ok", 3, 4)]),
            None
        );
    }
}
