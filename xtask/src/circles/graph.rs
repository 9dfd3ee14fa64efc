//! Arrows between modules with the same parent, and their circles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::tree::{ModulePath, Tree};

/// First place at which a module names another: file and line.
pub(super) type Place = (String, usize);

/// Arrows between the children of one module.
type Arrows = BTreeMap<String, BTreeMap<String, Place>>;

/// Modules of one parent that all reach each other.
pub(super) struct Circle {
    pub(super) parent: ModulePath,
    pub(super) members: BTreeSet<String>,
    /// A shortest path around: origin, target and place of each arrow.
    pub(super) way: Vec<(String, String, Place)>,
    /// All arrows between members.
    pub(super) arrows: Vec<(String, String, Place)>,
}

/// All circles of a crate, the largest first.
pub(super) fn circles(tree: &Tree) -> Vec<Circle> {
    let mut circles = Vec::new();
    for (parent, arrows) in families(tree) {
        for members in knots(&arrows) {
            let arrows = arrows
                .iter()
                .filter(|(from, _)| members.contains(*from))
                .flat_map(|(from, to)| to.iter().map(move |(to, place)| (from, to, place)))
                .filter(|(_, to, _)| members.contains(*to))
                .map(|(from, to, place)| (from.clone(), to.clone(), place.clone()))
                .collect::<Vec<_>>();
            let way = shortest(&members, &arrows);
            circles.push(Circle { parent: parent.clone(), members, way, arrows });
        }
    }
    circles.sort_by_key(|it| std::cmp::Reverse(it.members.len()));
    circles
}

/// Parent → arrows between its children. A reference counts where the two paths part; one between a module and its
/// ancestor does not count.
fn families(tree: &Tree) -> BTreeMap<ModulePath, Arrows> {
    let mut families = BTreeMap::<ModulePath, Arrows>::new();
    for (from, module) in &tree.modules {
        for reference in &module.paths.references {
            for to in tree.targets(from, &reference.path) {
                let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) else { continue };
                let file = module.file.to_string_lossy().replace('\\', "/");
                let arrows = families.entry(from[..shared].to_vec()).or_default();
                let targets = arrows.entry(a.clone()).or_default();
                targets.entry(b.clone()).or_insert((file, reference.line));
            }
        }
    }
    families
}

/// Sets of two or more modules that reach each other.
fn knots(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let reached = arrows.keys().map(|from| (from, reachable(arrows, from)));
    let reached = reached.collect::<BTreeMap<_, _>>();
    let mut knots = BTreeSet::new();
    for (from, all) in &reached {
        if all.contains(*from) {
            let back = |it: &&String| reached.get(it).is_some_and(|all| all.contains(*from));
            knots.insert(all.iter().filter(back).cloned().collect());
        }
    }
    knots.into_iter().collect()
}

/// Modules reachable from `from`; itself only by a circle.
fn reachable(arrows: &Arrows, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![from.to_owned()];
    while let Some(at) = ahead.pop() {
        for to in arrows.get(&at).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(to.clone()) {
                ahead.push(to.clone());
            }
        }
    }
    reached
}

/// Shortest path from a member back to itself.
fn shortest(
    members: &BTreeSet<String>,
    arrows: &[(String, String, Place)],
) -> Vec<(String, String, Place)> {
    let round = |start: &String| {
        let mut came_by = BTreeMap::new();
        let mut ahead = VecDeque::from([start]);
        while let Some(at) = ahead.pop_front() {
            for arrow in arrows.iter().filter(|(from, _, _)| from == at) {
                if let std::collections::btree_map::Entry::Vacant(entry) = came_by.entry(&arrow.1) {
                    entry.insert(arrow);
                    ahead.push_back(&arrow.1);
                }
            }
        }
        let mut way = Vec::new();
        let mut at = start;
        loop {
            let arrow = *came_by.get(at)?;
            way.insert(0, arrow.clone());
            at = &arrow.0;
            if at == start {
                return Some(way);
            }
        }
    };
    members.iter().filter_map(round).min_by_key(Vec::len).unwrap_or_default()
}
