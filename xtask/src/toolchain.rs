//! Search for a Rust toolchain that builds guests: the current one if it has the target's standard library, else
//! Debian's, which builds the standard library from its source.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::program;
use crate::root;

/// Folder of the WASI C library from `.ci/guest-toolchain`, from the top of the workspace.
const SYSROOT: &str = "target/guest-toolchain/usr/lib";

/// Folder of rustc and cargo in Debian's packages.
const DEBIAN_BIN: &str = "/usr/bin";

/// Toolchain for one target.
pub(crate) enum Toolchain {
    /// Current toolchain, with the target's standard library installed.
    Installed,
    /// Debian's rustc with its source, the WASI C library beside it, and the linkers of the current toolchain.
    Debian { library: PathBuf, linkers: PathBuf },
}

impl Toolchain {
    /// Finds the toolchain for `target` on this machine.
    pub(crate) fn find(target: &str) -> Result<Self> {
        let here = sysroot(Path::new("rustc"))?;
        if here.join("lib/rustlib").join(target).join("lib").is_dir() {
            return Ok(Self::Installed);
        }
        let library = root().join(SYSROOT).join(target);
        let linkers = here.join("lib/rustlib").join(host()?).join("bin");
        let source = sysroot(&debian("rustc")).map(|debian| source_of(&debian));
        if library.join("libc.a").is_file()
            && linkers.join("wasm-component-ld").is_file()
            && source.is_ok_and(|source| source.is_dir())
        {
            return Ok(Self::Debian { library, linkers });
        }
        bail!(
            "no toolchain for {target}: run `rustup target add {target}`, \
             or on Debian, where that cannot download, `.ci/guest-toolchain`"
        )
    }

    /// Command that builds one package of `workspace` for `target`, in release, into `workspace`'s own `target`;
    /// `is_bin` selects a program or a library.
    pub(crate) fn build(
        &self,
        workspace: &Path,
        package: &str,
        target: &str,
        is_bin: bool,
    ) -> Result<Command> {
        let mut command = match self {
            Self::Installed => Command::new(program()),
            Self::Debian { .. } => Command::new(debian("cargo")),
        };
        command.current_dir(workspace).args(["rustc", "--release", "--locked"]);
        command.args(["--package", package, "--target", target]);
        // Flags of the surrounding build are for another target.
        command.env_remove("RUSTFLAGS").env("CARGO_TARGET_DIR", workspace.join("target"));
        let mut flags = remapped(&source_of(&self.sysroot()?), workspace)?;
        if let Self::Debian { library, linkers } = self {
            flags.push(format!("-Lnative={}", library.display()));
            flags.push("-Clink-self-contained=no".to_owned());
            use_debian(&mut command, target, linkers)?;
            // Without self-contained objects the start object of the program must be named.
            let start = library.join(if is_bin { "crt1-command.o" } else { "crt1-reactor.o" });
            command
                .args(["-Zbuild-std=std,panic_abort", "--"])
                .arg(format!("-Clink-arg={}", start.display()));
        }
        // Cargo's own separator, so that a path with a blank is one flag.
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        Ok(command)
    }

    fn sysroot(&self) -> Result<PathBuf> {
        match self {
            Self::Installed => sysroot(Path::new("rustc")),
            Self::Debian { .. } => sysroot(&debian("rustc")),
        }
    }
}

fn use_debian(command: &mut Command, target: &str, linkers: &Path) -> Result<()> {
    let linker = if target.ends_with("p1") { "rust-lld" } else { "wasm-component-ld" };
    let before = [linkers.to_owned(), PathBuf::from(DEBIAN_BIN)];
    let path = env::var_os("PATH").unwrap_or_default();
    command
        .env("PATH", env::join_paths(before.into_iter().chain(env::split_paths(&path)))?)
        .env("RUSTC", debian("rustc"))
        // Building the standard library is an unstable option, and this compiler is stable.
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_")),
            linkers.join(linker),
        );
    Ok(())
}

/// Flags that keep all paths of this machine out of the built bytes.
fn remapped(source: &Path, workspace: &Path) -> Result<Vec<String>> {
    let mut roots =
        vec![(cargo_home()?.join("registry/src"), "/registry"), (workspace.to_owned(), "/guests")];
    // The source may be a link, and the compiler may report either name.
    roots.extend(source.canonicalize().map(|real| (real, "/rustc")));
    roots.push((source.to_owned(), "/rustc"));
    Ok(roots
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
        .collect())
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::home_dir().context("neither CARGO_HOME nor a home directory is known")?;
    Ok(home.join(".cargo"))
}

fn debian(program: &str) -> PathBuf {
    Path::new(DEBIAN_BIN).join(program)
}

fn source_of(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib/src/rust")
}

fn sysroot(rustc: &Path) -> Result<PathBuf> {
    ask(rustc, &["--print", "sysroot"]).map(PathBuf::from)
}

/// Target of this machine, as rustc names it.
fn host() -> Result<String> {
    let told = ask(Path::new("rustc"), &["-vV"])?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

fn ask(rustc: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(rustc).args(args).current_dir(root()).output();
    let output = output.with_context(|| format!("starting {}", rustc.display()))?;
    if !output.status.success() {
        bail!("`{} {}` failed", rustc.display(), args.join(" "));
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
