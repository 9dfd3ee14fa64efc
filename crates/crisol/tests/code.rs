//! Code in an app: which function an entry means, and code that is refused.

use crisol::{Allocation, EngineConfig, LoadError, Runtime};

type Problem = Box<dyn std::error::Error + Send + Sync>;
type Tested<T = ()> = Result<T, Problem>;

/// An app of one `function.wat`, `n:f`.
fn load(method: &str, source: &str, more: &str) -> Tested<Runtime> {
    let text = format!(
        "namespace: n\nentries:\n  - name: f\n    kind: function.wat\n    method: {method:?}\n    source: '{source}'\n{more}"
    );
    let engine = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
    Ok(Runtime::builder().file("_index.yaml", text).engine(engine).load()?)
}

#[tokio::test]
async fn an_exact_name_wins_over_one_that_folds_to_the_same() -> Tested {
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
async fn a_core_export_goes_by_the_name_that_it_has_in_the_module() -> Tested {
    for name in ["addTwo", "add_two", "AddTwo", "add two"] {
        let source = format!(r#"(module (func (export "{name}") (result i32) i32.const 1))"#);
        assert_eq!(load(name, &source, "")?.call::<i32>("n:f", ()).await?, 1, "{name}");
    }
    Ok(())
}

#[test]
fn a_module_with_names_of_two_schemes_is_refused_and_not_a_panic() -> Tested {
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
async fn wasi1_grants_what_a_preview_1_module_calls() -> Tested {
    let source = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "f") (result i32) (call $random (i32.const 0) (i32.const 8))))"#;
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
