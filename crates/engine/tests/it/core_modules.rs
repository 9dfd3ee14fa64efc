//! Bare core modules: their calls, imports, limits and outcomes, and imports that AssemblyScript and Emscripten add.

use std::time::Duration;

use crate::support::core::{call, link, link_in, made, number};
use crate::support::{Tested, engine, soon, stopped, wasi};
use crisol_core::ResourceLimit;
use crisol_engine::{Allocation, Engine, EngineConfig, Failure, FunctionPre, Limits};
use crisol_wit::CoreModule;
use wasmtime::component::Val;

#[tokio::test]
async fn numbers_go_in_and_out_by_core_types() -> Tested {
    let text = r#"(module
        (func (export "all") (param i32 i64 f32 f64) (result f64)
            (f64.add (f64.convert_i32_s (local.get 0)) (f64.add (f64.convert_i64_s (local.get 1))
                (f64.add (f64.promote_f32 (local.get 2)) (local.get 3)))))
        (func (export "two") (result i32 i64) (i32.const -1) (i64.const -2))
        (func (export "none"))
        (func (export "math#sub.x y") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1))))"#;
    let args = [Val::S32(-1), Val::S64(2), Val::Float32(0.5), Val::Float64(0.25)];
    let all = link(text, "all")?;
    assert_eq!(
        all.mapping().signature().to_string(),
        "func(p0: s32, p1: s64, p2: f32, p3: f64) -> f64"
    );
    assert_eq!(call(&all, &args).await?, Some(Val::Float64(1.75)));
    let two = Val::Tuple(vec![Val::S32(-1), Val::S64(-2)]);
    let linked = link(text, "two")?;
    assert_eq!(linked.mapping().signature().to_string(), "func() -> tuple<s32, s64>");
    assert_eq!(call(&linked, &[]).await?, Some(two));
    assert_eq!(call(&link(text, "none")?, &[]).await?, None);
    let odd = link(text, "math#sub.x y")?;
    assert_eq!(odd.export().name, "math#sub.x y");
    assert_eq!(call(&odd, &[Val::S32(5), Val::S32(7)]).await?, Some(Val::S32(-2)));
    Ok(())
}

#[tokio::test]
async fn more_parameters_than_a_component_hands_over_are_taken() -> Tested {
    let text = format!(
        "(module (func (export \"f\") (param {}) (result i32) (local.get 16)))",
        "i32 ".repeat(17)
    );
    let args: Vec<Val> = (0..17).map(Val::S32).collect();
    assert_eq!(call(&link(&text, "f")?, &args).await?, Some(Val::S32(16)));
    Ok(())
}

#[tokio::test]
async fn wit_gives_types_to_numbers_and_resolves_methods() -> Tested {
    let text = r#"(module (func (export "add_two") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#;
    let wit = "interface math { add-two: func(a: u8, b: u32) -> s32; }";
    let engine = engine(Allocation::OnDemand)?;
    for method in ["math#add-two", "crisol:guest/math#add_two", "math#addTwo"] {
        let linked = link_in(&engine, text, (Some(wit), method), |_| true, false)?;
        assert_eq!(linked.export().method(), "crisol:guest/math#add-two");
        assert_eq!(linked.mapping().signature().to_string(), "func(a: u8, b: u32) -> s32");
        assert_eq!(call(&linked, &[Val::U8(255), Val::U32(1)]).await?, Some(Val::S32(256)));
    }
    let missing = link_in(&engine, text, (Some(wit), "add-tow"), |_| true, false);
    let told = missing.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(told.contains("did you mean `crisol:guest/math#add-two`?"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_reactor_is_initialized_once_before_anything_else() -> Tested {
    let text = r#"(module (global $state (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $state (i32.add (global.get $state) (i32.const 1))))
        (func (export "f") (result i32) (global.get $state)))"#;
    let linked = link(text, "f")?;
    let mut instance = made(&linked, Limits::default()).await?;
    for _ in 0..2 {
        assert_eq!(instance.call(&[], None).await?, Some(Val::S32(1)));
    }
    let itself = link(text, "_initialize")?;
    assert_eq!(call(&itself, &[]).await?, None);
    // A command has no initializer, and one with parameters cannot be called.
    let command =
        text.replace("(func (export \"f\")", "(func (export \"_start\")) (func (export \"f\")");
    assert_eq!(number(&link(&command, "f")?).await?, 0);
    let takes = text.replace("\"_initialize\")", "\"_initialize\") (param i32)");
    assert!(link(&takes, "f").is_err());
    Ok(())
}

#[tokio::test]
async fn a_reactor_is_initialized_inside_the_deadline() -> Tested {
    let text = r#"(module (func (export "_initialize") (loop (br 0))) (func (export "f")))"#;
    let linked = link(text, "f")?;
    let made = linked.instantiate(wasi(), Limits::default(), soon(50)).await;
    assert!(matches!(made, Err(Failure::Deadline { .. })), "{made:?}");
    Ok(())
}

#[tokio::test]
async fn command_runs_start_and_keeps_its_exit_code() -> Tested {
    let ends = |with: &str| {
        format!(
            "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
                (func (export \"_start\") {with}))"
        )
    };
    for code in [0, 1, 33, 125, 126, 255, 256, -1] {
        let linked = link(&ends(&format!("(call $exit (i32.const {code}))")), "_start")?;
        assert_eq!(linked.export().method(), "wasi:cli/run#run");
        let mut instance = made(&linked, Limits::default()).await?;
        match instance.call(&[], None).await {
            // Same result as a program that returns.
            Ok(Some(Val::Result(Ok(None)))) => assert_eq!(code, 0),
            Err(Failure::Exited(found)) => assert!(found == code && code != 0, "{found} {code}"),
            other => panic!("{code}: {other:?}"),
        }
        let again = instance.call(&[], None).await;
        assert!(matches!(again, Err(Failure::Host(_))), "a program runs once");
    }
    for method in ["_start", "run", "wasi:cli/run#run"] {
        let linked = link(&ends(""), method)?;
        assert!(linked.runs_once());
        let returned = call(&linked, &[]).await?;
        assert_eq!(returned, Some(Val::Result(Ok(None))), "{method}");
    }
    // A function of that exact name takes precedence.
    let both = ends("").replace(
        "(func (export \"_start\")",
        "(func (export \"run\") (result i32) (i32.const 5)) (func (export \"_start\")",
    );
    assert_eq!(number(&link(&both, "run")?).await?, 5);
    Ok(())
}

#[tokio::test]
async fn an_import_that_nothing_provides_fails_the_call_that_uses_it() -> Tested {
    let text = r#"(module
        (import "env" "log" (func $log (param i32 f64) (result i32)))
        (import "wasi_snapshot_preview1" "fd_wriet" (func))
        (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (func (export "f") (result i32) (i32.const 1))
        (func (export "g") (drop (call $log (i32.const 1) (f64.const 2)))))"#;
    assert_eq!(number(&link(text, "f")?).await?, 1);
    let linked = link(text, "g")?;
    let missing: Vec<_> = linked.imports().iter().filter(|import| import.may_fail()).collect();
    let names: Vec<_> = missing.iter().map(|import| import.function(&import.missing[0])).collect();
    assert_eq!(names, ["env#log", "wasi_snapshot_preview1#fd_wriet"]);
    let Err(Failure::Denied(denial)) = call(&linked, &[]).await else { panic!("it was served") };
    assert_eq!((&*denial.interface, &*denial.function, denial.offered), ("env", "log", false));
    assert_eq!(
        denial.reason.as_deref(),
        Some(
            "nothing provides this `(i32, f64) -> i32`: the linker left it unresolved in `env`; link the missing code, or declare it as an import of a world in `wit`"
        )
    );
    Ok(())
}

#[test]
fn imports_other_than_functions_and_of_other_types_are_refused() -> Tested {
    for (import, told) in [
        (
            r#"(import "env" "memory" (memory 1))"#,
            "the module imports `memory` from `env`: it has no memory of its own",
        ),
        (
            r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i64)))"#,
            "the module imports `fd_write` from `wasi_snapshot_preview1` as (i64), expected (i32, i32, i32, i32) -> i32",
        ),
        (
            r#"(import "host" "t" (table 1 funcref)) (import "host" "f" (func))"#,
            "the module imports `t`, `f` from `host`: `wit` does not declare that",
        ),
    ] {
        let bytes = wat::parse_str(format!("(module {import} (func (export \"f\")))"))?;
        let refused = CoreModule::read(&bytes, None, "f").err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), Some(told));
    }
    Ok(())
}

#[tokio::test]
async fn limits_hold_for_core_modules() -> Tested {
    let grow = r#"(module (memory (export "memory") 1) (table 1 funcref)
        (func (export "memory_grow") (if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable)))
        (func (export "table_grow") (if (i32.eq (table.grow (ref.null func) (i32.const 200000)) (i32.const -1)) (then unreachable)))
        (func $deep (export "deep") (call $deep))
        (func (export "spin") (loop (br 0))))"#;
    let tight = Limits { max_memory_bytes: 1 << 20, ..Limits::default() };
    let ended = |method: &'static str| async move {
        let linked = link(grow, method)?;
        Ok::<_, crate::support::Problem>(made(&linked, tight).await?.call(&[], soon(50)).await)
    };
    assert!(matches!(
        ended("memory_grow").await?,
        Err(Failure::Limit(ResourceLimit::Memory { allowed: 1_048_576, .. }))
    ));
    assert!(matches!(ended("table_grow").await?, Err(Failure::Limit(ResourceLimit::Table { .. }))));
    assert!(matches!(ended("deep").await?, Err(Failure::Limit(ResourceLimit::Stack))));
    let [running, _] = stopped(ended("spin").await?)?;
    assert!(!running.is_zero());
    let large = "(module (memory 100) (func (export \"f\")))";
    let refused = made(&link(large, "f")?, tight).await;
    assert!(matches!(refused, Err(Failure::Limit(ResourceLimit::Memory { .. }))), "{refused:?}");
    let engine = engine(Allocation::OnDemand)?;
    let counted = link_in(&engine, grow, (None, "spin"), |_| true, true)?;
    let fuel = Limits { max_fuel: Some(10_000), ..Limits::default() };
    let spent = made(&counted, fuel).await?.call(&[], None).await;
    assert!(matches!(spent, Err(Failure::Limit(ResourceLimit::Fuel { allowed: 10_000 }))));
    Ok(())
}

#[tokio::test]
async fn as_many_core_modules_live_at_once_as_instances_may() -> Tested {
    let tick = Duration::from_millis(1);
    let allocation = Allocation::Pooling { instances: 3 };
    let engine = Engine::new(EngineConfig { allocation, tick, ..EngineConfig::default() })?;
    let text = "(module (memory (export \"memory\") 1) (table 1 funcref) (func (export \"f\") (result i32) (i32.const 1)))";
    let linked = link_in(&engine, text, (None, "f"), |_| true, false)?;
    let mut alive = Vec::new();
    for _ in 0..3 {
        alive.push(made(&linked, Limits::default()).await?);
    }
    let more = made(&linked, Limits::default()).await;
    assert!(matches!(more, Err(Failure::Exhausted(_))), "{more:?}");
    for instance in &mut alive {
        assert_eq!(instance.call(&[], None).await?, Some(Val::S32(1)));
    }
    drop(alive.pop());
    assert!(made(&linked, Limits::default()).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn functions_of_one_module_share_code_and_resolved_imports() -> Tested {
    let text = "(module (func (export \"f\") (result i32) (i32.const 1)) (func (export \"g\") (result i32) (i32.const 2)))";
    let engine = engine(Allocation::OnDemand)?;
    let link = |method| link_in(&engine, text, (None, method), |_| true, false);
    let (f, g) = (link("f")?, link("g")?);
    assert!(f.code().shares_code_with(g.code()) && f.shares_imports_with(&g));
    assert_eq!((number(&f).await?, number(&g).await?), (1, 2));
    assert!(!engine.is_proxy(f.code(), "f")?);
    let exports: Vec<String> = engine.exports(f.code())?.iter().map(ToString::to_string).collect();
    assert_eq!(exports, ["f: () -> i32", "g: () -> i32"]);
    Ok(())
}

/// An AssemblyScript string in memory, preceded by its length.
fn utf16(at: usize, text: &str) -> String {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let len = u32::try_from(units.len()).unwrap_or(u32::MAX).to_le_bytes();
    let hex: String = len.iter().chain(&units).map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const {}) \"{hex}\")", at - 4)
}

#[tokio::test]
async fn a_throw_of_assemblyscript_says_its_message_and_place() -> Tested {
    let abort = |data: &str, args: &str| -> Tested<FunctionPre> {
        link(
            &format!(
                "(module (import \"env\" \"abort\" (func $abort (param i32 i32 i32 i32)))
                    (memory (export \"memory\") 1) {data}
                    (func (export \"f\") (call $abort {args})))"
            ),
            "f",
        )
    };
    let told = |ended| match ended {
        Err(Failure::Trap(trapped)) => trapped.reason().to_owned(),
        other => panic!("{other:?}"),
    };
    let data = utf16(64, "Überlauf\n\u{1b}[2J") + &utf16(256, "assembly/index.ts");
    let place = "(i32.const 64) (i32.const 256) (i32.const 3) (i32.const 5)";
    assert_eq!(
        told(call(&abort(&data, place)?, &[]).await),
        "abort: Überlauf\u{fffd}\u{fffd}[2J at assembly/index.ts:3:5"
    );
    let none = "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)";
    assert_eq!(told(call(&abort("", none)?, &[]).await), "abort: no message");
    // False lengths.
    let outside = "(i32.const 65534) (i32.const 2) (i32.const 1) (i32.const 1)";
    assert_eq!(told(call(&abort("", outside)?, &[]).await), "abort: no message");
    let long = "(data (i32.const 60) \"\\ff\\ff\\00\\00\")";
    let reason = told(
        call(&abort(long, "(i32.const 64) (i32.const 0) (i32.const 1) (i32.const 1)")?, &[]).await,
    );
    assert!(reason.chars().count() < 1_100, "{}", reason.len());
    Ok(())
}

#[tokio::test]
async fn imports_of_javascript_toolchains_are_served() -> Tested {
    let text = r#"(module
        (import "env" "seed" (func $seed (result f64)))
        (import "env" "emscripten_notify_memory_growth" (func $grown (param i32)))
        (import "env" "trace" (func $trace (param i32 i32 f64 f64 f64 f64 f64)))
        (memory (export "memory") 1)
        (func (export "f") (result i32)
            (call $grown (i32.const 0))
            (call $trace (i32.const 0) (i32.const 2) (f64.const 1.5) (f64.const 2) (f64.const 0) (f64.const 0) (f64.const 0))
            (f64.ne (call $seed) (call $seed))))"#;
    assert_eq!(number(&link(text, "f")?).await?, 1);
    Ok(())
}
