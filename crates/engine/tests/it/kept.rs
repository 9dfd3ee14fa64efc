//! Machine code on disk: loaded if intact and this user's own, else compiled again.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::{Tested, wasi};
use crisol_engine::{Allocation, CodeCache, Engine, EngineConfig, Grants, Limits};
use crisol_wit::CoreModule;
use tempfile::TempDir;
use wasmtime::component::Val;

/// A component whose `f` returns `n`.
fn gives(n: i32) -> Tested<Vec<u8>> {
    Ok(wat::parse_str(format!(
        r#"(component
            (core module $m (func (export "f") (result i32) (i32.const {n})))
            (core instance $i (instantiate $m))
            (func (export "f") (result s32) (canon lift (core func $i "f"))))"#
    ))?)
}

fn engine(cache: CodeCache) -> Tested<Engine> {
    let allocation = Allocation::OnDemand;
    Ok(Engine::new(EngineConfig { allocation, cache: Some(cache), ..EngineConfig::default() })?)
}

/// Compiles in a new engine, like another run of the program, and calls `f`.
async fn run(dir: &Path, bytes: &[u8]) -> Tested<Option<Val>> {
    let engine = engine(CodeCache::new(dir))?;
    let compiled = engine.compile(bytes, false)?;
    let linked = engine.link(&compiled, &Grants::default(), "f")?;
    let mut instance = linked.instantiate(wasi(), Limits::default(), None).await?;
    Ok(instance.call(&[], None).await?)
}

/// Like [`run`], for a core module.
async fn run_core(dir: &Path, bytes: &[u8]) -> Tested<Option<Val>> {
    let engine = engine(CodeCache::new(dir))?;
    let compiled = engine.compile(bytes, false)?;
    let core = CoreModule::read(bytes, None, "f")?.ok_or("it is not a core module")?;
    let linked = engine.link_core(&compiled, &core, &Grants::default(), "f")?;
    let mut instance = linked.instantiate(wasi(), Limits::default(), None).await?;
    Ok(instance.call(&[], None).await?)
}

fn files(dir: &Path) -> Tested<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
    Ok(entries.collect::<Result<_, _>>()?)
}

fn only(dir: &Path) -> Tested<PathBuf> {
    match files(dir)?.as_slice() {
        [file] => Ok(file.clone()),
        other => Err(format!("expected one file, found {other:?}").into()),
    }
}

/// Stores the code of `f = 2` under the file name of `f = 1`; the result shows which one ran.
async fn swapped() -> Tested<(TempDir, Vec<u8>, PathBuf)> {
    let (dir, other) = (TempDir::new()?, TempDir::new()?);
    let bytes = gives(1)?;
    run(dir.path(), &bytes).await?;
    run(other.path(), &gives(2)?).await?;
    let file = only(dir.path())?;
    fs::copy(only(other.path())?, &file)?;
    Ok((dir, bytes, file))
}

#[tokio::test]
async fn code_is_kept_and_used_by_the_next_run() -> Tested {
    let (dir, bytes, file) = swapped().await?;
    assert_eq!(run(dir.path(), &bytes).await?, Some(Val::S32(2)), "the file was not used");
    let mode = fs::metadata(&file)?.permissions().mode() & 0o777;
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    Ok(())
}

#[tokio::test]
async fn core_modules_are_kept_too_and_never_taken_for_components() -> Tested {
    let gives = |n: i32| {
        wat::parse_str(format!("(module (func (export \"f\") (result i32) (i32.const {n})))"))
    };
    let (dir, other, third) = (TempDir::new()?, TempDir::new()?, TempDir::new()?);
    let bytes = gives(1)?;
    run_core(dir.path(), &bytes).await?;
    run_core(other.path(), &gives(2)?).await?;
    run(third.path(), &self::gives(3)?).await?;
    let file = only(dir.path())?;
    fs::copy(only(other.path())?, &file)?;
    assert_eq!(run_core(dir.path(), &bytes).await?, Some(Val::S32(2)), "the file was not used");
    fs::copy(only(third.path())?, &file)?;
    assert_eq!(run_core(dir.path(), &bytes).await?, Some(Val::S32(1)), "it is a component's");
    Ok(())
}

#[tokio::test]
async fn files_writable_by_others_are_replaced() -> Tested {
    for mode in [0o620, 0o602] {
        let (dir, bytes, file) = swapped().await?;
        fs::set_permissions(&file, Permissions::from_mode(mode))?;
        assert_eq!(run(dir.path(), &bytes).await?, Some(Val::S32(1)), "{mode:o}");
        assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600, "replaced");
    }
    for mode in [0o770, 0o707, 0o1777] {
        let (dir, bytes, file) = swapped().await?;
        let before = fs::read(&file)?;
        fs::set_permissions(dir.path(), Permissions::from_mode(mode))?;
        assert_eq!(run(dir.path(), &bytes).await?, Some(Val::S32(1)), "{mode:o}");
        assert_eq!(fs::read(&file)?, before, "nothing is written there either");
    }
    Ok(())
}

#[tokio::test]
async fn a_file_of_another_user_is_not_used() -> Tested {
    let (dir, bytes, file) = swapped().await?;
    if std::os::unix::fs::chown(&file, Some(65_534), None).is_err() {
        // Only root can change a file's owner.
        return Ok(());
    }
    assert_eq!(run(dir.path(), &bytes).await?, Some(Val::S32(1)));
    assert_eq!(fs::metadata(&file)?.uid(), rustix::process::geteuid().as_raw(), "replaced");

    let (dir, bytes, file) = swapped().await?;
    let before = fs::read(&file)?;
    std::os::unix::fs::chown(dir.path(), Some(65_534), None)?;
    assert_eq!(run(dir.path(), &bytes).await?, Some(Val::S32(1)), "the folder is another user's");
    assert_eq!(fs::read(&file)?, before, "nothing is written there either");
    let error = CodeCache::new(dir.path()).check().err().ok_or("the folder was taken")?;
    assert!(error.to_string().starts_with("the folder belongs to user 65534, and "), "{error}");
    Ok(())
}

#[tokio::test]
async fn links_and_pipes_are_ignored() -> Tested {
    let (dir, bytes, file) = swapped().await?;
    let target = dir.path().join("elsewhere");
    fs::rename(&file, &target)?;
    symlink(&target, &file)?;
    assert_eq!(run(dir.path(), &bytes).await?, Some(Val::S32(1)));
    assert!(fs::symlink_metadata(&file)?.is_file(), "the link was replaced");

    fs::remove_file(&file)?;
    let (cwd, kind) = (rustix::fs::CWD, rustix::fs::FileType::Fifo);
    rustix::fs::mknodat(cwd, &file, kind, rustix::fs::Mode::RWXU, 0)?;
    assert_eq!(run(dir.path(), &bytes).await?, Some(Val::S32(1)));
    Ok(())
}

#[tokio::test]
async fn a_damaged_file_is_made_again() -> Tested {
    let (dir, bytes, file) = swapped().await?;
    let whole = fs::read(&file)?;
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for damaged in [&changed[..], &whole[..middle], &whole[..10], b""] {
        fs::write(&file, damaged)?;
        assert_eq!(run(dir.path(), &bytes).await?, Some(Val::S32(1)));
        assert!(fs::read(&file)?.len() > whole.len() / 2, "it was not made again");
    }
    Ok(())
}

#[tokio::test]
async fn each_kind_of_engine_has_files_of_its_own() -> Tested {
    let dir = TempDir::new()?;
    let bytes = gives(1)?;
    let asynchronous = wat::parse_str(r#"(component (import "f" (func async)))"#)?;
    for _ in 0..2 {
        let engine = engine(CodeCache::new(dir.path()))?;
        engine.compile(&bytes, false)?;
        engine.compile(&bytes, true)?;
        engine.compile(&asynchronous, false)?;
        let stack = EngineConfig::default().max_wasm_stack / 2;
        let allocation = Allocation::OnDemand;
        let cache = Some(CodeCache::new(dir.path()));
        let config = EngineConfig { allocation, cache, ..EngineConfig::default() };
        Engine::new(EngineConfig { max_wasm_stack: stack, ..config })?.compile(&bytes, true)?;
        assert_eq!(files(dir.path())?.len(), 3, "the stack's size is no part of the code");
    }
    Ok(())
}

/// Code for fully reserved memories has no bounds checks, so it must not run with other memories.
#[tokio::test]
async fn engine_configuration_is_part_of_the_cache_key() -> Tested {
    let dir = TempDir::new()?;
    let bytes = gives(1)?;
    let compile = |allocation| -> Tested {
        let cache = Some(CodeCache::new(dir.path()));
        let config = EngineConfig { allocation, cache, ..EngineConfig::default() };
        Engine::new(config)?.compile(&bytes, false)?;
        Ok(())
    };
    compile(Allocation::OnDemand)?;
    let first = only(dir.path())?;
    compile(Allocation::Unreserved)?;
    let both = files(dir.path())?;
    assert_eq!(both.len(), 2, "{both:?}");
    // Both names contain the digest of their bytes.
    let digest = crisol_engine::Digest::of(&bytes).to_string();
    let name = |file: &PathBuf| file.file_name().map(|name| name.to_string_lossy().into_owned());
    assert!(both.iter().filter_map(name).all(|name| name.starts_with(&digest)), "{both:?}");
    // Under the other's name it does not run either, since the engine recognizes foreign code.
    let second = both.into_iter().find(|file| *file != first).ok_or("a second file")?;
    fs::copy(&second, &first)?;
    assert_eq!(run(dir.path(), &bytes).await?, Some(Val::S32(1)));
    assert_ne!(fs::read(&first)?, fs::read(&second)?, "it was made again");
    Ok(())
}

#[tokio::test]
async fn cache_evicts_least_recently_used_code() -> Tested {
    let dir = TempDir::new()?;
    run(dir.path(), &gives(0)?).await?;
    let first = only(dir.path())?;
    let size = fs::metadata(&first)?.len();
    let ago = |hours: u64| SystemTime::now() - Duration::from_secs(hours * 3600);
    fs::File::open(&first)?.set_modified(ago(30))?;
    let abandoned = dir.path().join(".tmp-abandoned");
    fs::write(&abandoned, "half")?;
    fs::File::open(&abandoned)?.set_modified(ago(30))?;

    run(dir.path(), &gives(1)?).await?;
    assert!(!abandoned.exists());
    for file in files(dir.path())?.iter().filter(|file| **file != first) {
        fs::File::open(file)?.set_modified(ago(20))?;
    }
    // Use updates the older file's time.
    run(dir.path(), &gives(0)?).await?;
    let max_bytes = 2 * size + size / 2;
    engine(CodeCache { max_bytes, ..CodeCache::new(dir.path()) })?.compile(&gives(2)?, false)?;
    let left = files(dir.path())?;
    assert!(left.len() == 2 && left.contains(&first), "{left:?}");
    Ok(())
}

#[tokio::test]
async fn unusable_cache_folder_does_not_fail_compilation() -> Tested {
    let dir = TempDir::new()?;
    let file = dir.path().join("file");
    fs::write(&file, "")?;
    assert_eq!(run(&file.join("below"), &gives(1)?).await?, Some(Val::S32(1)));
    Ok(())
}
