//! Plan of a function: variables at call time, and the content of a context.

use std::sync::Arc;

use crisol_wasi::{EnvSource, Environment, FsSource, PlanError, Stdio, resolve};
use expect_test::expect;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::WasiCliView;
use wasmtime_wasi::filesystem::WasiFilesystemView;
use wasmtime_wasi::p2::bindings::cli::environment::Host;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as Preopens;

use crate::support::{App, Guest, app_with, chain, id};

const ENTRIES: &str = "
- {name: memory, kind: env.storage.memory}
- {name: key, kind: env.variable, storage: memory, variable: KEY}
- {name: mode, kind: env.variable, storage: memory, default: fast}
- {name: extra, kind: env.variable, storage: memory}";

fn app() -> App {
    app_with(
        "args: [--verbose, \"a b\"]
cwd: /work
env:
  - {id: key, name: API_KEY, required: true}
  - {id: mode, name: MODE}
  - {id: extra, name: EXTRA}",
        ENTRIES,
    )
}

fn seen(guest: &mut Guest) -> Vec<(String, String)> {
    guest.cli().get_environment().unwrap()
}

#[test]
fn guest_sees_the_current_values_of_its_declared_variables() {
    let app = app();
    let variables = Arc::new(app.variables());
    let plan = app.plan_with(Arc::clone(&variables) as Arc<dyn EnvSource>).unwrap();
    assert!(!plan.is_static());
    variables.set(&id("a:key"), Some("k1")).unwrap();
    let first = plan.environment().unwrap();
    let mut guest = Guest::with(&plan, &first, Stdio::Log);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(seen(&mut guest), [pair("API_KEY", "k1"), pair("MODE", "fast")]);
    assert_eq!(guest.cli().get_arguments().unwrap(), ["--verbose", "a b"]);
    assert_eq!(guest.cli().initial_cwd().unwrap().as_deref(), Some("/work"));

    assert_eq!(plan.environment().unwrap(), first, "nothing changed");
    variables.set(&id("a:key"), Some("k2")).unwrap();
    variables.set(&id("a:extra"), Some("")).unwrap();
    let second = plan.environment().unwrap();
    assert_ne!(second, first);
    let mut guest = Guest::with(&plan, &second, Stdio::Log);
    assert_eq!(seen(&mut guest), [pair("API_KEY", "k2"), pair("MODE", "fast"), pair("EXTRA", "")]);
}

#[test]
fn unconfigured_guest_gets_nothing() {
    let app = app_with("{}", "");
    let plan = app.plan();
    assert!(plan.is_static());
    assert_eq!(plan.environment().unwrap(), Environment::default());
    for stdio in [Stdio::Log, Stdio::Terminal] {
        let mut guest = Guest::with(&plan, &Environment::default(), stdio);
        assert_eq!(seen(&mut guest), []);
        assert_eq!(guest.cli().get_arguments().unwrap(), Vec::<String>::new());
        assert_eq!(guest.cli().initial_cwd().unwrap().as_deref(), Some("/"));
        assert!(guest.filesystem().get_directories().unwrap().is_empty());
    }
}

#[test]
fn missing_required_variable_is_located() {
    let app = app();
    expect!["the variable `API_KEY` is required and has no value: set `KEY` in `a:memory`, or a `default` in `a:key`"]
        .assert_eq(&app.plan().environment().unwrap_err().to_string());
}

#[test]
fn unreadable_optional_variable_fails_the_call() {
    let app = app_with(
        "env: [{id: v, name: V}]",
        "
- {name: file, kind: env.storage.file, path: ./app.env}
- {name: v, kind: env.variable, storage: file, default: unused}",
    );
    expect![[r#"
        the variable `V` cannot be read from `a:v`
          `app.env`, the file of `a:file`, does not exist: create it or set `auto_init: true`"#]]
    .assert_eq(&chain(&app.plan().environment().unwrap_err()));
}

#[test]
fn a_value_that_would_end_early_is_refused() {
    let app = app_with(
        "env: [{id: v, name: V}]",
        "
- {name: s, kind: env.storage.static, values: {v: \"a\\0b\"}}
- {name: v, kind: env.variable, storage: s}",
    );
    assert!(matches!(app.plan().environment(), Err(PlanError::Nul { .. })));
}

#[test]
fn values_are_not_shown() {
    let app = app();
    let variables = Arc::new(app.variables());
    variables.set(&id("a:key"), Some("hunter2")).unwrap();
    let plan = app.plan_with(variables).unwrap();
    let shown = format!("{:?} {plan:?}", plan.environment().unwrap());
    assert!(shown.contains("API_KEY") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn mount_of_a_missing_folder_names_function_and_folder() {
    struct None;
    impl FsSource for None {
        fn directory(
            &self,
            id: &crisol_core::EntryId,
        ) -> Result<crisol_wasi::Directory, crisol_wasi::FsError> {
            Err(crisol_wasi::FsError::Unknown { id: id.clone() })
        }
    }
    let app = app_with(
        "mounts: [{fs: data, guest: /data}]",
        "\n- {name: data, kind: fs.directory, directory: ./data}",
    );
    let found = resolve(app.wasi(), &id("a:f"), Arc::new(app.variables()), &None);
    expect![[r#"
        `a:data` cannot be mounted at `/data` of `a:f`
          unknown `fs.directory` entry `a:data`"#]]
    .assert_eq(&chain(&found.unwrap_err()));
}

#[test]
fn plans_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&app().plan());
    let _: fn(&mut Guest) -> wasmtime_wasi::WasiCtxView<'_> = WasiView::ctx;
}
