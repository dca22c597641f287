//! User namespaces: an ordinary container can have one of its own.

use crate::input::NamespaceKind;
use crate::launch::Identity;
use crate::machine::BootProtocol;
use crate::ordinary::IdMap;
use crate::{PlanError, Request};

/// Most lines of a map (user_namespaces(7)).
const MOST: usize = 340;

/// The maps of a new user namespace, of users and of groups; both are empty without one.
///
/// # Errors
/// A user namespace for a guest's monitor, whose devices and files are the host's; one that is joined; maps that do not
/// hold every id of the container.
pub fn maps(
    req: &Request,
    boot: BootProtocol,
    who: &Identity,
) -> Result<(Vec<IdMap>, Vec<IdMap>), PlanError> {
    let asked = &req.ordinary;
    let lists = [("linux.uidMappings", &asked.uid_map), ("linux.gidMappings", &asked.gid_map)];
    let entry = req.namespaces.iter().position(|entry| entry.kind == NamespaceKind::User);
    if boot != BootProtocol::Program {
        let mapped = lists.iter().find(|(_, map)| !map.is_empty());
        let field = entry.map(|index| format!("linux.namespaces[{index}].type"));
        return match field.or_else(|| mapped.map(|(field, _)| (*field).to_owned())) {
            Some(field) => {
                let why = "user namespaces are not supported; remove it or use another runtime";
                Err(PlanError::config(field, why))
            }
            None => Ok((Vec::new(), Vec::new())),
        };
    }
    match entry {
        Some(index) if req.namespaces[index].path.is_some() => {
            let field = format!("linux.namespaces[{index}].path");
            return Err(PlanError::config(field, "joining user namespaces is not built yet"));
        }
        Some(_) => joins_nothing(req)?,
        None => {}
    }
    let ids = [vec![0, who.uid], [&[0, who.gid], who.groups.as_slice()].concat()];
    for ((field, map), ids) in lists.into_iter().zip(ids) {
        if entry.is_some() {
            check(field, map, &ids)?;
        } else if !map.is_empty() {
            return Err(PlanError::config(field, "needs a user namespace in linux.namespaces"));
        }
    }
    Ok((asked.uid_map.clone(), asked.gid_map.clone()))
}

/// Whoever has a user namespace of its own has no privilege in the namespaces of others.
fn joins_nothing(req: &Request) -> Result<(), PlanError> {
    match req.namespaces.iter().position(|entry| entry.path.is_some()) {
        Some(index) => Err(PlanError::config(
            format!("linux.namespaces[{index}].path"),
            "cannot be joined from a user namespace of the container's own, remove one of the two",
        )),
        None => Ok(()),
    }
}

fn check(field: &str, map: &[IdMap], ids: &[u32]) -> Result<(), PlanError> {
    let refuse = |why: String| Err(PlanError::config(field, why));
    if map.is_empty() || map.len() > MOST {
        return refuse(format!("a user namespace needs 1 to {MOST} mappings, not {}", map.len()));
    }
    for (index, one) in map.iter().enumerate() {
        let ends = [one.container, one.host].map(|first| first.checked_add(one.size));
        if one.size == 0 || ends.contains(&None) {
            return refuse(format!("mapping {index} is not a range of ids"));
        }
        let overlap =
            |a: u32, b: u32, size: u32| a < b.saturating_add(size) && b < a.saturating_add(one.size);
        let twice = |other: &IdMap| {
            overlap(one.container, other.container, other.size) || overlap(one.host, other.host, other.size)
        };
        if map.iter().take(index).any(twice) {
            return refuse(format!("mapping {index} overlaps an earlier one"));
        }
    }
    let mapped = |id: u32| map.iter().any(|one| id.checked_sub(one.container).is_some_and(|n| n < one.size));
    match ids.iter().find(|id| !mapped(**id)) {
        Some(id) => refuse(format!("id {id} of the container is not mapped")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_ranges_that_hold_every_id() {
        let map = |list: &[(u32, u32, u32)]| -> Vec<IdMap> {
            list.iter().map(|&(container, host, size)| IdMap { container, host, size }).collect()
        };
        let why = |list: &[(u32, u32, u32)]| check("f", &map(list), &[0, 7]).map_err(|e| e.to_string());
        assert_eq!(why(&[(0, 1000, 8)]), Ok(()));
        assert_eq!(why(&[(7, 1000, 1), (0, 1001, 7)]), Ok(()));
        for (list, words) in [
            (vec![], "1 to 340"),
            (vec![(0, 1, 1); 341], "not 341"),
            (vec![(0, 1000, 0)], "mapping 0 is not a range"),
            (vec![(0, u32::MAX, 8)], "mapping 0 is not a range"),
            (vec![(0, 1000, 8), (7, 2000, 1)], "mapping 1 overlaps"),
            (vec![(0, 1000, 8), (8, 1007, 1)], "mapping 1 overlaps"),
            (vec![(1, 1000, 8)], "id 0 of the container"),
            (vec![(0, 1000, 7)], "id 7 of the container"),
        ] {
            assert!(why(&list).unwrap_err().contains(words), "{words}");
        }
    }
}
