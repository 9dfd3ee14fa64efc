//! Circles between the modules of a crate: a module that depends on its own dependents cannot be read, moved or tested
//! by itself. A module here is a child of the crate's root with all below it, and likewise a child of any module.

mod graph;
mod paths;
mod resolve;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::graph::{Circle, Place, circles};
use self::tree::{Tree, on_disk};
use crate::Findings;

/// Crates that still have circles, with the number of modules in them. A number only goes down, and a crate without
/// circles has no line.
const STILL: &[(&str, usize)] = &[];

/// Folder of a crate, number of its modules, and its circles.
struct Found {
    folder: String,
    modules: usize,
    circles: Vec<Circle>,
}

impl Found {
    fn read(root: &Path, folder: &str) -> Result<Self> {
        let source = Path::new("crates").join(folder).join("src");
        let files = ["lib.rs", "main.rs"].map(|name| source.join(name));
        let mut found = Self { folder: folder.to_owned(), modules: 0, circles: Vec::new() };
        for file in files.iter().filter(|file| root.join(file).exists()) {
            let tree = Tree::read(file, &on_disk(root))?;
            found.modules += tree.modules.len() - 1;
            found.circles.extend(circles(&tree));
        }
        Ok(found)
    }

    /// Number of modules in circles.
    fn in_circles(&self) -> usize {
        self.circles.iter().map(|circle| circle.members.len()).sum()
    }

    fn largest(&self) -> usize {
        self.circles.iter().map(|circle| circle.members.len()).max().unwrap_or(0)
    }

    /// Problems, if `allowed` modules may be in circles.
    fn problems(&self, allowed: usize) -> Vec<String> {
        let (folder, count) = (&self.folder, self.in_circles());
        let numbers = format!("crates/{folder}: {count} modules are in circles, {allowed} may be");
        match count {
            0 if allowed > 0 => vec![format!("{numbers}: drop the crate from the list `STILL`")],
            _ if count < allowed => {
                vec![format!("{numbers}: lower the number in the list `STILL`")]
            }
            _ if count == allowed => Vec::new(),
            _ => {
                let circles =
                    self.circles.iter().map(|it| format!("crates/{folder}: {}", told(it)));
                circles.chain((allowed > 0).then_some(numbers)).collect()
            }
        }
    }
}

/// Compares the circles of all crates with the allowed numbers.
pub(crate) fn check(root: &Path) -> Result<Findings> {
    let folders = folders(root)?;
    let still = STILL.iter().copied().collect::<BTreeMap<_, _>>();
    let gone = still.keys().filter(|folder| !folders.iter().any(|it| it == *folder));
    let mut problems = gone
        .map(|folder| {
            format!("the list `STILL` names `{folder}`, and there is no `crates/{folder}`")
        })
        .collect::<Vec<_>>();
    let mut modules = 0;
    for folder in &folders {
        let found = Found::read(root, folder)?;
        println!(
            "crates/{folder}: the largest circle has {} of {} modules",
            found.largest(),
            found.modules
        );
        modules += found.modules;
        problems.extend(found.problems(still.get(folder.as_str()).copied().unwrap_or(0)));
    }
    Ok(Findings { looked_at: format!("{modules} modules of {} crates", folders.len()), problems })
}

/// Prints each circle of one crate with all arrows between its modules.
pub(crate) fn show(root: &Path, folder: &str) -> Result<()> {
    if !folders(root)?.iter().any(|it| it == folder) {
        bail!("there is no `crates/{folder}`");
    }
    let found = Found::read(root, folder)?;
    for circle in &found.circles {
        println!("{}", told(circle));
        for (from, to, place) in &circle.arrows {
            println!("    {from} ─▶ {}", arrow(to, place));
        }
    }
    println!("{} of {} modules are in circles", found.in_circles(), found.modules);
    Ok(())
}

/// Formats a circle as a chain of arrows.
fn told(circle: &Circle) -> String {
    let chain = circle.way.iter().map(|(_, to, place)| format!(" ─▶ {}", arrow(to, place)));
    let parent = circle.parent.iter().map(|name| format!("{name}::")).collect::<String>();
    format!(
        "a circle of {} modules: {parent}{}{}",
        circle.members.len(),
        circle.way.first().map_or("", |(from, _, _)| from),
        chain.collect::<String>()
    )
}

fn arrow(to: &str, (file, line): &Place) -> String {
    format!("{to} ({file}:{line})")
}

/// Names of the folders in `crates`, in order.
fn folders(root: &Path) -> Result<Vec<String>> {
    let crates = root.join("crates");
    let read = fs::read_dir(&crates).with_context(|| format!("reading {}", crates.display()))?;
    let paths = read.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let names = paths.iter().filter(|it| it.is_dir()).filter_map(|it| it.file_name());
    let mut names = names.map(|it| it.to_string_lossy().into_owned()).collect::<Vec<_>>();
    names.sort();
    Ok(names)
}
