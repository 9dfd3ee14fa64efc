//! WASI preview 1 in core modules: grants and bounds.

use crate::support::core::{call, link, link_granting, made, number, preview1};
use crate::support::{Tested, soon, stopped};
use crisol_engine::{Failure, FunctionPre, Limits};
use wasmtime::component::Val;
use wasmtime_wasi::{FsPerms, WasiCtx};

/// Answers of preview 1 to a guest without any grant.
#[tokio::test]
async fn ungranted_guest_sees_empty_environment() -> Tested {
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
async fn grants_serve_their_functions_and_are_reported() -> Tested {
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
    // Folders are granted without the functions that use them.
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

/// A module with 20 MiB of memory whose `f` calls functions of preview 1.
fn large(functions: &[(&str, &str)], body: &str) -> Tested<FunctionPre> {
    let imports = preview1(functions);
    let text = format!(
        "(module {imports} (memory (export \"memory\") 320)
            (func (export \"f\") (result i32) (local $error i32) {body}))"
    );
    link(&text, "f")
}

/// Result of a guest with a folder, and the number of turns that other tasks had meanwhile.
async fn number_and_turns(linked: &FunctionPre) -> Tested<(i32, usize)> {
    let dir = tempfile::tempdir()?;
    let mut builder = WasiCtx::builder();
    builder.preopened_dir(dir.path(), "/", FsPerms::ReadWrite)?;
    let mut instance = linked.instantiate(builder.build(), Limits::default(), None).await?;
    let mut turns = 0;
    let others = async {
        loop {
            turns += 1;
            tokio::task::yield_now().await;
        }
    };
    let called = tokio::select! {
        biased;
        called = instance.call(&[], None) => called?,
        () = others => None,
    };
    let Some(Val::S32(number)) = called else { return Err("it gave no number".into()) };
    Ok((number, turns))
}

/// Unbounded host work is done in turns, since it takes longer than a guest's time slice.
#[tokio::test]
async fn work_proportional_to_a_request_yields() -> Tested {
    let random = large(
        &[("random_get", "i32 i32")],
        "(drop (call $random_get (i32.const 0) (i32.const 20971520)))
         ;; To the last byte.
         (i64.ne (i64.load (i32.const 20971512)) (i64.const 0))",
    )?;
    let (filled, turns) = number_and_turns(&random).await?;
    assert_eq!(filled, 1);
    assert!(turns >= 319, "random numbers: {turns}");
    for (function, params, from) in [
        ("fd_read", "i32 i32 i32 i32", ""),
        ("fd_write", "i32 i32 i32 i32", ""),
        ("fd_pread", "i32 i32 i32 i64 i32", "(i64.const 0)"),
        ("fd_pwrite", "i32 i32 i32 i64 i32", "(i64.const 0)"),
    ] {
        // Two and a half million empty buffers.
        let fd = if function.ends_with("read") { 0 } else { 1 };
        let call = format!(
            "(call ${function} (i32.const {fd}) (i32.const 64) (i32.const 2500000) {from} (i32.const 0))"
        );
        let (_, turns) = number_and_turns(&large(&[(function, params)], &call)?).await?;
        assert!(turns >= 38, "{function}: {turns}");
    }
    Ok(())
}

#[tokio::test]
async fn a_deadline_holds_within_one_function_of_preview_1() -> Tested {
    let text = preview1(&[("random_get", "i32 i32")]);
    let text = format!(
        "(module {text} (memory (export \"memory\") 1600)
            (func (export \"f\") (result i32) (call $random_get (i32.const 0) (i32.const 104857600))))"
    );
    let mut instance = made(&link(&text, "f")?, Limits::default()).await?;
    stopped(instance.call(&[], soon(1)).await)?;
    Ok(())
}

/// Files are read and written in pieces, invisibly to the guest.
#[tokio::test]
async fn a_large_buffer_of_a_file_is_moved_whole() -> Tested {
    let functions = [
        ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
        ("fd_write", "i32 i32 i32 i32"),
        ("fd_pwrite", "i32 i32 i32 i64 i32"),
        ("fd_read", "i32 i32 i32 i32"),
        ("fd_seek", "i32 i64 i32 i32"),
        ("fd_tell", "i32 i32"),
    ];
    // A million bytes and some, after an empty buffer, with marks at both ends and where pieces meet.
    let body = "
        (i32.store8 (i32.const 256) (i32.const 120))
        (if (local.tee $error (call $path_open (i32.const 3) (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 1) (i64.const 70) (i64.const 0) (i32.const 0) (i32.const 8))) (then (return (local.get $error))))
        (i32.store (i32.const 72) (i32.const 1024)) (i32.store (i32.const 76) (i32.const 1000003))
        (i64.store (i32.const 1024) (i64.const 1)) (i64.store (i32.const 263164) (i64.const 2)) (i64.store (i32.const 1001019) (i64.const 3))
        (if (call $fd_write (i32.load (i32.const 8)) (i32.const 64) (i32.const 2) (i32.const 16)) (then (return (i32.const -1))))
        (if (i32.ne (i32.load (i32.const 16)) (i32.const 1000003)) (then (return (i32.const -2))))
        (drop (call $fd_tell (i32.load (i32.const 8)) (i32.const 24)))
        (if (i64.ne (i64.load (i32.const 24)) (i64.const 1000003)) (then (return (i32.const -3))))
        ;; The same again, further on.
        (if (call $fd_pwrite (i32.load (i32.const 8)) (i32.const 64) (i32.const 2) (i64.const 500000) (i32.const 16)) (then (return (i32.const -4))))
        (if (call $fd_seek (i32.load (i32.const 8)) (i64.const 500000) (i32.const 0) (i32.const 24)) (then (return (i32.const -5))))
        ;; To the end of the file, with room for more.
        (i32.store (i32.const 72) (i32.const 4194304)) (i32.store (i32.const 76) (i32.const 8388608))
        (if (call $fd_read (i32.load (i32.const 8)) (i32.const 64) (i32.const 2) (i32.const 16)) (then (return (i32.const -6))))
        (if (i32.ne (i32.load (i32.const 16)) (i32.const 1000003)) (then (return (i32.const -7))))
        (if (i64.ne (i64.load (i32.const 4194304)) (i64.const 1)) (then (return (i32.const -8))))
        (if (i64.ne (i64.load (i32.const 4456444)) (i64.const 2)) (then (return (i32.const -9))))
        (if (i64.ne (i64.load (i32.const 5194299)) (i64.const 3)) (then (return (i32.const -10))))
        ;; Descriptors that are none, and a buffer outside of memory.
        (i32.store (i32.const 72) (i32.const 20971519))
        (call $fd_read (i32.const 9) (i32.const 64) (i32.const 2) (i32.const 16))";
    assert_eq!(number_and_turns(&large(&functions, body)?).await?.0, 8);
    let outside =
        body.replace("(i32.const 9) (i32.const 64)", "(i32.load (i32.const 8)) (i32.const 64)");
    let trapped = number_and_turns(&large(&functions, &outside)?).await.err();
    assert!(trapped.is_some_and(|error| error.to_string().contains("trapped")));
    Ok(())
}

/// Errno for arguments with which wasmtime's functions would end the guest, or do all of the work first.
#[tokio::test]
async fn invalid_arguments_return_an_errno() -> Tested {
    // Overlong paths are rejected before they are read: these reach far outside memory.
    let long = "(i32.const 0) (i32.const 0x7fffffff)";
    let path = "(i32.const 0) (i32.const 1)";
    let zero = "(i32.const 0)";
    let two = format!("{zero} {zero}");
    for (function, params, args, error) in [
        ("path_create_directory", "i32 i32 i32", format!("(i32.const 3) {long}"), 37),
        ("path_filestat_get", "i32 i32 i32 i32 i32", format!("{two} {long} {zero}"), 37),
        (
            "path_filestat_set_times",
            "i32 i32 i32 i32 i64 i64 i32",
            format!("{two} {long} (i64.const 0) (i64.const 0) {zero}"),
            37,
        ),
        ("path_link", "i32 i32 i32 i32 i32 i32 i32", format!("{two} {long} {zero} {path}"), 37),
        ("path_link", "i32 i32 i32 i32 i32 i32 i32", format!("{two} {path} {zero} {long}"), 37),
        (
            "path_open",
            "i32 i32 i32 i32 i32 i64 i64 i32 i32",
            format!("{two} {long} {zero} (i64.const 0) (i64.const 0) {two}"),
            37,
        ),
        ("path_readlink", "i32 i32 i32 i32 i32 i32", format!("{zero} {long} {two} {zero}"), 37),
        ("path_remove_directory", "i32 i32 i32", format!("{zero} {long}"), 37),
        ("path_rename", "i32 i32 i32 i32 i32 i32", format!("{zero} {long} {zero} {path}"), 37),
        ("path_rename", "i32 i32 i32 i32 i32 i32", format!("{zero} {path} {zero} {long}"), 37),
        ("path_symlink", "i32 i32 i32 i32 i32", format!("{long} {zero} {path}"), 37),
        ("path_symlink", "i32 i32 i32 i32 i32", format!("{path} {zero} {long}"), 37),
        ("path_unlink_file", "i32 i32 i32", format!("{zero} {long}"), 37),
        ("poll_oneoff", "i32 i32 i32 i32", format!("{two} (i32.const 600) {zero}"), 28),
        ("poll_oneoff", "i32 i32 i32 i32", format!("{two} (i32.const -1) {zero}"), 28),
        // As many as there are handles for: all of them are over at once.
        (
            "poll_oneoff",
            "i32 i32 i32 i32",
            format!("(i32.const 65536) {zero} (i32.const 400) (i32.const 40000)"),
            0,
        ),
        (
            "fd_seek",
            "i32 i64 i32 i32",
            format!("(i32.const 3) (i64.const 0) (i32.const 3) {zero}"),
            28,
        ),
        (
            "fd_advise",
            "i32 i64 i64 i32",
            "(i32.const 3) (i64.const 0) (i64.const 0) (i32.const 9)".into(),
            28,
        ),
        ("fd_fdstat_set_flags", "i32 i32", "(i32.const 3) (i32.const 99)".into(), 28),
        ("clock_time_get", "i32 i64 i32", format!("(i32.const 9) (i64.const 0) {zero}"), 28),
        ("clock_res_get", "i32 i32", format!("(i32.const 9) {zero}"), 28),
        ("proc_raise", "i32", "(i32.const 9)".into(), 58),
    ] {
        let body = format!("(call ${function} {args})");
        let (found, _) = number_and_turns(&large(&[(function, params)], &body)?).await?;
        assert_eq!(found, error, "{function} {args}");
    }
    Ok(())
}

#[tokio::test]
async fn functions_that_need_memory_report_its_absence() -> Tested {
    let imports = preview1(&[("fd_write", "i32 i32 i32 i32"), ("sched_yield", "")]);
    let text = format!(
        "(module {imports} (func (export \"f\") (result i32) (call $sched_yield))
            (func (export \"g\") (result i32) (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0))))"
    );
    assert_eq!(number(&link(&text, "f")?).await?, 0);
    let linked = link(&text, "g")?;
    let missing: Vec<_> = linked.imports().iter().flat_map(|import| &import.missing).collect();
    assert_eq!(missing, ["fd_write"]);
    let Err(Failure::Trap(trapped)) = call(&linked, &[]).await else { panic!("it was served") };
    assert_eq!(
        trapped.reason(),
        "the module calls `fd_write` of WASI preview 1, which passes values through memory: export its memory as `memory`"
    );
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

/// A module that the preview 1 adapter breaks: its allocator claims all of the memory.
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
