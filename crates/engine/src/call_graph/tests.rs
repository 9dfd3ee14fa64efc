//! Reachable imports of components with various kinds of calls.

use std::error::Error;

use super::*;

type Tested<T = ()> = Result<T, Box<dyn Error>>;

/// The functions of `host` that an export may call, of a component whose core module has `module` in it: `$a`, `$b`
/// and `$c` are imports of type `() -> ()`, `$d` one of type `(i32) -> ()`.
fn reachable(module: &str, export: &str) -> Tested<String> {
    let text = format!(
        r#"(component
            (import "host" (instance $host
                (export "a" (func)) (export "b" (func)) (export "c" (func))
                (export "d" (func (param "x" u32)))))
            (core func $a (canon lower (func $host "a")))
            (core func $b (canon lower (func $host "b")))
            (core func $c (canon lower (func $host "c")))
            (core func $d (canon lower (func $host "d")))
            (core module $m
                (type $nullary (func))
                (import "host" "a" (func $a)) (import "host" "b" (func $b)) (import "host" "c" (func $c))
                (import "host" "d" (func $d (param i32)))
                {module})
            (core instance $i (instantiate $m (with "host" (instance
                (export "a" (func $a)) (export "b" (func $b)) (export "c" (func $c)) (export "d" (func $d))))))
            (func (export "f") (canon lift (core func $i "f")))
            (func (export "g") (canon lift (core func $i "g"))))"#
    );
    let graph = CallGraph::of(&wat::parse_str(text)?).ok_or("no graph")?;
    let reachable = graph.reachable(None, export);
    let names = ["a", "b", "c", "d"];
    Ok(names.into_iter().filter(|name| reachable.has("host", name)).collect())
}

const NEITHER: &str = r#"(func (export "g"))"#;

#[test]
fn calls_are_followed_by_name() -> Tested {
    let module = r#"(func $inner (call $b)) (func (export "f") (call $inner) (call $inner))
        (func (export "g") (call $f2)) (func $f2 (return_call $a))"#;
    assert_eq!(reachable(module, "f")?, "b");
    assert_eq!(reachable(module, "g")?, "a");
    Ok(())
}

#[test]
fn start_functions_count_for_every_export() -> Tested {
    let module = format!(r#"(func $s (call $c)) (start $s) (func (export "f")) {NEITHER}"#);
    assert_eq!(reachable(&module, "f")?, "c");
    Ok(())
}

#[test]
fn table_calls_reach_every_function_of_the_type() -> Tested {
    let module = format!(
        r#"(table 4 funcref) (elem (i32.const 0) func $a $d) (elem (i32.const 2) func $b)
        (func (export "f") (param i32) (call_indirect (type $nullary) (local.get 0))) {NEITHER}"#
    );
    assert_eq!(reachable(&module.replace("(param i32)", "(local i32)"), "f")?, "ab");
    Ok(())
}

#[test]
fn a_constant_slot_of_a_constant_table_is_one_function() -> Tested {
    let call = r#"(func (export "f") (call_indirect (type $nullary) (i32.const 2)))"#;
    let table = "(table 4 funcref) (elem (i32.const 1) func $a $b)";
    assert_eq!(reachable(&format!("{table} {call} {NEITHER}"), "f")?, "b");
    // A table that changes, or has functions at unknown slots, may hold any function anywhere.
    let set =
        r#"(elem declare func $c) (func (export "g") (table.set (i32.const 2) (ref.func $c)))"#;
    assert_eq!(reachable(&format!("{table} {call} {set}"), "f")?, "abc");
    let passive = r#"(elem $e func $c) (func (export "g") (table.init $e (i32.const 2) (i32.const 0) (i32.const 1)))"#;
    assert_eq!(reachable(&format!("{table} {call} {passive}"), "f")?, "abc");
    Ok(())
}

#[test]
fn reference_calls_reach_every_referenced_function() -> Tested {
    let module = format!(
        r#"(elem declare func $b $d)
        (func (export "f") (local (ref null $nullary)) (call_ref $nullary (local.get 0)))
        (func (export "h") (drop (ref.func $b)) (drop (ref.func $d))) {NEITHER}"#
    );
    assert_eq!(reachable(&module, "f")?, "b");
    Ok(())
}

#[test]
fn a_global_may_hold_a_reference() -> Tested {
    let module = format!(
        r#"(global (ref $nullary) (ref.func $a))
        (func (export "f") (call_ref $nullary (global.get 0))) {NEITHER}"#
    );
    assert_eq!(reachable(&module, "f")?, "a");
    Ok(())
}

/// Like in output of `wit-component`, calls go through a table that another module fills.
#[test]
fn shared_table_is_one_table() -> Tested {
    let text = r#"(component
        (import "host" (instance $host (export "a" (func)) (export "b" (func))))
        (core module $shim (type $t (func)) (table (export "$imports") 2 2 funcref)
            (func (export "0") (call_indirect (type $t) (i32.const 0)))
            (func (export "1") (call_indirect (type $t) (i32.const 1))))
        (core module $main (import "host" "a" (func $a)) (import "host" "b" (func $b))
            (func (export "f") (call $a)) (func (export "g") (call $b)))
        (core module $fixup (import "" "0" (func $a)) (import "" "1" (func $b))
            (import "" "$imports" (table 2 2 funcref)) (elem (i32.const 0) func $a $b))
        (core instance $shim (instantiate $shim))
        (alias core export $shim "0" (core func $zero))
        (alias core export $shim "1" (core func $one))
        (alias core export $shim "$imports" (core table $table))
        (core instance $main (instantiate $main (with "host" (instance
            (export "a" (func $zero)) (export "b" (func $one))))))
        (core func $a (canon lower (func $host "a")))
        (core func $b (canon lower (func $host "b")))
        (core instance (instantiate $fixup (with "" (instance
            (export "0" (func $a)) (export "1" (func $b)) (export "$imports" (table $table))))))
        (func $f (canon lift (core func $main "f")))
        (component $wrap (import "f" (func $f)) (export "f" (func $f)))
        (instance $exported (instantiate $wrap (with "f" (func $f))))
        (export "own:x/y" (instance $exported))
        (func (export "g") (canon lift (core func $main "g"))))"#;
    let graph = CallGraph::of(&wat::parse_str(text)?).ok_or("no graph")?;
    let f = graph.reachable(Some("own:x/y"), "f");
    assert!(f.has("host", "a") && !f.has("host", "b") && f.has_any("host"));
    let g = graph.reachable(None, "g");
    assert!(!g.has("host", "a") && g.has("host", "b"));
    assert_eq!(graph.reachable(None, "unknown"), ReachableImports::ALL);
    Ok(())
}

#[test]
fn the_imports_of_a_core_module_are_reached_by_its_exports() -> Tested {
    let module = |more: &str| -> Tested<CallGraph> {
        let text = format!(
            r#"(module (type $nullary (func))
                (import "host" "a" (func $a)) (import "host" "b" (func $b)) (import "host" "c" (func $c))
                (import "other" "d" (func $d (param i32)))
                (table 4 funcref) (elem (i32.const 1) func $b)
                (func (export "f") (call $a))
                (func (export "g") (param i32) (call_indirect (type $nullary) (local.get 0)))
                {more})"#
        );
        CallGraph::of(&wat::parse_str(text)?).ok_or_else(|| "no graph".into())
    };
    let reachable = |graph: &CallGraph, export: &str| -> String {
        let reachable = graph.reachable(None, export);
        let all = [("host", "a"), ("host", "b"), ("host", "c"), ("other", "d")];
        all.into_iter().filter(|(of, name)| reachable.has(of, name)).map(|(_, name)| name).collect()
    };
    let plain = module("")?;
    assert_eq!((reachable(&plain, "f").as_str(), reachable(&plain, "g").as_str()), ("a", "b"));
    assert_eq!(plain.reachable(None, "unknown"), ReachableImports::ALL);
    // Code that runs before, beside and after each function.
    for beside in [
        "(func $s (call $c)) (start $s)",
        r#"(func (export "_initialize") (call $c))"#,
        r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $c) (i32.const 0))"#,
        r#"(func (export "cabi_post_f") (call $c))"#,
    ] {
        assert_eq!(reachable(&module(beside)?, "f"), "ac", "{beside}");
    }
    // An imported table may hold any function.
    let imported =
        wat::parse_str(r#"(module (import "a" "t" (table 1 funcref)) (func (export "f")))"#)?;
    assert!(CallGraph::of(&imported).is_none());
    Ok(())
}

#[test]
fn real_guests_are_followed() -> Tested {
    for name in crisol_fixtures::names() {
        let bytes = crisol_fixtures::bytes(&name);
        let graph = CallGraph::of(&bytes).ok_or_else(|| format!("`{name}` cannot be followed"))?;
        assert!(!graph.exports.is_empty(), "{name}");
    }
    let probe = CallGraph::of(&crisol_fixtures::bytes("probe")).ok_or("no graph")?;
    let clock = "wasi:clocks/wall-clock@0.2.12";
    assert!(probe.reachable(None, "now-ms").has(clock, "now"));
    assert!(!probe.reachable(None, "count").has(clock, "now"));
    Ok(())
}
