//! Code of entries: resolution of methods, and code that is refused.

use std::fmt::Write as _;

use crisol::engine::{Allocation, CodeCache, EngineConfig};
use crisol::{LoadError, Runtime};

use crate::support::{AppBuilder, Tested};

/// Loads an app with one `function.wat`, `n:f`.
fn load(method: &str, source: &str, more: &str) -> Tested<Runtime> {
    let entry = format!(
        "  - name: f\n    kind: function.wat\n    method: {method:?}\n    source: '{source}'\n{more}"
    );
    Ok(AppBuilder::new("n").entries(&entry).load()?)
}

#[tokio::test]
async fn exact_name_wins_over_another_spelling() -> Tested {
    let pairs = [("a_b", "a-b"), ("F", "f"), ("f", "F")];
    for (wanted, other) in pairs {
        for source in [
            format!(
                r#"(module (func (export "{wanted}") (result i32) i32.const 1) (func (export "{other}") (result i32) i32.const 2))"#
            ),
            format!(
                r#"(module (func (export "{other}") (result i32) i32.const 2) (func (export "{wanted}") (result i32) i32.const 1))"#
            ),
        ] {
            let runtime = load(wanted, &source, "")?;
            assert_eq!(runtime.call::<i32>("n:f", ()).await?, 1, "{source}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn core_export_keeps_its_name() -> Tested {
    for name in ["addTwo", "add_two", "AddTwo", "add two", "add.two", "math#add", "_add__two"] {
        let source = format!(r#"(module (func (export "{name}") (result i32) i32.const 1))"#);
        assert_eq!(load(name, &source, "")?.call::<i32>("n:f", ()).await?, 1, "{name}");
    }
    Ok(())
}

#[test]
fn other_punctuation_does_not_match_a_method() -> Tested {
    let component = r#"(component
        (core module $m (func (export "f") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func (export "add-two") (result s32) (canon lift (core func $i "f"))))"#;
    let module = r#"(module (func (export "add_two") (result i32) i32.const 1))"#;
    for source in [component, module].map(|source| source.replace('\n', " ")) {
        for method in ["add_two", "add-two", "addTwo", "AddTwo"] {
            load(method, &source, "")?;
        }
        for method in ["add.two", "add two", "add/two", "add:two", "add__two", "_add_two"] {
            let error =
                load(method, &source, "").err().ok_or_else(|| format!("`{method}` loaded"))?;
            assert!(error.to_string().contains("did you mean `add"), "{error}");
        }
    }
    Ok(())
}

#[test]
fn module_with_mixed_naming_schemes_is_refused_without_panic() -> Tested {
    let source = r#"(module (func (export "cm32p2||f")) (func (export "f")))"#;
    let error = load("f", source, "").err().ok_or("it loaded")?;
    match error.downcast_ref() {
        Some(LoadError::App(problems)) => {
            assert!(problems.to_string().contains("two schemes"), "{problems}");
            assert!(problems.to_string().contains("in `n:f`"), "{problems}");
        }
        other => panic!("expected problems, found {other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn wasi1_grants_imports_of_preview_1() -> Tested {
    let source = r#"(module
        (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "f") (result i32) (call $now (i32.const 0) (i64.const 0) (i32.const 8))))"#;
    let source = source.replace('\n', " ");
    let granted = load("f", &source, "    imports: [wasi1]\n")?;
    assert_eq!(granted.call::<i32>("n:f", ()).await?, 0);
    let granted = granted.generation();
    assert_eq!(granted.warnings().warnings(), 0, "{}", granted.warnings());
    let denied = load("f", &source, "")?.call::<i32>("n:f", ()).await;
    assert_eq!(denied.err().map(|error| error.kind()), Some(crisol::ErrorKind::Denied));
    Ok(())
}

#[tokio::test]
async fn a_result_that_breaks_the_abi_is_the_guests_fault() -> Tested {
    let source = r#"(module (memory (export "memory") 1)
        (func (export "f") (result i32)
            (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 99999999)) (i32.const 0)))"#;
    let runtime = load("f", &source.replace('\n', " "), "    wit: 'f: func() -> string;'\n")?;
    let failed = runtime.call::<String>("n:f", ()).await;
    assert_eq!(failed.err().map(|error| error.kind()), Some(crisol::ErrorKind::Trap));
    Ok(())
}

/// Builds an app of `entries` functions over `modules` modules, each of which returns a number. The method of an
/// entry selected by `bad` does not exist.
fn many(entries: usize, modules: usize, bad: impl Fn(usize) -> bool) -> Tested<String> {
    let mut text = "namespace: n\nentries:\n".to_owned();
    for at in 0..entries {
        let (answer, method) = (at % modules, if bad(at) { "g" } else { "f" });
        writeln!(
            text,
            "  - {{name: f{at}, kind: function.wat, method: {method}, wit: 'f: func() -> s32;', source: '(module (func (export \"f\") (result i32) i32.const {answer}))'}}"
        )?;
    }
    Ok(text)
}

#[test]
fn problems_of_many_modules_come_in_the_order_of_the_entries() -> Tested {
    let text = many(60, 20, |at| at % 3 == 0)?;
    let engine = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
    let load =
        || Runtime::builder().file("_index.yaml", text.as_str()).engine(engine.clone()).load();
    let mut seen = Vec::new();
    for _ in 0..5 {
        match load() {
            Err(LoadError::App(problems)) => {
                let lines: Vec<_> = problems.iter().filter_map(|one| one.location()).collect();
                let lines: Vec<_> = lines.iter().map(|place| place.line).collect();
                assert!(lines.len() == 20 && lines.is_sorted(), "{problems}");
                seen.push(problems.to_string());
            }
            other => panic!("expected problems, found {other:?}"),
        }
    }
    assert!(seen.iter().all(|text| *text == seen[0]));
    Ok(())
}

#[tokio::test]
async fn entries_of_one_module_share_code_on_disk() -> Tested {
    let dir = tempfile::tempdir()?;
    let text = many(50, 5, |_| false)?;
    let engine = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
    for _ in 0..2 {
        let builder = Runtime::builder().file("_index.yaml", text.as_str()).engine(engine.clone());
        let runtime = builder.code_cache(CodeCache::new(dir.path())).load()?;
        for at in [0, 7, 49] {
            let id = format!("n:f{at}");
            assert_eq!(runtime.call::<usize>(&id, ()).await?, at % 5);
        }
        assert_eq!(std::fs::read_dir(dir.path())?.count(), 5);
    }
    Ok(())
}

#[tokio::test]
async fn methods_of_one_module_share_code() -> Tested {
    let dir = tempfile::tempdir()?;
    let mut source = String::from("(module");
    for at in 0..20 {
        write!(source, r#" (func (export "f_{at}") (result i32) i32.const {at})"#)?;
    }
    let mut text = "namespace: n\nentries:\n".to_owned();
    for at in 0..20 {
        writeln!(
            text,
            "  - {{name: f{at}, kind: function.wat, method: f_{at}, source: '{source})'}}"
        )?;
    }
    let engine = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
    let builder = Runtime::builder().file("_index.yaml", text).engine(engine);
    let runtime = builder.code_cache(CodeCache::new(dir.path())).load()?;
    for at in 0..20 {
        assert_eq!(runtime.call::<i32>(&format!("n:f{at}"), ()).await?, at);
    }
    assert_eq!(std::fs::read_dir(dir.path())?.count(), 1);
    Ok(())
}
