//! Core modules that run as they are: values, imports, limits, and how they end.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use crisol_core::ResourceLimit;
use crisol_engine::{Allocation, Engine, EngineConfig, Failure, Instance, Limits, Linked, Profile};
use crisol_wit::{CoreModule, Outcome};
use support::{Tested, engine, soon, stopped, wasi};
use wasmtime::component::Val;
use wasmtime_wasi::{FsPerms, WasiCtx};

/// The beginning of a module that imports functions of WASI preview 1, which all give an error number.
fn preview1(functions: &[(&str, &str)]) -> String {
    let import = |(name, params): &(&str, &str)| {
        format!(
            "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {params}) (result i32)))"
        )
    };
    functions.iter().map(import).collect()
}

fn link_in(
    engine: &Engine,
    text: &str,
    (wit, method): (Option<&str>, &str),
    grants: impl FnMut(&str) -> bool,
    fuel: bool,
) -> Tested<Linked> {
    let bytes = wat::parse_str(text)?;
    let core = CoreModule::read(&bytes, wit, method)?.ok_or("it has to be a component")?;
    let compiled = engine.compile(&bytes, fuel)?;
    Ok(engine.link_core(&compiled, &core, &Profile::granting(grants), method)?)
}

fn link(text: &str, method: &str) -> Tested<Linked> {
    link_in(&engine(Allocation::OnDemand)?, text, (None, method), |_| true, false)
}

fn link_granting(text: &str, grants: &[&str]) -> Tested<Linked> {
    let grants = |interface: &str| grants.iter().any(|grant| interface.starts_with(grant));
    link_in(&engine(Allocation::OnDemand)?, text, (None, "f"), grants, false)
}

async fn made(linked: &Linked, limits: Limits) -> Result<Instance, Failure> {
    linked.instantiate(wasi(), limits, None).await
}

async fn call(linked: &Linked, args: &[Val]) -> Result<Option<Val>, Failure> {
    made(linked, Limits::default()).await?.call(args, None).await
}

/// What `f` of a module gives.
async fn number(linked: &Linked) -> Result<i32, Failure> {
    match call(linked, &[]).await? {
        Some(Val::S32(number)) => Ok(number),
        other => panic!("expected a number, found {other:?}"),
    }
}

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
async fn wit_says_what_numbers_mean_and_which_function_a_method_is() -> Tested {
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

/// The module of a case that the adapter of preview 1 gets wrong: it is all the memory that allocators take for theirs.
#[tokio::test]
async fn the_memory_of_a_guest_is_its_own() -> Tested {
    let text = preview1(&[("clock_time_get", "i32 i64 i32")])
        + r#"(memory (export "memory") 2)
        (func $call (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 8))))
        (func (export "pages") (result i32) (call $call) (memory.size))
        (func (export "zeroed") (result i32) (local $at i32) (local $dirty i32)
            (drop (memory.grow (i32.const 1))) (call $call) (drop (memory.grow (i32.const 4)))
            (local.set $at (i32.const 196608))
            (loop $next
                (if (i32.load8_u (local.get $at)) (then (local.set $dirty (i32.add (local.get $dirty) (i32.const 1)))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const 458752))))
            (local.get $dirty))"#;
    let text = format!("(module {text})");
    assert_eq!(number(&link(&text, "pages")?).await?, 2);
    assert_eq!(number(&link(&text, "zeroed")?).await?, 0);
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
    // A command is none, and neither is one that takes something.
    let command =
        text.replace("(func (export \"f\")", "(func (export \"_start\")) (func (export \"f\")");
    assert_eq!(number(&link(&command, "f")?).await?, 0);
    let takes = text.replace("\"_initialize\")", "\"_initialize\") (param i32)");
    assert_eq!(number(&link(&takes, "f")?).await?, 0);
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
async fn a_command_starts_at_start_and_its_exit_code_is_its_own() -> Tested {
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
            // As one that returns.
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
    // A function of that name is what is meant.
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
            "nothing provides `(i32, f64) -> i32`: nothing provides what linking left over in `env`; link what it is missing, or declare it as an import of a world in `wit`"
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
            "the module imports `fd_write` from `wasi_snapshot_preview1` as (i64), and it is (i32, i32, i32, i32) -> i32",
        ),
        (
            r#"(import "host" "t" (table 1 funcref)) (import "host" "f" (func))"#,
            "the module imports `t`, `f` from `host`: nothing provides that, and `wit` does not declare it",
        ),
    ] {
        let bytes = wat::parse_str(format!("(module {import} (func (export \"f\")))"))?;
        let refused = CoreModule::read(&bytes, None, "f").err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), Some(told));
    }
    Ok(())
}

/// What a guest without any grant is told by preview 1.
#[tokio::test]
async fn a_guest_without_grants_is_told_that_it_was_given_nothing() -> Tested {
    let ungranted = |body: &str| {
        let imports = preview1(&[
            ("args_sizes_get", "i32 i32"),
            ("environ_sizes_get", "i32 i32"),
            ("environ_get", "i32 i32"),
            ("clock_time_get", "i32 i64 i32"),
            ("clock_res_get", "i32 i32"),
            ("fd_prestat_get", "i32 i32"),
            ("fd_write", "i32 i32 i32 i32"),
            ("random_get", "i32 i32"),
            ("poll_oneoff", "i32 i32 i32 i32"),
            ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
        ]);
        format!(
            "(module {imports} (memory (export \"memory\") 1) (func (export \"f\") (result i32) {body}))"
        )
    };
    // Sizes are set to zero, and the memory around them is not touched.
    let sizes = |name: &str| {
        format!(
            "(i64.store (i32.const 8) (i64.const -1)) (i64.store (i32.const 16) (i64.const -1))
             (drop (call ${name} (i32.const 8) (i32.const 16)))
             (i32.and (i64.eq (i64.load (i32.const 8)) (i64.const 0xffffffff00000000))
                (i64.eq (i64.load (i32.const 16)) (i64.const 0xffffffff00000000)))"
        )
    };
    let context = || {
        let mut builder = WasiCtx::builder();
        builder.arg("secret").env("KEY", "secret");
        builder.preopened_dir(std::env::temp_dir(), "/tmp", FsPerms::ReadOnly).unwrap();
        builder.build()
    };
    let mut told = Vec::new();
    for (what, body) in [
        ("arguments", sizes("args_sizes_get")),
        ("variables", sizes("environ_sizes_get")),
        ("variables themselves", "(i32.eqz (call $environ_get (i32.const 8) (i32.const 8)))".into()),
        (
            "a clock that stands still",
            "(i64.store (i32.const 8) (i64.const -1))
             (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 8)))
             (i64.eqz (i64.load (i32.const 8)))"
                .into(),
        ),
        (
            "no such clock",
            "(i32.eq (call $clock_res_get (i32.const 9) (i32.const 8)) (i32.const 8))".into(),
        ),
        ("folders", "(i32.eq (call $fd_prestat_get (i32.const 3) (i32.const 8)) (i32.const 8))".into()),
        (
            "files",
            "(i32.eq (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)) (i32.const 8))".into(),
        ),
        (
            "output",
            "(i32.store (i32.const 8) (i32.const 0)) (i32.store (i32.const 12) (i32.const 4))
             (i32.eqz (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))"
                .into(),
        ),
        (
            "random numbers",
            "(drop (call $random_get (i32.const 8) (i32.const 8))) (i64.ne (i64.load (i32.const 8)) (i64.const 0))".into(),
        ),
    ] {
        let linked = link_granting(&ungranted(&body), &[])?;
        let mut instance = linked.instantiate(context(), Limits::default(), None).await?;
        let result = instance.call(&[], None).await?;
        told.push((what, result == Some(Val::S32(1))));
    }
    assert!(told.iter().all(|(_, is_so)| *is_so), "{told:?}");
    for (body, function, grant) in [
        (
            "(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 8))",
            "clock_time_get",
            "wasi:clocks/wall-clock",
        ),
        (
            "(call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))",
            "poll_oneoff",
            "wasi:clocks/monotonic-clock",
        ),
    ] {
        let linked = link_granting(&ungranted(body), &[])?;
        let Err(Failure::Denied(denial)) = call(&linked, &[]).await else { panic!("{function}") };
        assert_eq!((&*denial.function, denial.grant), (function, Some(grant)));
        assert_eq!(denial.interface, "wasi_snapshot_preview1");
        let served = link_granting(&ungranted(body), &["wasi:clocks"])?;
        assert_eq!(number(&served).await?, 0, "{function}");
    }
    Ok(())
}

#[tokio::test]
async fn each_grant_serves_its_functions_and_the_report_has_them_by_interface() -> Tested {
    let text = preview1(&[
        ("clock_time_get", "i32 i64 i32"),
        ("fd_write", "i32 i32 i32 i32"),
        ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ]);
    let text = format!(
        "(module {text} (memory (export \"memory\") 1) (func (export \"f\") (result i32)
            (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8))))"
    );
    let denied = |grants: &[&str]| -> Tested<Vec<String>> {
        let linked = link_granting(&text, grants)?;
        let all = linked.imports().iter();
        Ok(all
            .flat_map(|import| {
                let interface = import.interface.as_deref().unwrap_or_default();
                import.denied.iter().map(move |name| format!("{interface} {name}"))
            })
            .collect())
    };
    assert_eq!(denied(&[])?, ["wasi:clocks/wall-clock clock_time_get"]);
    assert_eq!(denied(&["wasi:clocks"])?, Vec::<String>::new());
    // Folders without what works on them.
    let without = ["wasi:clocks", "wasi:filesystem/preopens"];
    assert_eq!(denied(&without)?, ["wasi:filesystem/types path_open"]);
    let Err(Failure::Denied(denial)) = call(&link_granting(&text, &without)?, &[]).await else {
        panic!("it was served")
    };
    assert_eq!(denial.grant, Some("wasi:filesystem/types"));
    Ok(())
}

#[tokio::test]
async fn files_beyond_the_bound_are_an_error_number() -> Tested {
    let imports = preview1(&[
        ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
        ("fd_close", "i32"),
        ("fd_pread", "i32 i32 i32 i64 i32"),
    ]);
    let text = format!(
        "(module {imports} (memory (export \"memory\") 1) (data (i32.const 32) \"x\")
            (func $open (result i32) (call $path_open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 1) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 8)))
            (func (export \"f\") (result i32) (local $error i32) (local $count i32)
                (loop $next
                    (local.set $error (call $open))
                    (if (i32.eqz (local.get $error)) (then
                        (local.set $count (i32.add (local.get $count) (i32.const 1)))
                        (br $next))))
                ;; What has no room of its own still works, and so does opening once there is room.
                (i32.store (i32.const 64) (i32.const 128)) (i32.store (i32.const 68) (i32.const 1))
                (if (call $fd_pread (i32.load (i32.const 8)) (i32.const 64) (i32.const 1) (i64.const 0) (i32.const 16)) (then (return (i32.const -1))))
                (drop (call $fd_close (i32.load (i32.const 8))))
                (if (call $open) (then (return (i32.const -2))))
                (i32.add (i32.mul (local.get $error) (i32.const 10000)) (local.get $count))))"
    );
    let dir = tempfile::tempdir()?;
    let mut builder = WasiCtx::builder();
    builder.preopened_dir(dir.path(), "/", FsPerms::ReadWrite)?;
    let linked = link(&text, "f")?;
    let mut instance = linked.instantiate(builder.build(), Limits::default(), None).await?;
    let Some(Val::S32(found)) = instance.call(&[], None).await? else { panic!("no number") };
    let (mfile, files) = (found / 10_000, found % 10_000);
    assert!(mfile == 33 && (1000..1024).contains(&files), "{found}");
    Ok(())
}

#[tokio::test]
async fn there_are_no_sockets() -> Tested {
    let text = format!(
        "(module {} (memory (export \"memory\") 1) (func (export \"f\") (param i32) (result i32) (call $sock_shutdown (local.get 0) (i32.const 0))))",
        preview1(&[("sock_shutdown", "i32 i32")])
    );
    let linked = link(&text, "f")?;
    assert_eq!(call(&linked, &[Val::S32(9)]).await?, Some(Val::S32(8)), "no descriptor");
    assert_eq!(call(&linked, &[Val::S32(1)]).await?, Some(Val::S32(57)), "no socket");
    Ok(())
}

/// A text as AssemblyScript has it in memory, with its length before it.
fn utf16(at: usize, text: &str) -> String {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let len = u32::try_from(units.len()).unwrap().to_le_bytes();
    let hex: String = len.iter().chain(&units).map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const {}) \"{hex}\")", at - 4)
}

#[tokio::test]
async fn a_throw_of_assemblyscript_says_its_message_and_place() -> Tested {
    let abort = |data: &str, args: &str| -> Tested<Linked> {
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
    // Lengths that lie.
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
async fn what_toolchains_for_javascript_add_by_themselves_is_served() -> Tested {
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
        Ok::<_, support::Problem>(made(&linked, tight).await?.call(&[], soon(50)).await)
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

/// Values of a module by its WIT, in JSON and out.
async fn json(linked: &Linked, args: &str) -> Tested<Result<String, Failure>> {
    let mut instance = made(linked, Limits::default()).await?;
    json_of(&mut instance, linked, args, soon(5_000)).await
}

async fn json_of(
    instance: &mut Instance,
    linked: &Linked,
    args: &str,
    deadline: Option<std::time::Instant>,
) -> Tested<Result<String, Failure>> {
    let mapping = linked.mapping();
    let lowered = mapping.lower_json(args.as_bytes())?;
    let began = tokio::time::Instant::now().into_std();
    Ok(match instance.call_since(began, lowered, deadline).await {
        Ok(result) => Ok(match mapping.lift(result) {
            Outcome::Value(value) => serde_json::to_string(&value)?,
            Outcome::Error(error) => format!("err: {}", serde_json::to_string(&error)?),
        }),
        Err(failure) => Err(failure),
    })
}

/// A module that allocates one after the other, from 1024 on, and counts what it frees.
const VALUES: &str = r#"(module
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 1024))
    (global $freed (mut i32) (i32.const 0))
    (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
            (i32.sub (i32.const 0) (local.get $align))))
        (global.set $next (i32.add (local.get $at) (local.get $new)))
        (loop $grow
            (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))) (then
                (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                (br $grow))))
        (local.get $at))
    ;; The pair of pointer and length, where a result is expected.
    (func $pair (param i32 i32) (result i32)
        (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))
    (func (export "text") (param i32 i32) (result i32) (call $pair (local.get 0) (local.get 1)))
    (func (export "cabi_post_text") (param i32) (global.set $freed (i32.add (global.get $freed) (local.get 0))))
    (func (export "users") (param i32 i32) (result i32) (call $pair (local.get 0) (local.get 1)))
    (func (export "freed") (result i32) (global.get $freed))
    (func (export "many") (param i32) (result i64)
        (i64.add (i64.load32_u (local.get 0)) (i64.load32_u offset=64 (local.get 0))))
    (func (export "pick") (param i32 i64 i32) (result i32)
        (i32.store8 (i32.const 16) (local.get 0)) (i64.store (i32.const 24) (local.get 1))
        (if (i32.eq (local.get 0) (i32.const 2)) (then (i32.store (i32.const 28) (local.get 2))))
        (i32.const 16)))"#;

const WIT: &str = "
    variant shape { none, number(u64), named(string) }
    record user { id: u32, tags: list<string> }
    text: func(text: string) -> string;
    users: func(users: list<user>) -> list<user>;
    freed: func() -> u32;
    many: func(a0: u32, a1: u32, a2: u32, a3: u32, a4: u32, a5: u32, a6: u32, a7: u32, a8: u32, a9: u32,
        a10: u32, a11: u32, a12: u32, a13: u32, a14: u32, a15: u32, a16: u32) -> u64;
    pick: func(shape: shape) -> shape;";

fn valued(text: &str, wit: &str, method: &str) -> Tested<Linked> {
    link_in(&engine(Allocation::OnDemand)?, text, (Some(wit), method), |_| true, false)
}

#[tokio::test]
async fn values_go_in_and_out_of_the_memory_of_a_module_by_its_wit() -> Tested {
    for (method, args) in [
        ("text", r#""grüße""#),
        ("text", r#""""#),
        ("users", r#"[{"id":1,"tags":["a","bc"]},{"id":2,"tags":[]}]"#),
        ("users", "[]"),
        ("pick", r#""none""#),
        ("pick", r#"{"number":18446744073709551615}"#),
        ("pick", r#"{"named":"x"}"#),
    ] {
        let linked = valued(VALUES, WIT, method)?;
        assert_eq!(json(&linked, &format!("[{args}]")).await??, args, "{method}");
    }
    let seventeen: Vec<String> = (3..20).map(|at| at.to_string()).collect();
    let args = format!("[{}]", seventeen.join(","));
    assert_eq!(json(&valued(VALUES, WIT, "many")?, &args).await??, "22");
    // Thousands of allocations, among which the memory grows.
    let tags: Vec<String> = (0..20_000).map(|at| format!("\"tag number {at}\"")).collect();
    let users = format!(r#"[{{"id":7,"tags":[{}]}}]"#, tags.join(","));
    let linked = valued(VALUES, WIT, "users")?;
    assert_eq!(json(&linked, &format!("[{users}]")).await??, users);
    Ok(())
}

#[tokio::test]
async fn what_a_function_gave_is_freed_once_after_each_call() -> Tested {
    let text = VALUES.replace("\"freed\"", "\"number\"").replace(
        "(func (export \"number\")",
        "(func (export \"cabi_post_number\") (param i32) (global.set $freed (i32.add (global.get $freed) (i32.const 1)))) (func (export \"number\")",
    );
    let numbers = valued(&text, "number: func() -> u32;", "number")?;
    let mut instance = made(&numbers, Limits::default()).await?;
    for expected in ["0", "1", "2"] {
        assert_eq!(json_of(&mut instance, &numbers, "[]", None).await??, expected);
    }
    let other = VALUES.replace(
        "(export \"cabi_post_text\") (param i32)",
        "(export \"cabi_post_text\") (param i64)",
    );
    let other = other.replace(
        "(local.get 0))))\n    (func (export \"users\")",
        "(i32.wrap_i64 (local.get 0)))))\n    (func (export \"users\")",
    );
    let refused = valued(&other, WIT, "text").err().map(|error| error.to_string());
    assert_eq!(
        refused.as_deref(),
        Some("the export `cabi_post_text` is (i64), but `text` needs (i32)")
    );
    Ok(())
}

/// What a module answers that lies about its memory.
#[tokio::test]
async fn a_module_that_lies_about_its_memory_ends_its_own_call() -> Tested {
    let allocates = |at: &str| {
        format!(
            "(module (memory (export \"memory\") 1)
                (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) {at})
                (func (export \"f\") (param i32 i32) (result i32) (local.get 0)))"
        )
    };
    let wit = "f: func(items: list<u32>) -> u32;";
    for (what, at, told) in [
        ("beyond its memory", "(i32.const 65532)", "beyond end of memory"),
        ("where there is none", "(i32.const -4)", "beyond end of memory"),
        ("at an odd place", "(i32.const 3)", "not aligned"),
        ("never", "unreachable", "unreachable"),
    ] {
        let failed = json(&valued(&allocates(at), wit, "f")?, "[[1, 2]]").await?;
        let Err(Failure::Trap(trapped)) = failed else { panic!("{what}: {failed:?}") };
        assert!(trapped.reason().contains(told), "{what}: {trapped}");
    }
    let gives = |body: &str, data: &str| {
        format!(
            "(module (memory (export \"memory\") 1) {data} (func (export \"f\") (result i32) {body}))"
        )
    };
    let (text, shape) = ("f: func() -> string;", "variant s { a, b(u32) } f: func() -> s;");
    for (what, body, data, wit, told) in [
        ("outside", "(i32.const 65532)", "", text, "out of bounds"),
        ("at an odd place", "(i32.const 2)", "", text, "not aligned"),
        (
            "text outside",
            "(i32.const 0)",
            "(data (i32.const 0) \"\\fe\\ff\\00\\00\\03\\00\\00\\00\")",
            text,
            "out of bounds",
        ),
        (
            "text that wraps around",
            "(i32.const 0)",
            "(data (i32.const 0) \"\\fe\\ff\\ff\\ff\\ff\\ff\\ff\\ff\")",
            text,
            "out of bounds",
        ),
        (
            "text that is none",
            "(i32.const 0)",
            "(data (i32.const 0) \"\\08\\00\\00\\00\\02\\00\\00\\00\\ff\\fe\")",
            text,
            "utf-8",
        ),
        ("a case that there is not", "(i32.const 0)", "(data (i32.const 0) \"\\02\")", shape, ""),
    ] {
        let failed = json(&valued(&gives(body, data), wit, "f")?, "[]").await?;
        let Err(Failure::Trap(trapped)) = failed else { panic!("{what}: {failed:?}") };
        assert!(trapped.reason().contains(told), "{what}: {trapped}");
    }
    Ok(())
}

#[tokio::test]
async fn a_guest_that_allocates_without_end_is_stopped() -> Tested {
    let text =
        VALUES.replace("(local $at i32)\n", "(local $at i32) (loop $forever (br $forever))\n");
    let linked = valued(&text, WIT, "text")?;
    let mut instance = made(&linked, Limits::default()).await?;
    let ended = json_of(&mut instance, &linked, r#"["x"]"#, soon(50)).await?;
    let [running, _] = stopped(ended)?;
    assert!(!running.is_zero());
    // And one that takes more than it may.
    let linked = valued(VALUES, WIT, "text")?;
    let tight = Limits { max_memory_bytes: 1 << 18, ..Limits::default() };
    let mut instance = made(&linked, tight).await?;
    let long = format!("[\"{}\"]", "x".repeat(1 << 18));
    let refused = json_of(&mut instance, &linked, &long, None).await?;
    assert!(matches!(refused, Err(Failure::Limit(ResourceLimit::Memory { .. }))), "{refused:?}");
    let small = Limits { max_output_bytes: 10, ..Limits::default() };
    let mut instance = made(&linked, small).await?;
    let refused = json_of(&mut instance, &linked, r#"["eleven bytes"]"#, None).await?;
    assert!(
        matches!(refused, Err(Failure::Limit(ResourceLimit::Output { allowed: 10 }))),
        "{refused:?}"
    );
    Ok(())
}

/// Each allocation takes longer than a turn, so that every call is suspended within many of them, on any thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_suspended_while_they_allocate_go_on_each_with_its_own() -> Tested {
    let slow = VALUES.replace(
        "(local $at i32)\n",
        "(local $at i32) (local $spin i32)
         (loop $spin (br_if $spin (i32.lt_u (local.tee $spin (i32.add (local.get $spin) (i32.const 1))) (i32.const 300000))))\n",
    );
    let engine = Engine::new(EngineConfig {
        allocation: Allocation::OnDemand,
        tick: Duration::from_micros(100),
        ..EngineConfig::default()
    })?;
    let linked = link_in(&engine, &slow, (Some(WIT), "users"), |_| true, false)?;
    let mut calls = Vec::new();
    for at in 0..16 {
        let linked = linked.clone();
        calls.push(tokio::spawn(async move {
            let users = format!(r#"[{{"id":{at},"tags":["a{at}","b{at}","c{at}","d{at}"]}}]"#);
            let mut instance = made(&linked, Limits::default()).await?;
            let given = json_of(&mut instance, &linked, &format!("[{users}]"), None).await??;
            Ok::<_, support::Problem>((given, users))
        }));
    }
    for call in calls {
        let (given, users) = call.await??;
        assert_eq!(given, users);
    }
    Ok(())
}
