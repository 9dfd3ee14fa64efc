//! `--memory`: limit of all instances and scripts of the program together.

use crate::support::{App, Tested, crisol_command};

/// `grow` adds pages of 64 KiB and returns their former number; `hog` does the same in Lua.
const ENTRIES: &str = r#"  - name: grow
    kind: function.wat
    source: '(module (memory (export "memory") 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))'
    wit: 'grow: func(pages: s32) -> s32;'
    method: grow
    transport: wasi-http
    limits: {max_execution_ms: 3600000}
  - name: hog
    kind: function.lua
    method: f
    limits: {max_execution_ms: 3600000}
    source: 'local t = {} return {f = function(mib) for i = 1, mib do t[i] = ("x"):rep(1 << 20) .. i end return #t end}'
  - {name: e, kind: http.endpoint, method: POST, path: /grow, func: grow}
"#;

#[cfg(feature = "http")]
#[test]
fn request_over_the_memory_limit_gets_503() -> Tested {
    let app = App::new(ENTRIES, &[])?;
    let args = ["--listen", "127.0.0.1:0", "--memory", "64MiB"];
    let served = crate::support::served::Served::start(app.path(), &args)?;
    for _ in 0..3 {
        let fits = served.post("/grow?pages=160", "")?;
        assert!(fits.starts_with("HTTP/1.1 200 ") && fits.ends_with("\r\n\r\n1"), "{fits}");
        let beyond = served.post("/grow?pages=1600", "")?;
        assert!(beyond.starts_with("HTTP/1.1 503 "), "{beyond}");
        assert!(beyond.contains("retry-after: ") && beyond.contains("problem+json"), "{beyond}");
    }
    Ok(())
}

#[test]
fn error_of_a_call_over_the_memory_bound_has_a_fix() -> Tested {
    let app = App::new(ENTRIES, &[])?;
    for (id, fits, beyond) in [("myns:grow", "100", "1600"), ("myns:hog", "5", "100")] {
        let fits = app.run(&["--memory", "64MiB", "call", id, fits])?;
        assert_eq!(fits.code, Some(0), "{fits:?}");
        let over = app.run(&["--memory", "64MiB", "call", id, beyond])?;
        assert_eq!(over.code, Some(2), "{over:?}");
        let text = format!("error: `{id}` is saturated: ");
        assert!(over.stderr.starts_with(&text), "{over:?}");
        assert!(over.stderr.contains("of 67108864 in use"), "{over:?}");
        let without = app.run(&["--memory", "none", "call", id, beyond])?;
        assert_eq!(without.code, Some(0), "{without:?}");
    }
    Ok(())
}

#[test]
fn the_environment_says_it_too() -> Tested {
    let app = App::new(ENTRIES, &[])?;
    for (size, code) in [("1GiB", 0), ("1GB", 0), ("67108864", 2), ("65536KiB", 2)] {
        let mut command = crisol_command(app.path(), &["call", "myns:grow", "1600"]);
        assert_eq!(command.env("CRISOL_MEMORY", size).status()?.code(), Some(code), "{size}");
    }
    Ok(())
}

#[test]
fn invalid_size_is_refused_with_a_message() -> Tested {
    let app = App::new(ENTRIES, &[])?;
    for (size, message) in [
        ("12QB", "`12QB` is not a size: use a number with `KiB`, `MiB` or `GiB`, such as `512MiB`"),
        ("much", "`much` is not a size"),
        ("", "`` is not a size"),
        ("-5MiB", "`-5MiB` is not a size"),
        ("0", "`0` is less than any instance needs: use at least `128KiB`"),
        ("1MiB5", "`1MiB5` is not a size"),
    ] {
        let wrong = app.run(&[&format!("--memory={size}"), "call", "myns:grow", "1"])?;
        assert_eq!(wrong.code, Some(2), "{size}: {wrong:?}");
        assert!(wrong.stderr.contains(message), "{size}: {wrong:?}");
    }
    Ok(())
}
