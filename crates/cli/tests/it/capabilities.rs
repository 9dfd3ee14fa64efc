//! One guest that reads a file, a variable and the clock: it succeeds with the capability, and without it the error has
//! the line to add.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{App, Run, Tested, crisol_command};

/// App with the probe's `read-file`, `env-var` and `now-ms`, with these imports.
fn app(imports: &str) -> Tested<App> {
    let hash = crisol_fixtures::sha256("probe");
    let mut entries = "
  - {name: files, kind: fs.directory, directory: ./files, auto_init: true}
  - {name: store, kind: env.storage.file, path: ./app.env}
  - {name: key, kind: env.variable, storage: store, variable: KEY}
"
    .to_owned();
    for (name, method) in [("read", "read-file"), ("key_of", "env-var"), ("now", "now-ms")] {
        entries += &format!(
            "  - name: {name}
    kind: function.wasm
    fs: assets
    path: /probe.wasm
    hash: sha256:{hash}
    method: {method}
    imports: [{imports}]
    wasi:
      mounts: [{{fs: files, guest: /data, read_only: true}}]
      env: [{{id: key, name: KEY, required: true}}]
"
        );
    }
    let app = App::new(&entries, &["probe"])?;
    std::fs::create_dir(app.path().join("files"))?;
    std::fs::write(app.path().join("files/x"), "what is in x")?;
    std::fs::write(app.path().join("app.env"), "KEY='a value'\n")?;
    Ok(app)
}

fn failed(run: &Run, words: &[&str]) {
    assert_eq!((run.code.unwrap_or(0), run.stdout.as_str()), (2, ""), "{run:?}");
    assert!(words.iter().all(|word| run.stderr.contains(word)), "{run:?}");
}

#[test]
fn a_file_a_variable_and_the_clock_are_read_with_the_capability() -> Tested {
    let app = app("\"wasi:cli\", \"wasi:io\", \"wasi:filesystem\", \"wasi:clocks\"")?;
    assert_eq!(app.run(&["call", "myns:read", "/data/x"])?.stdout, "\"what is in x\"\n");
    assert_eq!(app.run(&["call", "myns:key_of", "KEY"])?.stdout, "\"a value\"\n");
    let before = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let told: u128 = app.run(&["call", "myns:now"])?.stdout.trim().parse()?;
    let after = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    assert!((before..=after).contains(&told), "{before} {told} {after}");

    // With the capability, but outside of its grants.
    let outside = app.run(&["call", "myns:read", "/etc/passwd"])?;
    assert_eq!((outside.code, outside.stdout.as_str()), (Some(1), ""), "{outside:?}");
    assert_eq!(app.run(&["call", "myns:key_of", "HOME"])?.stdout, "null\n");
    std::fs::write(app.path().join("app.env"), "")?;
    let missing = app.run(&["call", "myns:key_of", "KEY"])?;
    failed(&missing, &["`KEY` is required and has no value", "set `KEY` in `myns:store`"]);
    Ok(())
}

#[test]
fn without_the_capability_one_error_has_all_the_lines_to_add() -> Tested {
    let app = app("")?;
    let run = app.run(&["call", "myns:now"])?;
    failed(&run, &["which its entry does not import", "add `wasi:clocks` to its `imports`"]);
    // Denied resources are missing in the guest's own answers, and `check` gives the reason.
    let read = app.run(&["call", "myns:read", "/data/x"])?;
    assert_eq!((read.code, read.stdout.as_str()), (Some(1), ""), "{read:?}");
    assert_eq!(app.run(&["call", "myns:key_of", "KEY"])?.stdout, "null\n");
    let check = app.run(&["check"])?;
    for field in ["wasi.mounts", "wasi.env"] {
        let warning = format!("`{field}` has no effect without an import");
        assert!(check.stderr.contains(&warning), "{check:?}");
    }
    Ok(())
}

#[test]
fn errors_for_guests_contain_no_host_details() -> Tested {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let app = App::of(
        "fetch",
        &format!(
            "method: get\nimports: [wasi:io, wasi:http]\nwasi: {{network: [\"{address}\"]}}\n"
        ),
    )?;
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let _head = stream.read(&mut [0; 1024])?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi")
    });
    let url = format!("http://{address}/");
    let mut command = crisol_command(app.path(), &["call", "myns:f", &url]);
    let run = Run::of(command.env("RUST_BACKTRACE", "full").output()?)?;
    server.join().map_err(|_| "the server panicked")??;
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(told.contains("HttpResponseIncomplete") && told.contains("hyper error: "), "{told}");
    for inside in ["backtrace", ".rs", "/src/", "wasmtime"] {
        assert!(!told.contains(inside), "{told}");
    }
    Ok(())
}

#[test]
fn request_without_allow_list_is_refused_and_check_warns() -> Tested {
    let app = App::of("fetch", "method: get\nimports: [wasi:io, wasi:http]\n")?;
    let run = app.run(&["call", "myns:f", "http://127.0.0.1:9/"])?;
    assert_eq!(run.code, Some(1), "{run:?}");
    let is_refusal =
        |line: &&str| line.contains("refused an HTTP request") && line.contains("myns:f");
    assert_eq!(run.stderr.lines().filter(is_refusal).count(), 1, "{run:?}");
    let check = app.run(&["check"])?;
    assert_eq!(check.code, Some(0), "{check:?}");
    let warning = "`wasi:http` is declared, but `wasi.network` lists no peer";
    assert!(check.stderr.contains(warning), "{check:?}");
    assert!(check.stderr.contains("add the peers to `wasi.network`"), "{check:?}");
    Ok(())
}
