//! Splitting a route by its paths, so that each kind and length ranks by itself (routing.md §4).

use uuid::Uuid;

use crate::priority::PathShape;

/// Namespace of the ids of split routes. Part of the behaviour: these ids break ties.
const GROUPS: Uuid = Uuid::from_u128(0x7f145bf9_0dce_4f91_98eb_debbce4b9f6b);

/// Paths of a route that rank alike.
#[derive(Debug)]
pub(crate) struct PathGroup<'a> {
    /// The id that breaks ties between matchers.
    pub(crate) id: Uuid,
    pub(crate) shape: PathShape,
    /// The paths in order of declaration, regexes with their `~`.
    pub(crate) paths: Vec<&'a str>,
}

/// The groups of a route's paths in order of first appearance; one without paths if there are none.
pub(crate) fn split(route: Uuid, paths: &[String]) -> Vec<PathGroup<'_>> {
    let mut groups: Vec<PathGroup<'_>> = Vec::new();
    for path in paths {
        let shape = if path.starts_with('~') {
            PathShape::Regex
        } else {
            PathShape::Prefix(path.len())
        };
        let same = |group: &&mut PathGroup<'_>| match (group.shape, shape) {
            (PathShape::Regex, PathShape::Regex) => true,
            (PathShape::Prefix(a), PathShape::Prefix(b)) => a == b,
            _ => false,
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.paths.push(path),
            None => groups.push(PathGroup {
                id: route,
                shape,
                paths: vec![path],
            }),
        }
    }
    numbered(route, groups)
}

/// Every path by itself; one group without paths if there are none.
pub(crate) fn split_each(route: Uuid, paths: &[String]) -> Vec<PathGroup<'_>> {
    let groups = paths.iter().map(|path| PathGroup {
        id: route,
        shape: shape(path),
        paths: vec![path],
    });
    numbered(route, groups.collect())
}

fn shape(path: &str) -> PathShape {
    if path.starts_with('~') {
        PathShape::Regex
    } else {
        PathShape::Prefix(path.len())
    }
}

fn numbered(route: Uuid, mut groups: Vec<PathGroup<'_>>) -> Vec<PathGroup<'_>> {
    match groups.len() {
        0 => vec![PathGroup {
            id: route,
            shape: PathShape::None,
            paths: Vec::new(),
        }],
        1 => groups,
        _ => {
            for (index, group) in groups.iter_mut().enumerate() {
                group.id = Uuid::new_v5(&GROUPS, format!("{route}#{}", index + 1).as_bytes());
            }
            groups
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_of_one_length_stay_together_and_groups_are_numbered_in_order_of_appearance() {
        let route = Uuid::from_u128(1);
        let paths = ["/aaa", "~/x", "/b", "/ccc", "~/y"].map(str::to_owned);
        let groups = split(route, &paths);
        let shown: Vec<_> = groups.iter().map(|group| group.paths.join(" ")).collect();
        assert_eq!(shown, ["/aaa /ccc", "~/x ~/y", "/b"]);
        assert_eq!(
            groups[1].id,
            Uuid::new_v5(&GROUPS, b"00000000-0000-0000-0000-000000000001#2")
        );
    }

    #[test]
    fn one_group_keeps_the_id_of_the_route() {
        let route = Uuid::from_u128(7);
        assert_eq!(split(route, &["/a".to_owned(), "/b".to_owned()])[0].id, route);
        assert_eq!(split(route, &[])[0].id, route);
    }
}
