//! `crisol check`: files outside of the app's texts, and requirements of calls.

use crate::support::{App, Run, Tested};
use expect_test::expect;

/// A certificate and its key outside of the app, with messages about their faults.
#[test]
fn certificates_come_from_anywhere() -> Tested {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let outside = tempfile::tempdir()?;
    let (cert, key) = (outside.path().join("cert.pem"), outside.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    let service = |key: &str| {
        format!(
            "  - {{name: tls, kind: http.service, addr: ':0', tls: {{cert: '{}', key: '{key}'}}}}
  - {{name: site, kind: http.static, fs: assets}}
  - {{name: key, kind: env.variable, storage: os, variable: TLS_KEY}}
  - {{name: os, kind: env.storage.os}}
",
            cert.display()
        )
    };
    let run = App::new(&service(&format!("file://{}", key.display())), &[])?.run(&["check"])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    let app = App::new(&service("env://key"), &[])?;
    let set = |text: &str| {
        Run::of(
            crate::support::crisol_command(app.path(), &["check"]).env("TLS_KEY", text).output()?,
        )
    };
    assert_eq!(set(&made.signing_key.serialize_pem())?.code, Some(0));
    let run = set(include_str!("../../../server/tests/keys/encrypted.pem"))?;
    assert!(run.stderr.contains("`openssl pkey -in KEY -out PLAIN`"), "{run:?}");
    let run = app.run(&["check"])?;
    assert!(run.stderr.contains("set `TLS_KEY` in `myns:os`"), "{run:?}");
    for (path, said) in [
        ("/no/such/key.pem", "`/no/such/key.pem` cannot be read: No such file"),
        ("/dev/zero", "`/dev/zero` cannot be read: it is not a file"),
        ("/dev", "`/dev` cannot be read: it is not a file"),
    ] {
        let run = App::new(&service(path), &[])?.run(&["check"])?;
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(&format!("error[bad-tls]: {said}")), "{run:?}");
    }
    Ok(())
}

/// Configuration that loads, but fails when it is called.
#[test]
fn missing_requirement_of_a_call_is_a_warning() -> Tested {
    let entries = "  - {name: f, kind: function.wat, source: '(module (func (export \"f\") (param i32) (result i32) local.get 0))', method: f, imports: [wasi:cli], wasi: {env: [{id: key, name: KEY, required: true}, {id: other, name: OTHER}]}}
  - {name: key, kind: env.variable, storage: both, variable: NOT_SET}
  - {name: other, kind: env.variable, storage: os, variable: NOT_SET}
  - {name: both, kind: env.storage.router, storages: [values, os]}
  - {name: values, kind: env.storage.static, values: {SET: a}}
  - {name: os, kind: env.storage.os}
  - {name: get, kind: http.endpoint, path: /f, func: f}
  - {name: post, kind: http.endpoint, path: /f, method: POST, func: f}
  - {name: files, kind: http.static, fs: assets}
";
    let app = App::new(entries, &[])?;
    let run = app.run(&["check"])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    expect![[r#"
        warning[unused-import]: `wasi:cli` is declared, but the code does not import it
         --> _index.yaml:6:132
          |
        6 | ...i32) (result i32) local.get 0))', method: f, imports: [wasi:cli], wasi: {env: [{id: key, name: KEY, required: true}, {id: other, n...
          |                                                          ^^^^^^^^^^ in `myns:f`
          |
          = help: remove it, as `crisol check --fix` does

        warning[not-set]: `NOT_SET` is not set, and every call of `myns:f` needs it
         --> _index.yaml:6:157
          |
        6 | ..., method: f, imports: [wasi:cli], wasi: {env: [{id: key, name: KEY, required: true}, {id: other, name: OTHER}]}}
          |                                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: set `NOT_SET` in `myns:both`, or a `default` in `myns:key`

        warning[no-body]: `myns:f` takes 1 argument from the body (`transport: payload`), and a `GET` has none
          --> _index.yaml:12:23
           |
        12 |   - {name: get, kind: http.endpoint, path: /f, func: f}
           |                       ^^^^^^^^^^^^^ in `myns:get`
           |
           = help: write `method: POST`, or `transport: wasi-http` at `myns:f`

        3 warnings
    "#]].assert_eq(&run.stderr);
    let mut command = crate::support::crisol_command(app.path(), &["check"]);
    let run = Run::of(command.env("NOT_SET", "").output()?)?;
    assert!(!run.stderr.contains("not-set"), "{run:?}");
    Ok(())
}

/// Folders are relative to the app's folder, sources to their index file, and both errors say so.
#[test]
fn path_relative_to_the_wrong_base_gets_a_fix() -> Tested {
    let app = App::new("  - {name: site, kind: http.static, fs: 'sub:files'}\n", &[])?;
    let index = "namespace: sub\nentries:\n  - {name: files, kind: fs.directory, directory: ./files}\n  - {name: f, kind: function.wat, source: file://f.wat, method: f}\n";
    std::fs::create_dir_all(app.path().join("sub/files"))?;
    std::fs::write(app.path().join("sub/_index.yaml"), index)?;
    std::fs::write(app.path().join("f.wat"), "(module)")?;
    let run = app.run(&["check"])?;
    expect![[r#"
        error[bad-folder]: the folder `files` does not exist: create it or set `auto_init: true`
         --> sub/_index.yaml:3:50
          |
        3 |   - {name: files, kind: fs.directory, directory: ./files}
          |                                                  ^^^^^^^ in `sub:files`
          |
          = help: `directory` is relative to the app's folder, not to this file: write `./sub/files`

        error[bad-source]: `file://f.wat` cannot be read: no such file
         --> sub/_index.yaml:4:43
          |
        4 |   - {name: f, kind: function.wat, source: file://f.wat, method: f}
          |                                           ^^^^^^^^^^^^ in `sub:f`
          |
          = help: it is relative to the folder of this index file: write `file://../f.wat`

        2 errors
    "#]]
    .assert_eq(&run.stderr);
    Ok(())
}
