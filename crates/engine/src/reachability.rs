//! Imports that each export of a code reaches, computed once when it is compiled and kept with its machine code: the
//! call graph of a large interpreter takes half a second.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::call_graph::{CallGraph, ReachableImports};

/// Version of the analysis. Raise it whenever the call graph finds other imports for the same code: results of another
/// version on the disk are ignored.
const VERSION: u32 = 1;
/// Exports that are followed ahead. Of code with more, each load follows those that the app calls.
const MAX_EXPORTS: usize = 1024;
/// Functions that are followed ahead, over all exports.
const MAX_FUNCTIONS: usize = 4_000_000;
/// Bytes of imported names that are kept, over all exports.
const MAX_BYTES: usize = 1 << 20;

/// Reachable imports of a code's exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reachability {
    /// Known for all exports, sorted by interface and name.
    Known(Vec<((Option<String>, String), Names)>),
    /// The calls of the code cannot be followed.
    Untraceable,
    /// Not computed, since the code has too many exports or imports.
    Large,
}

type Names = BTreeSet<(String, String)>;

impl Reachability {
    /// Follows the exports of a valid component or core module.
    pub(crate) fn of(code: &[u8]) -> Self {
        let Some(graph) = CallGraph::of(code) else { return Self::Untraceable };
        if graph.exports().count() > MAX_EXPORTS {
            return Self::Large;
        }
        let (mut bytes, mut functions) = (0_usize, MAX_FUNCTIONS);
        let mut known = BTreeMap::new();
        for (interface, name) in graph.exports() {
            let Some(reachable) = graph.reachable_within(interface, name, &mut functions) else {
                return Self::Large;
            };
            let Some(names) = reachable.into_names() else { continue };
            bytes +=
                names.iter().map(|(interface, name)| interface.len() + name.len()).sum::<usize>();
            if bytes > MAX_BYTES {
                return Self::Large;
            }
            known.insert((interface.map(str::to_owned), name.to_owned()), names);
        }
        Self::Known(known.into_iter().collect())
    }

    /// The imports that an export may call. `None` if they were not computed.
    pub(crate) fn reachable(
        &self,
        interface: Option<&str>,
        name: &str,
    ) -> Option<ReachableImports> {
        match self {
            Self::Known(known) => {
                let at = known.binary_search_by(|((of, export), _)| {
                    (of.as_deref(), export.as_str()).cmp(&(interface, name))
                });
                let names = at.ok().and_then(|at| known.get(at)).map(|(_, names)| names.clone());
                Some(names.map_or(ReachableImports::ALL, ReachableImports::of))
            }
            Self::Untraceable => Some(ReachableImports::ALL),
            Self::Large => None,
        }
    }

    /// Encodes it for the disk.
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&(VERSION, self)).unwrap_or_default()
    }

    /// Decodes it. Other bytes, and results of another version of the analysis, give [`Reachability::Large`].
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        match serde_json::from_slice(bytes) {
            Ok((VERSION, known)) => known,
            _ => Self::Large,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn the_reachable_imports_of_all_exports_are_kept() -> Tested {
        let text = r#"(module (import "a" "x" (func $x)) (import "a" "y" (func $y))
            (func (export "f") (call $x)) (func (export "g")))"#;
        let known = Reachability::of(&wat::parse_str(text)?);
        assert_eq!(Reachability::decode(&known.encode()), known);
        let reachable = |name| known.reachable(None, name).ok_or("not computed");
        assert!(reachable("f")?.has("a", "x") && !reachable("f")?.has("a", "y"));
        assert!(!reachable("g")?.has_any("a"));
        assert_eq!(reachable("none")?, ReachableImports::ALL);
        assert_eq!(Reachability::decode(b"other"), Reachability::Large);
        let other = serde_json::to_vec(&(VERSION + 1, &known))?;
        assert_eq!(Reachability::decode(&other), Reachability::Large);
        Ok(())
    }

    #[test]
    fn large_code_is_not_followed_ahead() -> Tested {
        let exports: String =
            (0..=MAX_EXPORTS).map(|n| format!("(func (export \"{n}\"))")).collect();
        let large = Reachability::of(&wat::parse_str(format!("(module {exports})"))?);
        assert_eq!((large.reachable(None, "0"), &large), (None, &Reachability::Large));
        let open = r#"(module (import "a" "t" (table 1 funcref)) (func (export "f")))"#;
        let lost = Reachability::of(&wat::parse_str(open)?);
        assert_eq!(
            (lost.reachable(None, "f"), &lost),
            (Some(ReachableImports::ALL), &Reachability::Untraceable)
        );
        Ok(())
    }
}
