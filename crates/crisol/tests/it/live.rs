//! Changes of running apps: one transaction at a time, and no caller sees half of one.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crisol::change::{ChangeError, Changes};
use crisol::{EntryId, ErrorKind, LoadError, Runtime};
use tokio::task::JoinSet;

use crate::support::{AppBuilder, Tested};

/// Returns the index file of an app.
fn app(entries: &str) -> String {
    AppBuilder::new("n").entries(entries).index().to_owned()
}

fn load(entries: &str) -> Result<Runtime, LoadError> {
    AppBuilder::new("n").entries(entries).load()
}

/// Builds the entry of a function that returns a number.
fn number(name: &str, value: i32, more: &str) -> String {
    format!(
        "  - {{name: {name}, kind: function.wat, method: f, source: '(module (func (export \"f\") (result i32) i32.const {value}))'{more}}}\n"
    )
}

/// Builds the entry of a function with an endless loop.
fn spin(name: &str, more: &str) -> String {
    format!(
        "  - {{name: {name}, kind: function.wat, method: f, source: '(module (func (export \"f\") (loop (br 0))))'{more}}}\n"
    )
}

fn id(text: &str) -> Tested<EntryId> {
    Ok(text.parse()?)
}

fn ids(ids: &[EntryId]) -> Vec<&str> {
    ids.iter().map(EntryId::as_str).collect()
}

#[tokio::test]
async fn entries_are_added_replaced_and_removed_at_once() -> Tested {
    let runtime = load(&(number("a", 1, "") + &number("b", 1, "") + &number("c", 1, "")))?;
    for _ in 0..3 {
        assert_eq!(runtime.call::<i32>("n:a", ()).await?, 1);
    }
    let before = runtime.generation();
    let changes =
        Changes::new().put(app(&(number("b", 2, "") + &number("d", 2, "")))).remove(id("n:c")?);
    let applied = runtime.apply(changes).await?;
    assert_eq!((before.number(), applied.generation), (1, 2));
    assert_eq!(ids(&applied.added), ["n:d"]);
    assert_eq!(ids(&applied.replaced), ["n:b"]);
    assert_eq!(ids(&applied.removed), ["n:c"]);
    assert_eq!(ids(&applied.rebuilt), ["n:b"]);
    assert_eq!(runtime.call::<i32>("n:b", ()).await?, 2);
    assert_eq!(runtime.call::<i32>("n:d", ()).await?, 2);
    let gone = runtime.call::<i32>("n:c", ()).await;
    assert_eq!(gone.err().map(|error| error.kind()), Some(ErrorKind::NotFound));

    // An unchanged function keeps its pool and statistics.
    assert_eq!(runtime.stats("n:a").map(|stats| stats.created), Some(3));
    // The old generation stays usable while it is held.
    assert_eq!(before.call::<i32>("n:b", ()).await?, 1);
    assert_eq!(before.call::<i32>("n:c", ()).await?, 1);
    assert_eq!(runtime.snapshot().retiring, 1);
    drop(before);
    assert_eq!(runtime.snapshot().retiring, 0);
    Ok(())
}

#[tokio::test]
async fn a_change_with_a_problem_leaves_everything_as_it_was() -> Tested {
    let runtime = load(&number("a", 1, ""))?;
    let missing = "  - {name: m, kind: function.wasm, fs: nowhere, path: /x.wasm, method: f, hash: 'sha256:00'}\n";
    let bad_code =
        "  - {name: b, kind: function.wat, method: g, source: '(module (func (export \"f\")))'}\n";
    let good = number("a", 2, "");
    for (text, rules) in [
        (app(&(good.clone() + missing)), &["dangling-reference", "bad-hash"][..]),
        (app(&(good.clone() + bad_code)), &["bad-code"]),
        ("namespace: n\nentries: [{".to_owned(), &["yaml-syntax"]),
    ] {
        match runtime.apply(Changes::new().put(text)).await {
            Err(ChangeError::App(problems)) => {
                let found: Vec<_> = problems.iter().map(|one| one.rule().to_string()).collect();
                for rule in rules {
                    assert!(found.iter().any(|one| one == rule), "{rule}: {problems}");
                }
                assert!(problems.to_string().contains("change.yaml:"), "{problems}");
            }
            other => panic!("expected problems, found {other:?}"),
        }
        assert_eq!(runtime.call::<i32>("n:a", ()).await?, 1);
    }
    let unknown = runtime.apply(Changes::new().remove(id("n:aa")?).put(app(&good))).await;
    let text = unknown.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(text.contains("cannot remove the unknown entry `n:aa`"), "{text}");
    let dangling = "  - {name: v, kind: env.variable, variable: V, storage: s}\n  - {name: s, kind: env.storage.memory}\n";
    runtime.apply(Changes::new().put(app(dangling))).await?;
    let in_use = runtime.apply(Changes::new().remove(id("n:s")?)).await;
    let text = in_use.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(text.contains("unknown entry `n:s`"), "{text}");
    assert_eq!(runtime.generation().number(), 2);
    Ok(())
}

#[tokio::test]
async fn failed_warm_start_keeps_the_old_generation() -> Tested {
    let runtime = load(&number("a", 1, ""))?;
    let trap = "  - {name: a, kind: function.wat, method: f, pool: {type: static, workers: 1, warm_start: true}, source: '(module (func $s unreachable) (start $s) (func (export \"f\") (result i32) i32.const 2))'}\n";
    let failed = runtime.apply(Changes::new().put(app(trap))).await;
    assert!(matches!(failed, Err(ChangeError::Warm(_))), "{failed:?}");
    assert_eq!(runtime.call::<i32>("n:a", ()).await?, 1);

    let warm = number("a", 3, ", pool: {type: static, workers: 1, size: 2, warm_start: true}");
    runtime.apply(Changes::new().put(app(&warm))).await?;
    assert_eq!(runtime.stats("n:a").map(|stats| stats.created), Some(2));
    Ok(())
}

#[tokio::test]
async fn waiting_calls_are_served_after_their_function_is_removed() -> Tested {
    let slow = ", pool: {type: inline}, limits: {max_execution_ms: 3600000}";
    let runtime = load(&spin("s", slow))?;
    let call = || {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.call::<()>("n:s", ()).await })
    };
    let calls = [call(), call(), call()];
    // All calls are admitted: one runs, two wait.
    while runtime.stats("n:s").is_none_or(|stats| stats.queued < 2) {
        tokio::task::yield_now().await;
    }
    runtime.apply(Changes::new().remove(id("n:s")?)).await?;
    assert_eq!(runtime.snapshot().retiring, 1);
    crate::support::skip(crate::support::HOUR).await;
    for call in calls {
        let ended = call.await?;
        assert_eq!(ended.err().map(|error| error.kind()), Some(ErrorKind::Deadline));
    }
    assert_eq!(runtime.snapshot().retiring, 0);
    Ok(())
}

#[tokio::test]
async fn dependents_of_a_changed_entry_are_rebuilt() -> Tested {
    let text = |value: &str| {
        app(&format!(
            "  - {{name: s, kind: env.storage.static, values: {{KEY: {value}}}}}\n  - {{name: r, kind: env.storage.router, storages: [s]}}\n  - {{name: v, kind: env.variable, variable: KEY, storage: r}}\n"
        ))
    };
    let uses = number("uses", 1, ", imports: [wasi:cli], wasi: {env: [{id: v, name: KEY}]}");
    let runtime = AppBuilder::new("n")
        .entries(&(uses + &number("plain", 1, "")))
        .builder()
        .file("env/_index.yaml", text("one"))
        .load()?;
    let same = runtime.apply(Changes::new().put(text("one"))).await?;
    assert!(same.replaced.is_empty() && same.rebuilt.is_empty(), "{same:?}");
    let changed = runtime.apply(Changes::new().put(text("two"))).await?;
    assert_eq!((ids(&changed.replaced), ids(&changed.rebuilt)), (vec!["n:s"], vec!["n:uses"]));
    Ok(())
}

#[tokio::test]
async fn reload_equals_a_fresh_start() -> Tested {
    let dir = tempfile::tempdir()?;
    let write = |text: &str| std::fs::write(dir.path().join("_index.yaml"), text);
    std::fs::write(
        dir.path().join("f.wat"),
        "(module (func (export \"f\") (result i32) i32.const 7))",
    )?;
    let from_file = "  - {name: file, kind: function.wat, method: f, source: 'file://f.wat'}\n";
    write(&app(&(number("a", 1, "") + from_file)))?;
    let runtime = AppBuilder::on_disk(dir.path()).load()?;
    runtime.apply(Changes::new().put(app(&number("b", 1, "")))).await?;

    // A change does not read other modified files.
    std::fs::write(
        dir.path().join("f.wat"),
        "(module (func (export \"f\") (result i32) i32.const 8))",
    )?;
    let unrelated = runtime.apply(Changes::new().put(app(&number("b", 2, "")))).await?;
    assert_eq!(ids(&unrelated.rebuilt), ["n:b"]);
    assert_eq!(runtime.call::<i32>("n:file", ()).await?, 7);

    let reloaded = runtime.reload().await?;
    assert_eq!((ids(&reloaded.removed), ids(&reloaded.rebuilt)), (vec!["n:b"], vec!["n:file"]));
    assert_eq!(runtime.call::<i32>("n:file", ()).await?, 8);

    // Half of a file, as left for a moment by an editor that truncates before it writes.
    write("namespace: n\nentries:\n  - {name: a, ki")?;
    assert!(matches!(runtime.reload().await, Err(ChangeError::App(_))));
    write("")?;
    assert!(matches!(runtime.reload().await, Err(ChangeError::App(_))));
    assert_eq!(runtime.call::<i32>("n:a", ()).await?, 1);
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_another_release_takes_mounts_with_it() -> Tested {
    let dir = tempfile::tempdir()?;
    let index = app(&("  - {name: data, kind: fs.directory, directory: ./data}\n".to_owned()
        + &number(
            "mounted",
            1,
            ", imports: [wasi:filesystem], wasi: {mounts: [{fs: data, guest: /data}]}",
        )
        + &number("plain", 1, "")));
    for release in ["one", "two"] {
        std::fs::create_dir_all(dir.path().join(release).join("data"))?;
        std::fs::write(dir.path().join(release).join("_index.yaml"), &index)?;
    }
    let link = dir.path().join("current");
    std::os::unix::fs::symlink("one", &link)?;
    let runtime = AppBuilder::on_disk(&link).load()?;
    assert!(runtime.reload().await?.rebuilt.is_empty());
    let fresh = dir.path().join("fresh");
    std::os::unix::fs::symlink("two", &fresh)?;
    std::fs::rename(&fresh, &link)?;
    let swapped = runtime.reload().await?;
    assert_eq!((ids(&swapped.replaced), ids(&swapped.rebuilt)), (vec![], vec!["n:mounted"]));
    Ok(())
}

/// Returns the resident memory of this process in KiB.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Both functions return the number of their generation, so calls within one generation get equal results.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_changes_while_sixty_four_call() -> Tested {
    if !crisol_fixtures::runs_alone(module_path!(), "a_thousand_changes_while_sixty_four_call")? {
        return Ok(());
    }
    let both = |value: i32| {
        number("one", value, "") + &number("two", value, ", pool: {type: static, workers: 4}")
    };
    let runtime = load(&(both(1) + &number("kept", 0, "")))?;
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..64 {
        let (runtime, stop, calls) = (runtime.clone(), Arc::clone(&stop), Arc::clone(&calls));
        callers.spawn(async move {
            let mut last = 0;
            while !stop.load(Ordering::Relaxed) {
                let generation = runtime.generation();
                let one: i32 = generation.call("n:one", ()).await?;
                tokio::task::yield_now().await;
                let two: i32 = generation.call("n:two", ()).await?;
                let kept: i32 = runtime.call("n:kept", ()).await?;
                assert_eq!((one, two, kept), (generation.number() as i32, one, 0));
                assert!(one >= last, "{one} after {last}");
                last = one;
                calls.fetch_add(3, Ordering::Relaxed);
            }
            Ok::<_, crisol::CallError>(())
        });
    }
    let mut early = None;
    for value in 2..=1_001 {
        let applied = runtime.apply(Changes::new().put(app(&both(value)))).await?;
        assert_eq!(applied.generation, value as u64);
        assert!(!ids(&applied.rebuilt).contains(&"n:kept"));
        if value == 200 {
            early = resident();
        }
    }
    let late = resident();
    stop.store(true, Ordering::Relaxed);
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    assert!(calls.load(Ordering::Relaxed) >= 64 * 3);
    let snapshot = runtime.snapshot();
    assert_eq!((snapshot.generation, snapshot.retiring), (1_001, 0));
    if let (Some(early), Some(late)) = (early, late) {
        assert!(late < early + 32 * 1024, "{early} KiB grew to {late} KiB");
    }
    Ok(())
}

#[tokio::test]
async fn concurrent_changes_run_one_at_a_time() -> Tested {
    let runtime = load(&number("a", 0, ""))?;
    let mut all = JoinSet::new();
    for at in 0..20 {
        let runtime = runtime.clone();
        all.spawn(async move {
            let text = app(&number(&format!("f{at}"), at, ""));
            runtime.apply(Changes::new().put(text)).await.map(|applied| applied.generation)
        });
    }
    let mut numbers = Vec::new();
    while let Some(one) = all.join_next().await {
        numbers.push(one??);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=21).collect::<Vec<_>>());
    for at in 0..20 {
        assert_eq!(runtime.call::<i32>(&format!("n:f{at}"), ()).await?, at);
    }
    Ok(())
}

/// Deterministic pseudo-random numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// After any sequence of changes, the app equals a fresh load of the resulting entries.
#[tokio::test]
async fn changes_equal_a_fresh_load() -> Tested {
    for seed in [3, 1_234_567, 0xdead_beef] {
        let mut dice = Dice(seed);
        let mut model = std::collections::BTreeMap::from([(0, 0)]);
        let runtime = load(&number("f0", 0, ""))?;
        for _ in 0..25 {
            let mut changes = Changes::new();
            let (mut text, mut next) = (String::new(), model.clone());
            for _ in 0..=dice.below(3) {
                let (name, value) = (dice.below(6), dice.below(100) as i32);
                let removed = dice.below(3) == 0 && next.len() > 1;
                if removed
                    && model.contains_key(&name)
                    && !text.contains(&format!("name: f{name},"))
                {
                    changes = changes.remove(id(&format!("n:f{name}"))?);
                    next.remove(&name);
                } else if !text.contains(&format!("name: f{name},")) {
                    text += &number(&format!("f{name}"), value, "");
                    next.insert(name, value);
                }
            }
            if !text.is_empty() {
                changes = changes.put(app(&text));
            }
            // One change in four is broken, and must leave no trace.
            if dice.below(4) == 0 {
                let broken = changes.put("namespace: n\nentries: [{name: x, kind: nonsense}]\n");
                assert!(runtime.apply(broken).await.is_err());
            } else {
                runtime.apply(changes).await?;
                model = next;
            }
            let mut all = String::new();
            for (name, value) in &model {
                write!(all, "{}", number(&format!("f{name}"), *value, ""))?;
            }
            let fresh = load(&all)?.generation();
            let current = runtime.generation();
            let (ours, theirs) = (current.registry().iter(), fresh.registry().iter());
            assert!(ours.eq(theirs), "{current:?}\n{fresh:?}");
            for (name, value) in &model {
                assert_eq!(current.call::<i32>(&format!("n:f{name}"), ()).await?, *value);
            }
        }
    }
    Ok(())
}
