//! `crisol check`: all problems of an app in one run, and no false ones.

use crate::support::{App, Run, Tested};
use expect_test::{Expect, expect};
use serde_json::Value;

/// Problems as `place rule` with their subject, from the JSON report.
fn listed(run: &Run) -> Tested<Vec<String>> {
    let found: Value = serde_json::from_str(&run.stdout)?;
    let problems = found["problems"].as_array().ok_or("no list")?;
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let one = |one: &Value| {
        let [severity, rule, file, entry, field] =
            ["severity", "rule", "file", "entry", "field"].map(|name| text(&one[name]));
        format!("{file}:{} {severity}[{rule}] {entry} {field}", one["line"])
    };
    let helpless: Vec<_> = problems.iter().filter(|one| one["help"].is_null()).collect();
    assert!(helpless.is_empty(), "no help: {helpless:#?}");
    Ok(problems.iter().map(one).collect())
}

fn check(app: &App, expected: Expect) -> Tested {
    let run = app.run(&["check", "--format", "json"])?;
    let found: Value = serde_json::from_str(&run.stdout)?;
    let counted = format!("{} errors, {} warnings", found["errors"], found["warnings"]);
    expected.assert_eq(&format!("{}\n{counted}\n", listed(&run)?.join("\n")));
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), ""));
    Ok(())
}

fn wasm(name: &str, guest: &str, fields: &str) -> String {
    format!(
        "  - name: {name}\n    kind: function.wasm\n    fs: assets\n    path: /{guest}.wasm\n    {fields}\n"
    )
}

fn hash(guest: &str) -> String {
    format!("hash: sha256:{}", crisol_fixtures::sha256(guest))
}

/// A bad field, a wrong hash, a missing method and an undeclared import: in one entry each, and in one together.
fn texts_and_binaries() -> Tested<App> {
    let good = hash("compute");
    let wrong = format!("hash: sha256:{}", "0".repeat(64));
    let entries = [
        wasm(
            "field",
            "compute",
            &format!("{good}\n    method: compute\n    limits: {{max_fule: 1}}"),
        ),
        wasm("hash", "compute", &format!("{wrong}\n    method: compute")),
        wasm("method", "compute", &format!("{good}\n    method: comput")),
        wasm(
            "import",
            "compute",
            &format!("{good}\n    method: compute\n    strict_imports: true"),
        ),
        wasm(
            "all",
            "compute",
            "hash: sha256:12\n    method: comput\n    pol: {}\n    strict_imports: true",
        ),
    ];
    App::new(&entries.concat(), &["compute"])
}

#[test]
fn problems_of_texts_and_binaries_are_reported_together() -> Tested {
    let app = texts_and_binaries()?;
    check(
        &app,
        expect![[r#"
            _index.yaml:12 error[unknown-field] myns:field limits.max_fule
            _index.yaml:17 error[wrong-hash] myns:hash hash
            _index.yaml:24 error[bad-method] myns:method method
            _index.yaml:26 error[undeclared-import] myns:import imports
            _index.yaml:33 error[undeclared-import] myns:all imports
            _index.yaml:36 error[bad-hash] myns:all hash
            _index.yaml:37 error[bad-method] myns:all method
            _index.yaml:38 error[unknown-field] myns:all pol
            8 errors, 0 warnings
        "#]],
    )?;
    let run = app.run(&["check"])?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    let stderr = run.stderr.replace(&crisol_fixtures::sha256("compute"), "HASH");
    expect![[r#"
        error[unknown-field]: `limits` has no field `max_fule`
          --> _index.yaml:12:14
           |
        12 |     limits: {max_fule: 1}
           |              ^^^^^^^^ in `myns:field`
           |
           = help: did you mean `max_fuel`?

        error[wrong-hash]: `compute.wasm` does not match this hash: it has sha256:HASH
          --> _index.yaml:17:11
           |
        17 |     hash: sha256:0000000000000000000000000000000000000000000000000000000000000000
           |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ in `myns:hash`
           |
           = help: if the file is the right one, run `crisol pin`, which writes its hash

        error[bad-method]: unknown export `comput` (did you mean `compute`?); the component exports `compute: func(a: s32, b: s32) -> s32`
          --> _index.yaml:24:13
           |
        24 |     method: comput
           |             ^^^^^^ in `myns:method`
           |
           = note: the same in 1 more place:
                   _index.yaml:37:13 in `myns:all`
           = help: name an export that takes and gives values

        error[undeclared-import]: the code imports what this host does not have: `test:minimal/host@0.1.0#log`
          --> _index.yaml:26:11
           |
        26 |     kind: function.wasm
           |           ^^^^^^^^^^^^^ in `myns:import`
           |
           = note: the same in 1 more place:
                   _index.yaml:33:11 in `myns:all`
           = help: no host function serves `test:minimal/host@0.1.0#log`: a call that uses it fails

        error[bad-hash]: `sha256:12` is not a hash: it has 2 digits, not 64
          --> _index.yaml:36:11
           |
        36 |     hash: sha256:12
           |           ^^^^^^^^^ in `myns:all`
           |
           = help: run `crisol pin`, which writes the hash of the file

        error[unknown-field]: `function.wasm` has no field `pol`
          --> _index.yaml:38:5
           |
        38 |     pol: {}
           |     ^^^ in `myns:all`
           |
           = help: did you mean `pool`?

        6 errors in 8 places
    "#]]
    .assert_eq(&stderr);
    Ok(())
}

/// An unreadable entry is reported once, and its users are not.
#[test]
fn one_mistake_is_one_problem() -> Tested {
    let good = hash("compute");
    let inner = |name: &str, fs: &str| {
        format!(
            "  - name: {name}\n    kind: function.wasm\n    fs: {fs}\n    path: /compute.wasm\n    {good}\n    method: compute\n    imports: [wasi:cli, wasi:filesystem]\n"
        )
    };
    let entries = [
        // A folder without its path, a missing one, and one that cannot be created as declared.
        "  - {name: unnamed, kind: fs.directory, directry: ./wasm}\n",
        "  - {name: missing, kind: fs.directory, directory: ./none}\n",
        "  - {name: mode, kind: fs.directory, directory: ./wasm, mode: 9}\n",
        &inner("in_unnamed", "unnamed"),
        &inner("in_missing", "missing"),
        &inner("in_mode", "mode"),
        &(inner("mounts", "assets")
            + "    wasi: {mounts: [{fs: unnamed, guest: /a}, {fs: missing, guest: /b}]}\n"),
        // Unreadable lists do not make their items undeclared.
        &wasm(
            "imports",
            "compute",
            &format!(
                "{good}\n    method: compute\n    strict_imports: true\n    imports: [wasi:cloks]"
            ),
        ),
        &wasm(
            "import",
            "compute",
            &format!(
                "{good}\n    method: compute\n    strict_imports: true\n    import: [wasi:cli]"
            ),
        ),
        // A method without its WIT, and code without its method.
        "  - {name: wit, kind: function.wat, source: '(module (func (export \"a\") (result i32) i32.const 1))', method: b, wit: 5}\n",
        "  - {name: code, kind: function.wat, source: '(module)', metod: b}\n",
        "  - {name: lua, kind: function.lua, source: 'local json = require(\"json\") return {f = json.encode}', method: f, modules: [jso]}\n",
        // Routes below an unreadable router only look alike.
        "  - {name: one, kind: http.router, prefix: one}\n",
        "  - {name: two, kind: http.router, prefix: /two}\n",
        "  - {name: site, kind: http.static, fs: missing, meta: {router: two}}\n",
        "  - {name: a, kind: http.endpoint, path: /x, func: in_mode, meta: {router: one}}\n",
        "  - {name: b, kind: http.endpoint, path: /x, func: in_mode, meta: {router: two}}\n",
        "  - {name: c, kind: http.endpoint, path: /x, func: in_mode, meta: {router: tow}}\n",
    ];
    let app = App::new(&entries.concat(), &["compute"])?;
    check(
        &app,
        expect![[r#"
            _index.yaml:6 error[unknown-field] myns:unnamed directry
            _index.yaml:7 error[bad-folder] myns:missing directory
            _index.yaml:8 error[bad-form] myns:mode mode
            _index.yaml:45 error[unknown-value] myns:imports imports[0]
            _index.yaml:53 error[unknown-field] myns:import import
            _index.yaml:54 error[wrong-type] myns:wit wit
            _index.yaml:55 error[unknown-field] myns:code metod
            _index.yaml:56 error[unknown-value] myns:lua modules[0]
            _index.yaml:57 error[bad-path] myns:one prefix
            _index.yaml:62 error[dangling-reference] myns:c meta.router
            _index.yaml:29 warning[unused-import] myns:in_mode imports
            _index.yaml:36 warning[unused-import] myns:mounts imports
            _index.yaml:60 warning[no-body] myns:a method
            _index.yaml:61 warning[no-body] myns:b method
            _index.yaml:62 warning[no-body] myns:c method
            10 errors, 5 warnings
        "#]],
    )
}

/// An entry without a name, with a duplicate one, or in a file without a namespace is checked like any other.
#[test]
fn entries_without_a_unique_name_are_checked() -> Tested {
    let good = hash("compute");
    let method = format!("{good}\n    method: comput");
    let entries = [
        wasm("a", "compute", &format!("{good}\n    method: compute")),
        wasm("a", "compute", &method),
        wasm("not a name", "compute", &method),
    ];
    let app = App::new(&entries.concat(), &["compute"])?;
    let other = "entries:\n  - {name: f, kind: function.wat, source: (module), method: f}\n  - {name: d, kind: fs.directory, directory: ./none}\n";
    std::fs::create_dir(app.path().join("other"))?;
    std::fs::write(app.path().join("other/_index.yaml"), other)?;
    let broken = "namespace: broken\nentries: [\n";
    std::fs::create_dir(app.path().join("broken"))?;
    std::fs::write(app.path().join("broken/_index.yaml"), broken)?;
    let refers = "namespace: refers\nentries:\n  - {name: e, kind: http.endpoint, path: /, func: broken:f}\n";
    std::fs::create_dir(app.path().join("refers"))?;
    std::fs::write(app.path().join("refers/_index.yaml"), refers)?;
    check(
        &app,
        expect![[r#"
            _index.yaml:12 error[duplicate-id] myns:a -
            _index.yaml:17 error[bad-method] myns:a method
            _index.yaml:18 error[bad-name] - entries[3].name
            _index.yaml:23 error[bad-method] - method
            broken/_index.yaml:2 error[yaml-syntax] - -
            other/_index.yaml:1 error[no-namespace] - -
            other/_index.yaml:2 error[bad-code] _:f method
            other/_index.yaml:3 error[bad-folder] _:d directory
            8 errors, 0 warnings
        "#]],
    )
}

/// Scripts, certificates and folders are checked beside a misspelt field elsewhere.
#[test]
fn scripts_certificates_and_folders_are_checked() -> Tested {
    let entries = [
        "  - {name: typo, kind: env.storage.memory, valus: {}}\n",
        "  - {name: lua, kind: function.lua, source: 'return {f = }', method: f}\n",
        "  - {name: lua2, kind: function.lua, source: 'return {}', method: f, limits: 5}\n",
        "  - {name: tls, kind: http.service, addr: ':0', tls: {cert: none, key: none}}\n",
        "  - {name: site, kind: http.static, fs: assets, directory: none}\n",
        "  - {name: wat, kind: function.wat, source: (modul), method: f}\n",
        "  - {name: rows, kind: function.wat, source: (module), wit: 'f: func(', method: f}\n",
        "  - {name: file, kind: function.wasm, fs: assets, path: none.wasm, hash: 'sha256:1', method: f}\n",
    ];
    let app = App::new(&entries.concat(), &["compute"])?;
    check(
        &app,
        expect![[r#"
        _index.yaml:6 error[unknown-field] myns:typo valus
        _index.yaml:7 error[bad-code] myns:lua source
        _index.yaml:8 error[bad-method] myns:lua2 method
        _index.yaml:8 error[wrong-type] myns:lua2 limits
        _index.yaml:9 error[bad-tls] myns:tls tls.cert
        _index.yaml:10 error[bad-folder] myns:site directory
        _index.yaml:11 error[bad-code] myns:wat source
        _index.yaml:12 error[bad-code] myns:rows wit
        _index.yaml:13 error[bad-file] myns:file path
        _index.yaml:13 error[bad-hash] myns:file hash
        10 errors, 0 warnings
    "#]],
    )
}

/// Overlaps that an app's texts may have, the server serves: files answer only `GET`, and of two routes the more
/// specific one wins.
#[test]
fn files_stand_beside_endpoints_that_answer_others() -> Tested {
    let entries = "  - {name: f, kind: function.wat, source: '(module (func (export \"f\") (result i32) i32.const 1))', method: f, transport: wasi-http}
  - {name: h, kind: http.service, addr: ':0', openapi: true}
  - {name: site, kind: http.static, fs: assets, path: /assets}
  - {name: inner, kind: http.static, fs: assets, path: /assets/inner}
  - {name: root, kind: http.static, fs: assets}
  - {name: a, kind: http.endpoint, path: '/assets/{rest...}', method: POST, func: f}
  - {name: b, kind: http.endpoint, path: '/assets/{name}', func: f}
  - {name: c, kind: http.endpoint, path: '/assets/{rest...}', method: ANY, func: f}
  - {name: d, kind: http.endpoint, path: /, func: f}
  - {name: e, kind: http.endpoint, path: /openapi.json, method: PUT, func: f}
";
    let run = App::new(entries, &[])?.run(&["check"])?;
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    Ok(())
}

/// Twenty mistakes are twenty problems, at any depth of checking.
#[test]
fn twenty_mistakes_are_twenty_problems() -> Tested {
    let app = App::new("", &[])?;
    let index = include_str!("../../../schema/tests/ui/twenty-mistakes.yaml");
    std::fs::write(app.path().join("_index.yaml"), index)?;
    let run = app.run(&["check", "--format", "json"])?;
    let found: Value = serde_json::from_str(&run.stdout)?;
    assert_eq!((&found["errors"], &found["warnings"]), (&20.into(), &0.into()), "{found:#}");
    Ok(())
}
