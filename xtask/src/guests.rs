//! Build of the guests from source. A guest is a folder; its manifest has the rest: program or library and, under
//! `package.metadata.guest`, a `target` other than the usual one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use crisol_fixtures::{SUMS_FILE, committed_dir, guests_dir, sums};

use crate::cargo::{Package, metadata, succeed};
use crate::toolchain::Toolchain;

const USUAL_TARGET: &str = "wasm32-wasip2";

/// Builds every guest; returns the folder with only their bytes and sums.
pub(crate) fn build_all() -> Result<PathBuf> {
    let workspace = guests_dir();
    let fresh = workspace.join("target/fresh");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).with_context(|| format!("emptying {}", fresh.display()))?;
    }
    fs::create_dir_all(&fresh).with_context(|| format!("making {}", fresh.display()))?;
    for package in metadata(&workspace, &["--no-deps", "--locked"])?.packages {
        let guest = Guest::new(&package)?;
        println!("guest {} ({})", guest.name, guest.target);
        let built = guest.build(&workspace)?;
        copy(&built, &fresh.join(format!("{}.wasm", guest.name)))?;
    }
    write_sums(&fresh)?;
    tell_differences(&fresh)?;
    Ok(fresh)
}

/// Builds every guest, and replaces the committed bytes and sums.
pub(crate) fn bless() -> Result<()> {
    let fresh = build_all()?;
    let committed = committed_dir();
    for old in wasm_files(&committed)? {
        fs::remove_file(&old).with_context(|| format!("removing {}", old.display()))?;
    }
    for new in wasm_files(&fresh)? {
        copy(&new, &committed.join(new.file_name().unwrap_or_default()))?;
    }
    write_sums(&committed)?;
    println!("{} holds what was built", committed.display());
    Ok(())
}

struct Guest {
    name: String,
    target: String,
    /// Name of the linked artifact for rustc; `is_bin` is true for a program.
    artifact: String,
    is_bin: bool,
}

impl Guest {
    fn new(package: &Package) -> Result<Self> {
        let folder = package.manifest_path.parent().and_then(Path::file_name);
        if folder.is_none_or(|folder| *folder != *package.name) {
            bail!("the guest `{}` is not in a folder of that name", package.name);
        }
        let artifact = package.targets.iter().find_map(|target| {
            let is = |kind: &str| target.kind.iter().any(|it| it == kind);
            (is("bin") || is("cdylib")).then(|| (target.name.clone(), is("bin")))
        });
        let (artifact, is_bin) = artifact.with_context(|| {
            format!("the guest `{}` is neither program nor cdylib", package.name)
        })?;
        let target = package.metadata.as_ref().and_then(|it| it.pointer("/guest/target")?.as_str());
        let target = target.unwrap_or(USUAL_TARGET).to_owned();
        Ok(Self { name: package.name.clone(), target, artifact, is_bin })
    }

    /// Builds the guest by itself, so that its bytes do not depend on features that other guests enable.
    fn build(&self, workspace: &Path) -> Result<PathBuf> {
        let toolchain = Toolchain::find(&self.target)?;
        let mut command = toolchain.build(workspace, &self.name, &self.target, self.is_bin)?;
        succeed(&mut command, format_args!("building the guest `{}`", self.name))?;
        let built = workspace.join("target").join(&self.target).join("release");
        Ok(built.join(format!("{}.wasm", self.artifact)))
    }
}

fn tell_differences(fresh: &Path) -> Result<()> {
    let committed = fs::read_to_string(committed_dir().join(SUMS_FILE)).unwrap_or_default();
    let fresh = sums(fresh)?;
    let differing = fresh.lines().filter(|line| !committed.lines().any(|old| old == *line)).count();
    let count = fresh.lines().count();
    match differing {
        0 => println!("{count} guests, each the same bytes as the committed one"),
        _ => println!(
            "{count} guests, {differing} of other bytes than the committed (another toolchain, or source)"
        ),
    }
    Ok(())
}

fn write_sums(dir: &Path) -> Result<()> {
    let file = dir.join(SUMS_FILE);
    fs::write(&file, sums(dir)?).with_context(|| format!("writing {}", file.display()))
}

fn wasm_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|it| it == "wasm")).collect())
}

/// Copies the content without permissions: a linker marks its output as executable, and a fixture should not be.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    fs::write(to, bytes).with_context(|| format!("writing {}", to.display()))
}
