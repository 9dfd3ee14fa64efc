//! Commands beside `call`: their output and their changes.

use crate::support::{App, Tested, crisol};

#[test]
fn pin_writes_the_right_hash_and_keeps_the_rest() -> Tested {
    let app = App::of("compute", "method: compute # the product\n\npool: {type: inline}")?;
    let index = app.path().join("_index.yaml");
    let right = std::fs::read_to_string(&index)?;
    let hash = crisol_fixtures::sha256("compute");
    let wrong = right.replace(&hash, &"0".repeat(64));
    std::fs::write(&index, &wrong)?;
    assert_eq!(app.call(&["6", "7"])?.code, Some(2));

    let pinned = app.run(&["pin"])?;
    assert_eq!(pinned.stdout, format!("pinned myns:f sha256:{hash} (_index.yaml)\n"), "{pinned:?}");
    assert_eq!(std::fs::read_to_string(&index)?, right);
    assert_eq!(app.call(&["6", "7"])?.stdout, "42\n");
    assert!(app.run(&["pin", "myns:f"])?.stdout.starts_with("unchanged myns:f"));

    let unknown = app.run(&["pin", "myns:g"])?;
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("`myns:g` has no `hash`: pin one of `myns:f`"));
    Ok(())
}

#[test]
fn schema_prints_a_json_schema() -> Tested {
    let app = App::new("", &[])?;
    let schema: serde_json::Value = serde_json::from_str(&app.run(&["schema"])?.stdout)?;
    assert!(schema.get("$schema").is_some());
    Ok(())
}

#[test]
fn check_tells_tools_as_json() -> Tested {
    let app = App::of("compute", "method: comput")?;
    let run = app.run(&["check", "--format", "json"])?;
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), ""));
    let found: serde_json::Value = serde_json::from_str(&run.stdout)?;
    let text = found.to_string();
    assert!(text.contains("bad-method") && text.contains("_index.yaml"), "{text}");
    Ok(())
}

/// The golden app of twenty mistakes, through the program: each is reported once, with its place and help.
#[test]
fn check_tells_twenty_mistakes_in_one_run() -> Tested {
    let app = App::new("", &[])?;
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/tests/ui/twenty-mistakes");
    std::fs::copy(format!("{golden}.yaml"), app.path().join("_index.yaml"))?;
    let run = app.run(&["check"])?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert_eq!(run.stderr, std::fs::read_to_string(format!("{golden}.err"))?);
    assert_eq!(run.stderr.matches("\nerror[").count() + 1, 20);

    let run = app.run(&["check", "--format", "json"])?;
    let found: serde_json::Value = serde_json::from_str(&run.stdout)?;
    assert_eq!((run.code, found["errors"].as_u64()), (Some(2), Some(20)));
    Ok(())
}

#[test]
fn wave_goes_in_and_comes_out() -> Tested {
    let app = App::of("mapper", "method: transform-users")?;
    let users = r#"[{id: 1, name: "Alice", tags: ["admin", "dev"], active: true}]"#;
    let run = app.run(&["call", "--wave", "myns:f", users])?;
    let expected = "[{id: 1, display: \"Alice [admin, dev]\", tag-count: 2}]\n";
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), expected), "{run:?}");
    let wrong = app.run(&["call", "--wave", "myns:f", "[{id: -1}]"])?;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    Ok(())
}

#[test]
fn an_app_without_namespaces_takes_one_from_the_command_line() -> Tested {
    let app = App::new("", &[])?;
    std::fs::write(
        app.path().join("_index.yaml"),
        "entries:\n  - {name: f, kind: function.wat, method: f, source: '(module (func (export \"f\") (result i32) i32.const 1))'}\n",
    )?;
    assert_eq!(app.run(&["check"])?.code, Some(2));
    assert_eq!(app.run(&["--namespace", "x", "call", "x:f"])?.stdout, "1\n");
    Ok(())
}

#[test]
fn missing_app_is_an_error() -> Tested {
    let app = App::new("", &[])?;
    let run = crisol(&app.path().join("none"), &["list"])?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("cannot open the app"), "{run:?}");
    Ok(())
}

#[test]
fn compiled_code_is_cached_and_used_by_the_next_run() -> Tested {
    let app = App::of("compute", "method: compute")?;
    let cache = tempfile::tempdir()?;
    let dir = cache.path().display().to_string();
    let files = || -> Tested<Vec<_>> {
        let entries = std::fs::read_dir(cache.path())?;
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            files.push((entry.file_name(), entry.metadata()?.modified()?));
        }
        Ok(files)
    };
    let compiled = crisol(app.path(), &["compile", "--cache-dir", &dir])?;
    assert_eq!(
        compiled.stdout,
        format!("ok: the code of 1 function is in {dir}\n"),
        "{compiled:?}"
    );
    let kept = files()?;
    assert_eq!(kept.len(), 1);

    let called = crisol(app.path(), &["--cache-dir", &dir, "call", "myns:f", "6", "7"])?;
    assert_eq!(called.stdout, "42\n", "{called:?}");
    assert_eq!(files()?, kept, "it was compiled again");

    let again =
        crisol(app.path(), &["--cache-dir", &dir, "--no-cache", "call", "myns:f", "6", "7"])?;
    assert_eq!(again.stdout, "42\n", "{again:?}");
    let nowhere = crisol(app.path(), &["--no-cache", "compile"])?;
    assert_eq!(nowhere.code, Some(2), "{nowhere:?}");
    assert!(nowhere.stderr.contains("--cache-dir"), "{nowhere:?}");
    Ok(())
}

#[cfg(unix)]
#[test]
fn cache_folder_writable_by_others_is_ignored() -> Tested {
    use std::os::unix::fs::PermissionsExt as _;

    let app = App::of("compute", "method: compute")?;
    let cache = tempfile::tempdir()?;
    std::fs::set_permissions(cache.path(), std::fs::Permissions::from_mode(0o777))?;
    let dir = cache.path().display().to_string();
    let refused = crisol(app.path(), &["compile", "--cache-dir", &dir])?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("others may write to the folder (mode 777)"), "{refused:?}");
    let called = crisol(app.path(), &["--cache-dir", &dir, "call", "myns:f", "6", "7"])?;
    assert_eq!(called.stdout, "42\n", "{called:?}");
    assert_eq!(std::fs::read_dir(cache.path())?.count(), 0);
    Ok(())
}
