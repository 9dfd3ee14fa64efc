//! `crisol check --fix`: the smallest `imports`, written into the index files.

mod support;

use support::{App, Tested};

#[test]
fn imports_become_what_the_method_may_call_and_comments_stay() -> Tested {
    let imports = "imports: # grants\n  - wasi:random # for nothing\n  - wasi:io # reached";
    let app = App::of("probe", &format!("method: now-ms # the time\n{imports}"))?;
    let before = app.run(&["check"])?;
    for warning in [
        "may call what is not declared: `wasi:clocks/wall-clock@0.2.12`",
        "`wasi:random` is declared, and `now-ms` cannot reach it",
    ] {
        assert!(before.stderr.contains(warning), "{warning}: {}", before.stderr);
    }
    let refused = app.run(&["--set", "myns:f:method=count", "check", "--fix"])?;
    assert!(refused.code == Some(2) && refused.stderr.contains("leave it out"), "{refused:?}");

    let fixed = app.run(&["check", "--fix"])?;
    let expected = "fixed myns:f: +wasi:clocks -wasi:random (_index.yaml)\nok: 1 function\n";
    assert_eq!((fixed.code, fixed.stdout.as_str(), fixed.stderr.as_str()), (Some(0), expected, ""));
    let text = std::fs::read_to_string(app.path().join("_index.yaml"))?;
    let list = "    method: now-ms # the time\n    imports: # grants\n      - wasi:io # reached\n      - wasi:clocks\n";
    assert!(text.ends_with(list), "{text}");
    assert_eq!(app.call(&[])?.code, Some(0));
    // There is nothing more to be fixed.
    assert_eq!(app.run(&["check", "--fix"])?.stdout, "ok: 1 function\n");
    Ok(())
}

#[test]
fn what_an_entry_gives_its_guest_is_granted() -> Tested {
    let app = App::of("probe", "method: args\nwasi: {args: [one]}\n")?;
    assert_eq!(app.call(&[])?.stdout, "[]\n");
    let fixed = app.run(&["check", "--fix"])?;
    assert!(fixed.stdout.starts_with("fixed myns:f: +wasi:cli (_index.yaml)\n"), "{fixed:?}");
    assert_eq!(app.call(&[])?.stdout, "[\"one\"]\n");
    Ok(())
}

#[test]
fn a_strict_entry_keeps_what_its_code_imports() -> Tested {
    let imports =
        "imports: [wasi:clocks, wasi:cli, wasi:io, wasi:filesystem, wasi:random, wasi:sockets]";
    let app = App::of("probe", &format!("method: count\n{imports}\nstrict_imports: true\n"))?;
    let fixed = app.run(&["check", "--fix"])?;
    assert_eq!((fixed.code, fixed.stdout.as_str()), (Some(0), "ok: 1 function\n"), "{fixed:?}");
    let text = std::fs::read_to_string(app.path().join("_index.yaml"))?;
    assert!(text.contains(imports), "{text}");
    let call = app.call(&[])?;
    assert_eq!(call.code, Some(0), "{call:?}");
    Ok(())
}
