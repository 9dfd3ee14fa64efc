//! Bad input: a message that names the entry, the value found and a fix, and exit code 2.

use crate::support::{App, Run, Tested};
use expect_test::{Expect, expect};

fn check(run: Run, expected: Expect) {
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run:?}");
    expected.assert_eq(&run.stderr);
}

#[test]
fn an_unknown_id_names_the_nearest() -> Tested {
    let app = App::of("compute", "method: compute")?;
    check(
        app.run(&["call", "myns:g"])?,
        expect![[r#"
        error: unknown function `myns:g`: did you mean `myns:f`?
    "#]],
    );
    check(
        app.run(&["call", "f"])?,
        expect![[r#"
            error: unknown function `f`: did you mean `myns:f`?
        "#]],
    );
    Ok(())
}

#[test]
fn wrong_arguments_name_the_place_and_both_sides() -> Tested {
    let app = App::of("mapper", "method: transform-users")?;
    check(
        app.call(&[])?,
        expect![[r#"
        error: `myns:f` cannot take these arguments: expected 1 argument (users: list<record { id: u32, name: string, tags: list<string>, active: bool }>), found 0
    "#]],
    );
    check(
        app.call(&["[]", "1"])?,
        expect![[r#"
        error: `myns:f` cannot take these arguments: expected 1 argument (users: list<record { id: u32, name: string, tags: list<string>, active: bool }>), found 2
    "#]],
    );
    let user = r#"[{"id": 1, "name": "A", "tags": ["x", 5], "active": true}]"#;
    check(
        app.call(&[user])?,
        expect![[r#"
        error: `myns:f` cannot take these arguments: argument 1 (users)[0].tags[1]: expected string, found number 5
    "#]],
    );
    check(
        app.call(&[r#"[{"id": -1}]"#])?,
        expect![[r#"
        error: `myns:f` cannot take these arguments: argument 1 (users)[0].id: expected u32 (0 to 4294967295), found number -1
    "#]],
    );
    Ok(())
}

#[test]
fn a_wrong_hash_gives_the_right_one() -> Tested {
    let app = App::of("compute", "method: compute")?;
    let mut bytes = crisol_fixtures::bytes("compute");
    bytes.push(0);
    std::fs::write(app.path().join("wasm/compute.wasm"), bytes)?;
    let run = app.call(&["6", "7"])?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("does not match this hash"), "{run:?}");
    assert!(run.stderr.contains("_index.yaml:10:"), "{run:?}");
    Ok(())
}

#[test]
fn missing_or_invalid_code_is_reported_at_its_entry() -> Tested {
    let missing = App::of("compute", "method: compute")?;
    std::fs::remove_file(missing.path().join("wasm/compute.wasm"))?;
    check(
        missing.run(&["check"])?,
        expect![[r#"
            error[bad-file]: cannot read `compute.wasm` of `myns:assets`: the file `APP/wasm/compute.wasm` does not exist
             --> _index.yaml:9:11
              |
            9 |     path: /compute.wasm
              |           ^^^^^^^^^^^^^ in `myns:f`
              |
              = help: put the file into the folder of `myns:assets`, or correct `path`

            1 error
        "#]],
    );

    let text = "  - name: f\n    kind: function.wat\n    source: hello\n    method: f\n";
    check(
        App::new(text, &[])?.run(&["check"])?,
        expect![[r#"
            error[bad-code]: expected `(`
                                  --> <anon>:1:1
                                   |
                                 1 | hello
                                   | ^
             --> _index.yaml:8:13
              |
            8 |     source: hello
              |             ^^^^^ in `myns:f`
              |
              = help: correct the text at that line and column: a core module is `(module …)`, a component `(component …)`

            warning[unused]: unused entry `myns:assets`
             --> _index.yaml:3:11
              |
            3 |   - name: assets
              |           ^^^^^^
              |
              = help: use it in `fs` of a function, a mount or an `http.static`, or remove it

            1 error and 1 warning
        "#]],
    );

    let method = App::of("compute", "method: comput")?;
    check(
        method.run(&["call", "myns:f"])?,
        expect![[r#"
            error: the app `APP` does not load

            error[bad-method]: unknown export `comput` (did you mean `compute`?); the component exports `compute: func(a: s32, b: s32) -> s32`
              --> _index.yaml:11:13
               |
            11 |     method: comput
               |             ^^^^^^ in `myns:f`
               |
               = help: name an export that takes and gives values

            1 error
        "#]],
    );
    Ok(())
}

#[test]
fn call_of_an_undeclared_import_names_the_line_to_add() -> Tested {
    let app = App::of("probe", "method: now-ms\nimports: [wasi:io]")?;
    check(
        app.call(&[])?,
        expect![[r#"
            error: `myns:f` called `wasi:clocks/wall-clock@0.2.12#now`, which its entry does not import: add `wasi:clocks` to its `imports`
        "#]],
    );
    let strict = App::of("compute", "method: compute\nstrict_imports: true")?;
    let run = strict.call(&["6", "7"])?;
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("no host function serves `test:minimal/host@0.1.0#log`"),
        "{run:?}"
    );
    Ok(())
}

#[test]
fn the_functions_own_error_is_json_on_stderr_and_code_1() -> Tested {
    let app = App::of("probe", "method: fail")?;
    assert_eq!(app.call(&[""])?.stdout, "\"no failure\"\n");
    let run = app.call(&["no luck"])?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    expect![[r#"
        {"code":7,"message":"no luck"}
    "#]]
    .assert_eq(&run.stderr);
    Ok(())
}

#[test]
fn every_problem_is_reported_at_once() -> Tested {
    let entries = "  - name: a\n    kind: function.wasm\n    fs: assets\n    path: /none.wasm\n    hash: sha256:12\n    method: f\n\
                   \x20 - name: b\n    kind: function.watt\n  - name: c\n    kind: function.wat\n    source: (module)\n";
    let run = App::new(entries, &[])?.run(&["check"])?;
    assert_eq!(run.code, Some(2));
    for place in ["_index.yaml:10:", "_index.yaml:13:", "_index.yaml:15:"] {
        assert!(run.stderr.contains(place), "{place} is missing: {}", run.stderr);
    }
    Ok(())
}
