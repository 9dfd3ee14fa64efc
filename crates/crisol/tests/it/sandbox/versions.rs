//! Guests of every release of WASI 0.2, and grants per function.

use crate::sandbox::support::{App, call};

/// Builds a component that reads the monotonic clock of a release.
fn clock(version: &str) -> String {
    format!(
        r#"(component
          (import "wasi:clocks/monotonic-clock@{version}" (instance $clock
            (export "now" (func (result u64)))))
          (core func $now (canon lower (func $clock "now")))
          (core module $m
            (import "" "now" (func $now (result i64)))
            (func (export "f") (result i32) (i64.ne (call $now) (i64.const 0))))
          (core instance $i (instantiate $m (with "" (instance (export "now" (func $now))))))
          (func (export "asked") (result bool) (canon lift (core func $i "f"))))"#
    )
}

fn entry(name: &str, version: &str, more: &str) -> String {
    let source = clock(version).replace('\n', "\n    ");
    format!("name: {name}\nkind: function.wat\nmethod: asked\n{more}source: |\n    {source}\n")
}

#[tokio::test]
async fn guests_of_every_release_of_wasi_0_2_run() {
    let mut app = App::new();
    for patch in 0..=12 {
        let imports = "imports: [wasi:clocks]\n";
        app = app.entry(&entry(&format!("v{patch}"), &format!("0.2.{patch}"), imports));
    }
    let runtime = app.load();
    for patch in 0..=12 {
        assert_eq!(call(&runtime, &format!("v{patch}"), ()).await, "true", "0.2.{patch}");
    }
}

#[tokio::test]
async fn grants_are_per_function_and_can_be_single_interfaces() {
    let app = App::new()
        .entry(&entry("package", "0.2.3", "imports: [wasi:clocks]\n"))
        .entry(&entry("interface", "0.2.3", "imports: [wasi:clocks/monotonic-clock]\n"))
        .entry(&entry("cased", "0.2.3", "imports: [\"WASI:Clocks@0.2.9\"]\n"))
        .entry(&entry("another", "0.2.3", "imports: [wasi:clocks/wall-clock]\n"))
        .entry(&entry("nothing", "0.2.3", ""));
    let runtime = app.load();
    for _ in 0..2 {
        for granted in ["package", "interface", "cased"] {
            assert_eq!(call(&runtime, granted, ()).await, "true", "{granted}");
        }
        for denied in ["another", "nothing"] {
            // A clock that is not granted stands still.
            assert_eq!(call(&runtime, denied, ()).await, "false", "{denied}");
        }
    }
}
