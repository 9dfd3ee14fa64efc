//! Environment variables as of the time of the call, in every type of pool.

use crate::sandbox::support::{ALL, App, call};

const POOLS: [(&str, &str); 5] = [
    ("inline", "{type: inline}"),
    ("lazy", "{type: lazy, max_size: 2}"),
    ("fixed", "{type: static, workers: 1, size: 3, warm_start: true}"),
    ("adaptive", "{type: adaptive, max_size: 3, warm_start: true}"),
    ("reused", "{type: static, workers: 1, size: 2, warm_start: true, max_instance_reuse: 100}"),
];

#[tokio::test]
async fn next_call_sees_a_changed_value_in_every_pool() {
    let mut app = App::new()
        .entry("{name: store, kind: env.storage.file, path: ./app.env}")
        .entry("{name: key, kind: env.variable, storage: store, variable: KEY}");
    for (name, pool) in POOLS {
        let env = "wasi: {env: [{id: key, name: API_KEY, required: true}]}";
        let more = format!("imports: {ALL}, pool: {pool}, {env}");
        app = app.guest_as(name, "probe", "env-var", &more);
    }
    let file = app.outside("app/app.env");
    std::fs::write(&file, "KEY=one\n").unwrap();
    let runtime = app.load();
    runtime.warm().await.unwrap();
    for value in ["one", "two", "2", "three"] {
        std::fs::write(&file, format!("KEY={value}\n")).unwrap();
        for (name, _) in POOLS {
            for _ in 0..3 {
                let seen = call(&runtime, name, ("API_KEY",)).await;
                assert_eq!(seen, format!("{value:?}"), "{name}");
            }
        }
    }
    std::fs::write(&file, "OTHER=1\n").unwrap();
    for (name, _) in POOLS {
        let failed = call(&runtime, name, ("API_KEY",)).await;
        assert!(
            failed.contains(
                "the variable `API_KEY` is required and has no value: set `KEY` in `a:store`"
            ),
            "{name}: {failed}"
        );
    }
}

#[tokio::test]
async fn next_call_sees_a_value_set_by_the_program_in_every_pool() {
    let mut app = App::new()
        .entry("{name: store, kind: env.storage.memory}")
        .entry("{name: key, kind: env.variable, storage: store, default: at first}")
        .entry("{name: constant, kind: env.variable, storage: store, readonly: true}");
    for (name, pool) in POOLS {
        let more =
            format!("imports: {ALL}, pool: {pool}, wasi: {{env: [{{id: key, name: API_KEY}}]}}");
        app = app.guest_as(name, "probe", "env-var", &more);
    }
    let runtime = app.load();
    runtime.warm().await.unwrap();
    for (value, seen) in [
        (None, "\"at first\""),
        (Some("one"), "\"one\""),
        (Some("two"), "\"two\""),
        (Some(""), "\"\""),
        (None, "\"at first\""),
    ] {
        runtime.set_variable("a:key", value).unwrap();
        for (name, _) in POOLS {
            for _ in 0..3 {
                assert_eq!(call(&runtime, name, ("API_KEY",)).await, seen, "{name}");
            }
        }
    }
    runtime.set_variable("a:key", Some("kept")).unwrap();
    runtime.reload().await.unwrap();
    assert_eq!(call(&runtime, "fixed", ("API_KEY",)).await, "\"kept\"");
    for (id, value, why) in [
        ("a:constant", Some("x"), "readonly"),
        ("a:nobody", Some("x"), "a:nobody"),
        ("a:key", Some("x\0y"), "NUL"),
    ] {
        let refused = runtime.set_variable(id, value).unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
}

#[tokio::test]
async fn guest_sees_only_variables_of_its_entry() {
    let app = App::new()
        .entry("{name: store, kind: env.storage.static, values: {A: \"1\", UNNAMED: \"2\"}}")
        .entry("{name: os, kind: env.storage.os}")
        .entry("{name: a, kind: env.variable, storage: store, variable: A}")
        .entry("{name: b, kind: env.variable, storage: os, variable: CRISOL_TEST_NOT_SET, default: standard}")
        .entry("{name: c, kind: env.variable, storage: os, variable: CRISOL_TEST_NOT_SET}")
        .guest("probe", "all-env", &format!("imports: {ALL}, wasi: {{env: [{{id: a, name: A}}, {{id: b, name: B}}, {{id: c, name: C}}]}}"))
        .guest_as("bare", "probe", "all-env", &format!("imports: {ALL}"))
        .guest_as("arguments", "probe", "args", &format!("imports: {ALL}"));
    let runtime = app.load();
    assert!(std::env::vars().count() > 0, "the host has variables that could leak");
    assert_eq!(call(&runtime, "all_env", ()).await, r#"[["A","1"],["B","standard"]]"#);
    assert_eq!(call(&runtime, "bare", ()).await, "[]");
    assert_eq!(call(&runtime, "arguments", ()).await, "[]");
}
