//! Dependencies between crates, as cargo resolves them, checked against the table of allowed arrows and against the
//! absences that the architecture promises.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};

use crate::arrows::Arrows;
use crate::cargo::{Metadata, metadata};
use crate::{Findings, root};

const TABLE: &str = "docs/architecture.md";

/// Folders of crates that must not reach the engine, by any path, in a normal build.
const WITHOUT_WASMTIME: [&str; 6] = ["core", "schema", "pool", "transport", "server", "lua"];

/// Crate that reads YAML, and the only one that may depend on it.
const YAML: &str = "serde-saphyr";
const KNOWS_YAML: &str = "schema";

/// Crates whose tests use fakes: WebAssembly is forbidden there even for tests.
const WITHOUT_WASM_IN_TESTS: [&str; 1] = ["pool"];
const WASM: [&str; 4] = ["wasmtime", "wat", "wasmparser", "crisol-fixtures"];

/// Tool beside the crates, or for development only: it is not shipped.
const FIXTURES: &str = "fixtures";

pub(crate) fn check() -> Result<Findings> {
    let root = root();
    let document =
        fs::read_to_string(root.join(TABLE)).with_context(|| format!("reading {TABLE}"))?;
    let arrows = Arrows::parse(&document).with_context(|| format!("in {TABLE}"))?;
    let graph = Graph::new(&metadata(&root, &["--locked"])?);
    Ok(Findings {
        looked_at: format!("{} crates and {} dependencies", graph.folders.len(), graph.direct()),
        problems: problems(&graph, &arrows),
    })
}

/// Packages by name; those of `crates/` also by the name of their folder.
struct Graph {
    /// Folder below `crates/` → package.
    folders: BTreeMap<String, String>,
    /// Package → its dependencies, each with its use: normal, or for tests only.
    edges: BTreeMap<String, BTreeMap<String, Use>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Tests,
    Always,
}

impl Graph {
    fn new(metadata: &Metadata) -> Self {
        let name_of = metadata
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package.name.as_str()))
            .collect::<BTreeMap<_, _>>();
        let mut folders = BTreeMap::new();
        for package in
            metadata.packages.iter().filter(|it| metadata.workspace_members.contains(&it.id))
        {
            let mut parents = package.manifest_path.ancestors().skip(1);
            let names =
                [parents.next(), parents.next()].map(|path| path.and_then(|path| path.file_name()));
            if let [Some(folder), Some(parent)] = names
                && parent == "crates"
            {
                folders.insert(folder.to_string_lossy().into_owned(), package.name.clone());
            }
        }
        let mut edges = BTreeMap::<String, BTreeMap<String, Use>>::new();
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let Some(from) = name_of.get(node.id.as_str()) else { continue };
            let targets = edges.entry((*from).to_owned()).or_default();
            for dependency in &node.deps {
                let Some(to) = name_of.get(dependency.pkg.as_str()) else { continue };
                let always =
                    dependency.dep_kinds.iter().any(|it| it.kind.as_deref() != Some("dev"));
                let used = if always { Use::Always } else { Use::Tests };
                let known = targets.entry((*to).to_owned()).or_insert(used);
                *known = used.max(*known);
            }
        }
        Self { folders, edges }
    }

    /// Number of direct dependencies of the crates in `crates/`.
    fn direct(&self) -> usize {
        self.folders.values().map(|package| self.uses(package).count()).sum()
    }

    fn uses(&self, package: &str) -> impl Iterator<Item = (&str, Use)> {
        self.edges.get(package).into_iter().flatten().map(|(to, used)| (to.as_str(), *used))
    }

    fn folder(&self, package: &str) -> Option<&str> {
        self.folders.iter().find(|(_, name)| *name == package).map(|(folder, _)| folder.as_str())
    }

    /// A shortest path of dependencies from `package` to one of `targets`. With `tests`, the first step may be a test
    /// dependency. (A dependency's own tests are never built.)
    fn path(&self, package: &str, targets: &[&str], tests: bool) -> Option<Vec<String>> {
        let mut seen = BTreeSet::new();
        let mut paths = vec![vec![package]];
        while !paths.is_empty() {
            let mut longer = Vec::new();
            for path in paths {
                let last = *path.last()?;
                for (to, used) in self.uses(last) {
                    if used == Use::Tests && !(tests && path.len() == 1) {
                        continue;
                    }
                    let mut path = path.clone();
                    path.push(to);
                    if targets.contains(&to) {
                        return Some(path.into_iter().map(str::to_owned).collect());
                    }
                    if seen.insert(to) {
                        longer.push(path);
                    }
                }
            }
            paths = longer;
        }
        None
    }
}

fn problems(graph: &Graph, arrows: &Arrows) -> Vec<String> {
    let mut problems = Vec::new();
    for folder in graph.folders.keys().filter(|folder| !arrows.crates().any(|line| line == *folder))
    {
        problems.push(format!("`crates/{folder}` has no line in the arrows of {TABLE}"));
    }
    for line in arrows.crates().filter(|line| !graph.folders.contains_key(*line)) {
        problems.push(format!("{TABLE} has arrows for `{line}`, and there is no `crates/{line}`"));
    }
    for (folder, package) in &graph.folders {
        for (to, used) in graph.uses(package).filter(|(to, _)| to != package) {
            problems.extend(arrow_problem(graph, arrows, folder, to, used));
        }
    }
    problems.extend(absence_problems(graph));
    problems
}

fn arrow_problem(
    graph: &Graph,
    arrows: &Arrows,
    from: &str,
    to: &str,
    used: Use,
) -> Option<String> {
    let allowed = match graph.folder(to) {
        Some(FIXTURES) => used == Use::Tests,
        Some(to) => arrows.allow(from, to),
        None => used == Use::Tests || to != YAML && !arrows.mention(to) || may(arrows, from, to),
    };
    let tests = if used == Use::Tests { " (for its tests)" } else { "" };
    (!allowed)
        .then(|| format!("`crates/{from}` depends on `{to}`{tests}: no arrow of {TABLE} allows it"))
}

/// Returns true if a crate of ours may depend on a restricted outside crate.
fn may(arrows: &Arrows, from: &str, to: &str) -> bool {
    arrows.allow(from, to) || (to == YAML && from == KNOWS_YAML)
}

fn absence_problems(graph: &Graph) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |folders: &[&str], targets: &[&str], tests| {
        for package in folders.iter().filter_map(|folder| graph.folders.get(*folder)) {
            if let Some(path) = graph.path(package, targets, tests) {
                problems.push(format!(
                    "`{package}` must not reach `{}`: {}",
                    path[path.len() - 1],
                    path.join(" ─▶ ")
                ));
            }
        }
    };
    check(&WITHOUT_WASMTIME, &["wasmtime"], false);
    check(&WITHOUT_WASM_IN_TESTS, &WASM, true);
    check(&["engine"], &["crisol-schema", "crisol-pool"], true);
    check(&["pool"], &["crisol-engine"], true);
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Graph, problems};
    use crate::arrows::Arrows;
    use crate::cargo::Metadata;

    const ARROWS: &str = "\
## Allowed arrows
```
core ─▶ (nothing of ours)
schema ─▶ core
pool ─▶ (nothing of ours)
engine ─▶ core, wasmtime
fixtures ─▶ (nothing of ours)
```";

    /// Problems of a graph with edges `(from, to, kind)`; a name with a slash is a crate of ours, `crates/core`.
    fn found(edges: &[(&str, &str, Option<&str>)]) -> anyhow::Result<Vec<String>> {
        let mut ours = ["core", "schema", "pool", "engine", "fixtures"].map(String::from).to_vec();
        ours.extend(edges.iter().map(|edge| edge.0.to_owned()).filter(|from| from == "extra"));
        let name = |it: &str| {
            if ours.iter().any(|folder| folder == it) {
                format!("crisol-{it}")
            } else {
                it.to_owned()
            }
        };
        let mut all = ours.clone();
        all.extend(edges.iter().flat_map(|edge| [edge.0, edge.1]).map(str::to_owned));
        let packages = all.iter().map(|it| {
            json!({"id": name(it), "name": name(it), "targets": [],
                   "manifest_path": format!("/x/crates/{it}/Cargo.toml")})
        });
        let nodes = edges.iter().map(|(from, to, kind)| {
            json!({"id": name(from), "deps": [{"pkg": name(to), "dep_kinds": [{"kind": kind}]}]})
        });
        let metadata = json!({
            "packages": packages.collect::<Vec<Value>>(),
            "workspace_members": ours.iter().map(|it| name(it)).collect::<Vec<_>>(),
            "resolve": {"nodes": nodes.collect::<Vec<Value>>()},
        });
        let metadata = serde_json::from_value::<Metadata>(metadata)?;
        Ok(problems(&Graph::new(&metadata), &Arrows::parse(ARROWS)?))
    }

    fn assert_one(found: &[String], words: &[&str]) {
        assert!(
            matches!(found, [one] if words.iter().all(|word| one.contains(word))),
            "{found:#?}"
        );
    }

    const DEV: Option<&str> = Some("dev");

    #[test]
    fn allowed_arrows_are_accepted() -> anyhow::Result<()> {
        let edges = [
            ("schema", "core", None),
            ("schema", "serde-saphyr", None),
            ("engine", "core", None),
            ("engine", "wasmtime", None),
            ("engine", "fixtures", DEV),
            ("core", "serde", None),
            ("schema", "wasmtime", DEV),
        ];
        assert_eq!(found(&edges)?, Vec::<String>::new());
        Ok(())
    }

    #[test]
    fn forbidden_arrow_is_reported() -> anyhow::Result<()> {
        assert_one(&found(&[("core", "schema", None)])?, &["crates/core", "crisol-schema"]);
        assert_one(&found(&[("core", "schema", DEV)])?, &["crates/core", "for its tests"]);
        assert_one(&found(&[("engine", "fixtures", None)])?, &["crates/engine", "crisol-fixtures"]);
        assert_one(&found(&[("core", "serde-saphyr", Some("build"))])?, &["crates/core", "saphyr"]);
        Ok(())
    }

    #[test]
    fn a_crate_and_its_line_go_together() -> anyhow::Result<()> {
        assert_one(&found(&[("extra", "serde", None)])?, &["crates/extra", "no line"]);
        let lonely = Arrows::parse("## Allowed arrows\n```\ngone ─▶ core\n```")?;
        let metadata = json!({"packages": [], "workspace_members": [], "resolve": null});
        let graph = Graph::new(&serde_json::from_value::<Metadata>(metadata)?);
        assert_one(&problems(&graph, &lonely), &["`gone`", "there is no"]);
        Ok(())
    }

    #[test]
    fn wasmtime_is_found_however_far_away() -> anyhow::Result<()> {
        let edges = [("core", "a", None), ("a", "b", None), ("b", "wasmtime", None)];
        assert_one(&found(&edges)?, &["crisol-core ─▶ a ─▶ b ─▶ wasmtime"]);
        Ok(())
    }

    #[test]
    fn the_pool_is_tested_without_wasm() -> anyhow::Result<()> {
        assert_one(&found(&[("pool", "wat", DEV)])?, &["crisol-pool ─▶ wat"]);
        assert_one(&found(&[("pool", "fixtures", DEV)])?, &["crisol-pool ─▶ crisol-fixtures"]);
        assert_eq!(found(&[("pool", "tokio", DEV), ("tokio", "wat", DEV)])?, Vec::<String>::new());
        Ok(())
    }

    #[test]
    fn engine_and_schema_do_not_meet_by_a_detour() -> anyhow::Result<()> {
        let edges = [("engine", "detour", None), ("detour", "schema", None)];
        assert_one(&found(&edges)?, &["crisol-engine ─▶ detour ─▶ crisol-schema"]);
        Ok(())
    }
}
