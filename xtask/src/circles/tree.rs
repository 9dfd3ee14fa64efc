//! Modules of a crate as its files declare them, without those built only for tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use syn::ext::IdentExt;
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta};

use super::paths::{Paths, for_tests};

/// Names from the root of a crate to a module; empty for the root.
pub(super) type ModulePath = Vec<String>;

/// Module: its file and the paths in it.
pub(super) struct Module {
    /// Path from the top of the workspace.
    pub(super) file: PathBuf,
    pub(super) paths: Paths,
}

/// All modules of a crate.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) modules: BTreeMap<ModulePath, Module>,
}

/// Returns the text of a file, `None` for a missing one.
pub(super) type Files<'a> = &'a dyn Fn(&Path) -> Result<Option<String>>;

impl Tree {
    /// Reads `file`, the root of a crate, and all files that it declares.
    pub(super) fn read(file: &Path, files: Files<'_>) -> Result<Self> {
        let mut tree = Self::default();
        let Some(text) = files(file)? else { bail!("{}: no such file", file.display()) };
        let folder = file.parent().unwrap_or(Path::new(""));
        tree.add_file(Vec::new(), file, folder, &text, files)?;
        tree.bind_exported_macros();
        Ok(tree)
    }

    /// Path of the module `name` in `parent`, if it exists.
    pub(super) fn child(&self, parent: &[String], name: &str) -> Option<ModulePath> {
        let path = joined(parent, name);
        self.modules.contains_key(&path).then_some(path)
    }

    /// Adds a file; `folder` contains the files of the module's children.
    fn add_file(
        &mut self,
        path: ModulePath,
        file: &Path,
        folder: &Path,
        text: &str,
        files: Files<'_>,
    ) -> Result<()> {
        let parsed = syn::parse_file(text).map_err(|error| {
            let line = error.span().start().line;
            anyhow::anyhow!("{}:{line}: {error}", file.display())
        })?;
        self.add(path, file, folder, &parsed.items, files)
    }

    fn add(
        &mut self,
        path: ModulePath,
        file: &Path,
        folder: &Path,
        items: &[Item],
        files: Files<'_>,
    ) -> Result<()> {
        let mut paths = Paths::default();
        for item in items {
            match item {
                Item::Mod(module) if for_tests(&module.attrs) => {}
                Item::Mod(module) => self.add_child(&path, module, file, folder, files)?,
                other => paths.add(other),
            }
        }
        self.modules.insert(path, Module { file: file.to_owned(), paths });
        Ok(())
    }

    fn add_child(
        &mut self,
        parent: &[String],
        module: &ItemMod,
        file: &Path,
        folder: &Path,
        files: Files<'_>,
    ) -> Result<()> {
        let name = module.ident.unraw().to_string();
        let path = joined(parent, &name);
        if module.attrs.iter().any(|it| it.path().is_ident("macro_use")) {
            let line = module.ident.span().start().line;
            bail!("{}:{line}: `#[macro_use]`: import the macro by its path", file.display());
        }
        let below = folder.join(&name);
        if let Some((_, items)) = &module.content {
            return self.add(path, file, &below, items, files);
        }
        let candidates = match stated_file(&module.attrs) {
            Some(stated) => {
                let file = file.parent().unwrap_or(Path::new("")).join(stated);
                let folder = file.parent().unwrap_or(Path::new("")).to_owned();
                vec![(file, folder)]
            }
            None => vec![
                (folder.join(format!("{name}.rs")), below.clone()),
                (below.join("mod.rs"), below),
            ],
        };
        for (file, folder) in candidates {
            if let Some(text) = files(&file)? {
                return self.add_file(path, &file, &folder, &text, files);
            }
        }
        let line = module.ident.span().start().line;
        bail!("{}:{line}: module `{name}` has no file", file.display())
    }

    /// Binds `#[macro_export]` macros in the root of their crate.
    fn bind_exported_macros(&mut self) {
        let exported = self.modules.iter().flat_map(|(path, module)| {
            let names = module.paths.exported_macros.iter();
            names.map(move |name| (name.clone(), joined(path, name)))
        });
        let exported = exported.collect::<Vec<_>>();
        let Some(root) = self.modules.get_mut(&Vec::new()) else { return };
        for (name, mut path) in exported.into_iter().filter(|(_, path)| path.len() > 1) {
            path.insert(0, "crate".to_owned());
            root.paths.bindings.entry(name).or_default().push(path);
        }
    }
}

/// File of a module by its `#[path = "…"]`.
fn stated_file(attributes: &[Attribute]) -> Option<PathBuf> {
    attributes.iter().find_map(|it| match &it.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().into()),
            _ => None,
        },
        _ => None,
    })
}

pub(super) fn joined(parent: &[String], name: &str) -> ModulePath {
    let mut path = parent.to_vec();
    path.push(name.to_owned());
    path
}

/// Reads files below `root`, the top of the workspace.
pub(super) fn on_disk(root: &Path) -> impl Fn(&Path) -> Result<Option<String>> {
    move |file| match std::fs::read_to_string(root.join(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}
