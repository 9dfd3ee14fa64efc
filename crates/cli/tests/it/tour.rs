//! User's guide as an app: every command of the README and the guide, as typed there.

use crate::support::{Tested, crisol, tour};
use expect_test::{Expect, expect};

const USERS: &str = r#"[
    {"id": 1, "name": "Alice", "tags": ["admin", "dev"], "active": true},
    {"id": 2, "name": "Bob", "tags": ["user"], "active": false},
    {"id": 3, "name": "Carol", "tags": ["dev"], "active": true}
]"#;

fn check(args: &[&str], stdout: Expect) -> Tested {
    let run = crisol(&tour(), args)?;
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    stdout.assert_eq(&run.stdout);
    Ok(())
}

#[test]
fn the_tour_has_no_warning() -> Tested {
    check(
        &["check"],
        expect![[r#"
        ok: 15 functions and 1 command
    "#]],
    )
}

#[test]
fn scalars() -> Tested {
    for id in ["myns:compute", "myns.payload:compute", "myns.pools:compute_static"] {
        check(&["call", id, "6", "7"], expect!["42\n"])?;
    }
    for id in ["myns.pools:compute_lazy", "myns.pools:compute_adaptive"] {
        check(&["call", id, "-6", "7"], expect!["-42\n"])?;
    }
    check(&["call", "myns:answer"], expect!["42\n"])?;
    check(&["call", "myns.wat_file:answer"], expect!["42\n"])
}

#[test]
fn lists_of_records() -> Tested {
    check(
        &["call", "myns:transform_users", USERS],
        expect![[r#"
            [{"id":1,"display":"Alice [admin, dev]","tag-count":2},{"id":2,"display":"Bob [user]","tag-count":1},{"id":3,"display":"Carol [dev]","tag-count":1}]
        "#]],
    )?;
    check(
        &["call", "myns:filter_active", USERS],
        expect![[r#"
            [{"id":1,"display":"Alice [admin, dev]","tag-count":2},{"id":3,"display":"Carol [dev]","tag-count":1}]
        "#]],
    )
}

#[test]
fn text_is_text_without_quotes() -> Tested {
    check(
        &["call", "myns:greet_wasm", "Ana"],
        expect![[r#"
        "Hello, Ana!"
    "#]],
    )
}

#[test]
fn a_guest_sleeps_on_the_hosts_clock() -> Tested {
    let run = crisol(&tour(), &["call", "myns:sleep_ms", "50"])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    let elapsed: u64 = run.stdout.trim().parse()?;
    assert!(elapsed >= 50, "the guest measured {elapsed} ms");
    Ok(())
}

#[test]
fn a_guest_sees_its_mounts_and_its_variables() -> Tested {
    check(
        &["call", "myns:read_file", "/data/hello.txt"],
        expect![[r#"
        "hello from the mount\n"
    "#]],
    )?;
    check(
        &["call", "myns:env_var", "API_KEY"],
        expect![[r#"
        "not-a-secret"
    "#]],
    )?;
    check(
        &["call", "myns:env_var", "PATH"],
        expect![[r#"
        null
    "#]],
    )
}

#[test]
fn a_time_limit_ends_an_endless_loop() -> Tested {
    let args =
        ["--set", "myns.limits:spin:limits.max_execution_ms=100", "call", "myns.limits:spin"];
    let run = crisol(&tour(), &args)?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run:?}");
    assert!(run.stderr.contains("`limits.max_execution_ms` is 100"), "{run:?}");
    Ok(())
}

#[test]
fn everything_checks_and_is_listed() -> Tested {
    let run = crisol(&tour(), &["check"])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.stdout, "ok: 15 functions and 1 command\n");
    assert!(!run.stderr.contains("error"), "{run:?}");
    check(
        &["list"],
        expect![[r#"
            myns.commands:hello          command hello
            myns.limits:spin             func()
            myns.lua:summary             function.lua
            myns.payload:compute         func(a: s32, b: s32) -> s32
            myns.pools:compute_adaptive  func(a: s32, b: s32) -> s32
            myns.pools:compute_lazy      func(a: s32, b: s32) -> s32
            myns.pools:compute_static    func(a: s32, b: s32) -> s32
            myns.wat_file:answer         func() -> s32
            myns:answer                  func() -> s32
            myns:compute                 func(a: s32, b: s32) -> s32
            myns:env_var                 func(name: string) -> option<string>
            myns:filter_active           func(users: list<record { id: u32, name: string, tags: list<string>, active: bool }>) -> list<record { id: u32, display: string, tag-count: u32 }>
            myns:greet_wasm              func(body: string) -> string
            myns:read_file               func(path: string) -> result<string, string>
            myns:sleep_ms                func(ms: u32) -> u64
            myns:transform_users         func(users: list<record { id: u32, name: string, tags: list<string>, active: bool }>) -> list<record { id: u32, display: string, tag-count: u32 }>
        "#]],
    )
}

#[test]
fn lua_functions_and_scripts_call_functions() -> Tested {
    check(
        &["call", "myns.lua:summary", USERS],
        expect![[r#"
        {"active":2,"first":"Alice [admin, dev]","total":3}
    "#]],
    )?;
    let script = tour().join("lua/pipeline.lua").display().to_string();
    check(
        &["lua", &script],
        expect![[r#"
        42
        1	Alice [admin, dev]	2
        2	Bob [user]	1
        3	Carol [dev]	1
        active: 2
    "#]],
    )?;
    let refused = crisol(&tour(), &["call", "myns.lua:summary", "[]"])?;
    assert_eq!((refused.code, refused.stderr.as_str()), (Some(1), "\"no users\"\n"), "{refused:?}");
    Ok(())
}

#[test]
fn its_binaries_are_the_fixtures() -> Tested {
    for entry in std::fs::read_dir(tour().join("wasm"))? {
        let path = entry?.path();
        let name = path.file_name().ok_or("a folder entry without a name")?;
        let fixture = name.to_string_lossy().replace('_', "-");
        let built = std::fs::read(crisol_fixtures::committed_dir().join(fixture))?;
        assert!(std::fs::read(&path)? == built, "{}: copy the fixture again", path.display());
    }
    Ok(())
}

#[test]
fn a_command_runs() -> Tested {
    check(&["run", "hello", "you"], expect!["hello you\n"])?;
    check(&["run", "--list"], expect!["hello  myns.commands:hello\n"])
}
