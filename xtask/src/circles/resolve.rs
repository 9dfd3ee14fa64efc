//! Resolution of a path to modules.

use std::collections::BTreeSet;

use super::tree::{ModulePath, Tree, joined};

/// Lookups in progress for one path, so that names that import each other end.
type Seen = BTreeSet<(ModulePath, String)>;

impl Tree {
    /// Modules that `path` leads to from `from`: the one that defines its item, and each whose re-export it passes.
    /// Empty for a path into another crate.
    pub(super) fn targets(&self, from: &[String], path: &[String]) -> BTreeSet<ModulePath> {
        let mut targets = BTreeSet::new();
        self.follow(from, path, &mut targets, &mut Seen::new());
        targets
    }

    fn follow(
        &self,
        from: &[String],
        path: &[String],
        targets: &mut BTreeSet<ModulePath>,
        seen: &mut Seen,
    ) {
        let Some((first, rest)) = path.split_first() else { return };
        match first.as_str() {
            "crate" => self.walk(&[], rest, targets, seen),
            "self" => self.walk(from, rest, targets, seen),
            "super" => {
                let mut at = from;
                let mut rest = path;
                while let [first, after @ ..] = rest
                    && first == "super"
                {
                    let Some((_, above)) = at.split_last() else { return };
                    (at, rest) = (above, after);
                }
                self.walk(at, rest, targets, seen);
            }
            name if self.binds(from, name) => self.walk(from, path, targets, seen),
            _ => {}
        }
    }

    /// Returns true if `name` is a child of `module` or imported into it.
    fn binds(&self, module: &[String], name: &str) -> bool {
        self.child(module, name).is_some()
            || self.modules.get(module).is_some_and(|it| {
                it.paths.bindings.contains_key(name) || !it.paths.globs.is_empty()
            })
    }

    fn walk(
        &self,
        at: &[String],
        path: &[String],
        targets: &mut BTreeSet<ModulePath>,
        seen: &mut Seen,
    ) {
        let Some((name, rest)) = path.split_first() else {
            targets.insert(at.to_vec());
            return;
        };
        let child = self.child(at, name);
        if let Some(child) = &child {
            self.walk(child, rest, targets, seen);
            // A module may have the name of a function beside it, which only the end of a path can mean.
            if !rest.is_empty() {
                return;
            }
        } else {
            targets.insert(at.to_vec());
        }
        let Some(module) =
            self.modules.get(at).filter(|_| seen.insert((at.to_vec(), name.clone())))
        else {
            return;
        };
        for bound in module.paths.bindings.get(name).into_iter().flatten() {
            targets.insert(at.to_vec());
            self.follow(at, &[bound, rest].concat(), targets, seen);
        }
        let globs = module.paths.globs.iter();
        for glob in globs.filter(|_| child.is_none() && !module.paths.bindings.contains_key(name)) {
            let path = joined(glob, name);
            self.follow(at, &[&path, rest].concat(), targets, seen);
        }
    }
}
