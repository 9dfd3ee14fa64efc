//! Imports of core modules: WASI preview 1 as it is granted, and what AssemblyScript and Emscripten add.

mod support;

use crisol_engine::{Failure, Limits, Linked};
use support::Tested;
use support::core::{call, link, link_granting, number, preview1};
use wasmtime::component::Val;
use wasmtime_wasi::{FsPerms, WasiCtx};

/// Answers of preview 1 to a guest without any grant.
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
    let len = u32::try_from(units.len()).unwrap_or(u32::MAX).to_le_bytes();
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
