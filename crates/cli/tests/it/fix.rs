//! `crisol check --fix`: the smallest `imports`, written into the index files.

use crate::support::{App, Tested};

#[test]
fn fix_reduces_imports_and_keeps_comments() -> Tested {
    let imports = "imports: # grants\n  - wasi:random # for nothing\n  - wasi:io # reached";
    let app = App::of("probe", &format!("method: now-ms # the time\n{imports}"))?;
    let before = app.run(&["check"])?;
    for warning in [
        "may call what is not declared: `wasi:clocks/wall-clock@0.2.12`",
        "`wasi:random` is declared, but `now-ms` cannot reach it",
    ] {
        assert!(before.stderr.contains(warning), "{warning}: {}", before.stderr);
    }
    let refused = app.run(&["--set", "myns:f:method=count", "check", "--fix"])?;
    assert!(refused.code == Some(2) && refused.stderr.contains("remove `--set`"), "{refused:?}");

    let fixed = app.run(&["check", "--fix"])?;
    let expected = "fixed myns:f: +wasi:clocks -wasi:random (_index.yaml)\nok: 1 function\n";
    assert_eq!((fixed.code, fixed.stdout.as_str(), fixed.stderr.as_str()), (Some(0), expected, ""));
    let text = std::fs::read_to_string(app.path().join("_index.yaml"))?;
    let list = "    method: now-ms # the time\n    imports: # grants\n      - wasi:io # reached\n      - wasi:clocks\n";
    assert!(text.ends_with(list), "{text}");
    assert_eq!(app.call(&[])?.code, Some(0));
    // A second run has nothing to fix.
    assert_eq!(app.run(&["check", "--fix"])?.stdout, "ok: 1 function\n");
    Ok(())
}

#[test]
fn fix_grants_imports_for_configured_resources() -> Tested {
    let app = App::of("probe", "method: args\nwasi: {args: [one]}\n")?;
    assert_eq!(app.call(&[])?.stdout, "[]\n");
    let fixed = app.run(&["check", "--fix"])?;
    assert!(fixed.stdout.starts_with("fixed myns:f: +wasi:cli (_index.yaml)\n"), "{fixed:?}");
    assert_eq!(app.call(&[])?.stdout, "[\"one\"]\n");
    Ok(())
}

#[test]
fn strict_entry_keeps_all_imports_of_its_code() -> Tested {
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

/// Returns the `imports` after `check --fix`, and its output.
fn fixed(guest: &str, fields: &str, imports: &str) -> Tested<(String, String)> {
    let app = App::of(guest, &format!("{fields}\nimports: {imports}\n"))?;
    let run = app.run(&["check", "--fix"])?;
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let text = std::fs::read_to_string(app.path().join("_index.yaml"))?;
    let list = text.split_once("imports: ").ok_or("no imports")?.1.trim_end();
    Ok((list.to_owned(), run.stdout))
}

#[test]
fn overlapping_imports_are_reduced_to_the_smallest_grant() -> Tested {
    for (imports, list) in [
        ("[wasi:clocks, wasi:clocks/wall-clock]", "[wasi:clocks]"),
        ("[preview1, wasi:clocks]", "[wasi:clocks]"),
        ("[wasi:clocks/wall-clock, preview1, wasi:clocks]", "[wasi:clocks]"),
        ("[wasi:clocks/wall-clock]", "[wasi:clocks/wall-clock]"),
        ("[preview1]", "[preview1]"),
        ("[wasi:clocks, 'WASI:Clocks@0.2.0', wasi:clocks]", "[wasi:clocks]"),
    ] {
        let (left, _) = fixed("probe", "method: now-ms", imports)?;
        assert_eq!(left, list, "{imports}");
    }
    Ok(())
}

#[test]
fn duplicate_grant_is_a_warning() -> Tested {
    let imports = "imports: [wasi:clocks, wasi:clocks/wall-clock, wasi:clocks]";
    let app = App::of("probe", &format!("method: now-ms\n{imports}\n"))?;
    let run = app.run(&["check"])?;
    for warning in [
        "`wasi:clocks/wall-clock` is declared, but others grant all of it that `now-ms` needs",
        "`wasi:clocks` is declared more than once",
    ] {
        assert!(run.stderr.contains(warning), "{warning}: {run:?}");
    }
    Ok(())
}

#[test]
fn every_entry_of_a_binary_is_fixed() -> Tested {
    let hash = crisol_fixtures::sha256("probe");
    let entry = |name: &str, imports: &str| {
        format!(
            "  - {{name: {name}, kind: function.wasm, fs: assets, path: /probe.wasm, hash: 'sha256:{hash}', method: now-ms, imports: {imports}}}\n"
        )
    };
    let lists = [
        "[wasi:random, wasi:clocks]",
        "[wasi:clocks, wasi:random]",
        "[wasi:http, wasi:clocks]",
        "[]",
    ];
    let names = ["a", "b", "c", "d"];
    let entries: String = names.iter().zip(lists).map(|(name, list)| entry(name, list)).collect();
    let app = App::new(&entries, &["probe"])?;
    let run = app.run(&["check", "--fix"])?;
    for name in names {
        assert!(run.stdout.contains(&format!("fixed myns:{name}: ")), "{name}: {run:?}");
    }
    let text = std::fs::read_to_string(app.path().join("_index.yaml"))?;
    assert_eq!(text.matches("imports: [wasi:clocks]").count(), names.len(), "{text}");
    Ok(())
}

#[test]
fn a_package_gives_way_to_the_interface_that_is_needed() -> Tested {
    let entry = r#"  - name: f
    kind: function.wat
    method: f
    source: |
      (component
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance $c (export "now" (func (result u64)))))
        (core func $now (canon lower (func $c "now")))
        (core module $m
          (import "c" "now" (func $now (result i64)))
          (func (export "f") (result i64) (call $now)))
        (core instance $i (instantiate $m (with "c" (instance (export "now" (func $now))))))
        (func (export "f") (result u64) (canon lift (core func $i "f"))))
    imports: [preview1, wasi:clocks, wasi:clocks/monotonic-clock]
"#;
    let app = App::new(entry, &[])?;
    let run = app.run(&["check", "--fix"])?;
    assert!(run.stdout.starts_with("fixed myns:f: -wasi1 -wasi:clocks ("), "{run:?}");
    assert_ne!(app.call(&[])?.stdout, "0\n");
    Ok(())
}

/// An entry with fields merged from another one by `<<`.
#[test]
fn merged_entry_keeps_its_imports() -> Tested {
    let hash = crisol_fixtures::sha256("probe");
    let entries = format!(
        "  - &a\n    name: a\n    kind: function.wasm\n    fs: assets\n    path: /probe.wasm\n    hash: sha256:{hash}\n    method: now-ms\n    imports: [wasi:clocks, wasi:random]\n  - <<: *a\n    name: f\n"
    );
    let app = App::new(&entries, &["probe"])?;
    let run = app.run(&["check", "--fix"])?;
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let text = std::fs::read_to_string(app.path().join("_index.yaml"))?;
    assert!(text.ends_with("  - <<: *a\n    name: f\n    imports: [wasi:clocks]\n"), "{text}");
    assert_eq!(app.call(&[])?.code, Some(0));
    Ok(())
}
