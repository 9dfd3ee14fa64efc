//! Variables of the registry and their storages.

use std::os::unix::fs::{PermissionsExt, symlink};

use crisol_wasi::{EnvError, EnvSource, Variables};
use expect_test::expect;

use crate::support::{App, chain, id, pipe};

fn value(variables: &Variables, name: &str) -> Option<String> {
    variables.value(&id(name)).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn error<T: std::fmt::Debug>(found: Result<T, EnvError>) -> String {
    chain(&found.unwrap_err())
}

const FILE: &str = "- {name: file, kind: env.storage.file, path: ./app.env}
- {name: v, kind: env.variable, storage: file, variable: V}
- {name: w, kind: env.variable, storage: file, variable: W}";

const MADE: &str = "- {name: file, kind: env.storage.file, path: ./conf/app.env, auto_init: true}
- {name: v, kind: env.variable, storage: file, variable: V}";

#[test]
fn each_storage_gives_its_values_and_a_default_stands_in() {
    let app = App::new(
        "- {name: memory, kind: env.storage.memory}
- {name: fixed, kind: env.storage.static, values: {V: from static, EMPTY: \"\"}}
- {name: v, kind: env.variable, storage: fixed, variable: V, default: unused}
- {name: EMPTY, kind: env.variable, storage: fixed, default: unused}
- {name: absent, kind: env.variable, storage: fixed, default: by default}
- {name: only_default, kind: env.variable, default: 5}
- {name: m, kind: env.variable, storage: memory}",
    );
    let variables = app.variables();
    assert_eq!(value(&variables, "a:v").as_deref(), Some("from static"));
    assert_eq!(value(&variables, "a:EMPTY").as_deref(), Some(""), "empty is a value");
    assert_eq!(value(&variables, "a:absent").as_deref(), Some("by default"));
    assert_eq!(value(&variables, "a:only_default").as_deref(), Some("5"));
    assert_eq!(value(&variables, "a:m"), None);
    variables.set(&id("a:m"), Some("set")).unwrap();
    assert_eq!(value(&variables, "a:m").as_deref(), Some("set"));
    variables.set(&id("a:m"), None).unwrap();
    assert_eq!(value(&variables, "a:m"), None);
    assert!(matches!(variables.value(&id("a:nope")), Err(EnvError::Unknown { .. })));
}

#[test]
fn only_named_host_variables_are_passed() {
    let app = App::new(
        "- {name: os, kind: env.storage.os}
- {name: pkg, kind: env.variable, storage: os, variable: CARGO_PKG_NAME}
- {name: CARGO_PKG_VERSION, kind: env.variable, default: not the host's}
- {name: absent, kind: env.variable, storage: os, variable: CRISOL_NOT_SET, default: d}",
    );
    let variables = app.variables();
    assert_eq!(value(&variables, "a:pkg").as_deref(), Some("crisol-wasi"));
    assert_eq!(value(&variables, "a:CARGO_PKG_VERSION").as_deref(), Some("not the host's"));
    assert_eq!(value(&variables, "a:absent").as_deref(), Some("d"));
    assert!(matches!(variables.value(&id("a:PATH")), Err(EnvError::Unknown { .. })));
}

#[test]
fn router_reads_in_order_and_writes_to_the_first_writable() {
    let app = App::new(
        "- {name: memory, kind: env.storage.memory}
- {name: fixed, kind: env.storage.static, values: {LOW: from static}}
- {name: inner, kind: env.storage.router, storages: [memory, fixed]}
- {name: outer, kind: env.storage.router, storages: [inner, memory]}
- {name: hiding, kind: env.storage.router, storages: [fixed, memory]}
- {name: low, kind: env.variable, storage: outer, variable: LOW}
- {name: hidden, kind: env.variable, storage: hiding, variable: LOW}
- {name: seen, kind: env.variable, storage: hiding, variable: HIGH}",
    );
    let variables = app.variables();
    assert_eq!(value(&variables, "a:low").as_deref(), Some("from static"));
    variables.set(&id("a:low"), Some("from memory")).unwrap();
    assert_eq!(value(&variables, "a:low").as_deref(), Some("from memory"));
    variables.set(&id("a:seen"), Some("seen")).unwrap();
    assert_eq!(value(&variables, "a:seen").as_deref(), Some("seen"));
    expect!["`a:hidden` cannot be written: `a:fixed` takes precedence and has a value for it"]
        .assert_eq(&error(variables.set(&id("a:hidden"), Some("x"))));
}

#[test]
fn a_long_chain_of_routers_does_not_exhaust_the_stack() {
    let mut entries = String::from("- {name: r0, kind: env.storage.static, values: {V: deep}}\n");
    for n in 1..5000 {
        let router =
            format!("- {{name: r{n}, kind: env.storage.router, storages: [r{}]}}\n", n - 1);
        entries.push_str(&router);
    }
    entries.push_str("- {name: v, kind: env.variable, storage: r4999, variable: V}");
    let app = App::new(&entries);
    assert_eq!(value(&app.variables(), "a:v").as_deref(), Some("deep"));
}

#[test]
fn error_of_a_write_has_the_reason() {
    let app = App::new(
        "- {name: memory, kind: env.storage.memory}
- {name: os, kind: env.storage.os}
- {name: locked, kind: env.variable, storage: memory, readonly: true, default: x}
- {name: host, kind: env.variable, storage: os, variable: CRISOL_NOT_SET}
- {name: fixed, kind: env.variable, default: x}
- {name: m, kind: env.variable, storage: memory}",
    );
    let variables = app.variables();
    let tried = [
        error(variables.set(&id("a:locked"), Some("y"))),
        error(variables.set(&id("a:host"), Some("y"))),
        error(variables.set(&id("a:fixed"), Some("y"))),
        error(variables.set(&id("a:m"), Some("a\0b"))),
        error(variables.set(&id("a:m"), Some(&"x".repeat(128 * 1024 + 1)))),
        error(variables.set(&id("a:nope"), Some("y"))),
    ];
    expect![[r#"
        `a:locked` is `readonly`
        `a:host` is not writable: it has no `env.storage.memory` or `env.storage.file`
        `a:fixed` is not writable: it has no `env.storage.memory` or `env.storage.file`
        the value for `a:m` has a NUL character: remove it
        the value for `a:m` exceeds 128 KiB: store it in a file
        unknown `env.variable` entry `a:nope`"#]]
    .assert_eq(&tried.join("\n"));
    assert_eq!(value(&variables, "a:locked").as_deref(), Some("x"));
}

#[test]
fn file_change_is_seen_at_once_with_equal_size_and_date() {
    let app = App::new(FILE);
    app.write("app.env", "V=0\n");
    let variables = app.variables();
    for n in 0..9 {
        app.write("app.env", &format!("V={n}\n"));
        assert_eq!(value(&variables, "a:v"), Some(n.to_string()));
    }
}

#[test]
fn writing_keeps_the_rest_of_the_file_and_its_mode() {
    let app = App::new(FILE);
    app.write("app.env", "# keep me\nV=1 # and me\n\nOTHER='x y'\nV=2\n");
    std::fs::set_permissions(app.path("app.env"), PermissionsExt::from_mode(0o640)).unwrap();
    let variables = app.variables();
    variables.set(&id("a:v"), Some("it's $HOME\n")).unwrap();
    variables.set(&id("a:w"), Some("new")).unwrap();
    assert_eq!(value(&variables, "a:v").as_deref(), Some("it's $HOME\n"));
    expect![[r#"
        # keep me

        OTHER='x y'
        V="it's \$HOME\n"
        W=new
    "#]]
    .assert_eq(&app.read("app.env"));
    assert_eq!(app.path("app.env").metadata().unwrap().permissions().mode() & 0o777, 0o640);
    variables.set(&id("a:v"), None).unwrap();
    assert_eq!(value(&variables, "a:v"), None);
    let left = std::fs::read_dir(app.root()).unwrap().count();
    assert_eq!(left, 1, "nothing is left of the writing");
}

#[test]
fn concurrent_writes_are_atomic() {
    let mut entries = String::from(FILE);
    for n in 0..8 {
        entries.push_str(&format!("\n- {{name: x{n}, kind: env.variable, storage: file}}"));
    }
    let app = App::new(&entries);
    app.write("app.env", "V=steady\n");
    let variables = app.variables();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let variables = &variables;
            scope.spawn(move || {
                let name = id(&format!("a:x{n}"));
                for turn in 0..20 {
                    variables.set(&name, Some(&format!("{turn}"))).unwrap();
                    assert_eq!(variables.value(&id("a:v")).unwrap().as_deref(), Some("steady"));
                }
            });
        }
    });
    for n in 0..8 {
        assert_eq!(value(&variables, &format!("a:x{n}")).as_deref(), Some("19"));
    }
}

#[test]
fn auto_init_creates_an_owner_only_file() {
    let app = App::new(MADE);
    std::fs::create_dir(app.path("conf")).unwrap();
    let variables = app.variables();
    let made = app.path("conf/app.env");
    assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(value(&variables, "a:v"), None);
    std::fs::remove_file(&made).unwrap();
    variables.set(&id("a:v"), Some("x")).unwrap();
    assert_eq!(app.read("conf/app.env"), "V=x\n");
    assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn missing_or_malformed_file_error_has_a_fix() {
    let app = App::new(FILE);
    let mut shown = vec![error(app.variables().value(&id("a:v")))];
    app.write("app.env", "V=1\n\nno equals sign\n");
    shown.push(error(app.variables().value(&id("a:v"))));
    app.write("app.env", "V=secret-value\nW=\"unclosed\n");
    shown.push(error(app.variables().value(&id("a:v"))));
    std::fs::write(app.path("app.env"), b"V=1\nW=\xff\n").unwrap();
    shown.push(error(app.variables().value(&id("a:v"))));
    std::fs::File::create(app.path("app.env")).unwrap().set_len(1 << 40).unwrap();
    shown.push(error(app.variables().value(&id("a:v"))));
    let without_app = Variables::new(&app.registry, None);
    shown.push(error(without_app.value(&id("a:v"))));
    expect![[r#"
        `app.env`, the file of `a:file`, does not exist: create it or set `auto_init: true`
        invalid line 3 of `app.env`, the file of `a:file`: missing `=`: write `NAME=value`
        invalid line 2 of `app.env`, the file of `a:file`: unclosed `"`
        invalid line 2 of `app.env`, the file of `a:file`: not UTF-8 text
        the file of `a:file` cannot be used
          `app.env` exceeds the limit of 1048576 bytes
        the file of `a:file` cannot be used
          `app.env` is relative, but the app has no folder: use an absolute path"#]]
    .assert_eq(&shown.join("\n"));
}

#[test]
fn variable_file_must_be_a_regular_file_in_the_app() {
    let app = App::new(FILE);
    symlink(app.outside("secret"), app.path("app.env")).unwrap();
    expect![[r#"
        the file of `a:file` cannot be used
          `app.env` leads out of `APP`: use a path that stays inside"#]]
    .assert_eq(
        &error(app.variables().value(&id("a:v"))).replace(&app.root().display().to_string(), "APP"),
    );
    let write = app.variables().set(&id("a:v"), Some("x"));
    assert!(matches!(write, Err(EnvError::File { .. })), "{write:?}");
    assert_eq!(std::fs::read_to_string(app.outside("secret")).unwrap(), "the host's own");
    std::fs::remove_file(app.path("app.env")).unwrap();
    pipe(&app.path("app.env"));
    expect![[r#"
        the file of `a:file` cannot be used
          `app.env` is not a regular file"#]]
    .assert_eq(&error(app.variables().value(&id("a:v"))));
}

#[test]
fn absolute_file_link_survives_a_write() {
    let outside = tempfile::TempDir::new().unwrap();
    let real = outside.path().join("real.env");
    let link = outside.path().join("link.env");
    std::fs::write(&real, "V=1\n").unwrap();
    symlink(&real, &link).unwrap();
    let app = App::new(&format!(
        "- {{name: file, kind: env.storage.file, path: {}}}
- {{name: v, kind: env.variable, storage: file, variable: V}}",
        link.display()
    ));
    let variables = app.variables();
    assert_eq!(value(&variables, "a:v").as_deref(), Some("1"));
    variables.set(&id("a:v"), Some("2")).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(std::fs::read_to_string(&real).unwrap(), "V=2\n");
    assert_eq!(value(&variables, "a:v").as_deref(), Some("2"));
}
