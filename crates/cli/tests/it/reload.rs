//! `crisol serve` while its app changes: by files, by SIGHUP, and with errors in between.
#![cfg(all(feature = "http", unix))]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::served::{Served, address, read};
use crate::support::{App, Tested, crisol};

const WATCH: [&str; 3] = ["--listen", "127.0.0.1:0", "--watch"];

/// Function that answers with a number.
fn number(value: u32) -> String {
    format!("(module (func (export \"f\") (result i32) i32.const {value}))")
}

fn script(value: u32) -> String {
    format!("return {{f = function() return {value} end}}\n")
}

/// Endpoint at the path of its name, with the function that it calls.
fn served(name: &str, function: &str) -> String {
    format!(
        "  - {{name: {name}, {function}}}\n  - {{name: {name}_e, kind: http.endpoint, method: POST, path: /{name}, func: {name}}}\n"
    )
}

fn inline(value: u32) -> String {
    format!("kind: function.wat, method: f, transport: wasi-http, source: '{}'", number(value))
}

const IN_A_FILE: &str =
    "kind: function.wat, method: f, transport: wasi-http, source: 'file://code/f.wat'";

fn index(entries: &str) -> String {
    format!("namespace: n\nentries:\n{entries}")
}

/// App that answers `/a` with a number.
fn folder(value: u32) -> Tested<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "_index.yaml", index(&served("a", &inline(value))))?;
    Ok(dir)
}

fn write(app: &Path, name: &str, text: impl AsRef<[u8]>) -> Tested {
    Ok(fs::write(app.join(name), text)?)
}

/// Replaces a file atomically, as editors and tools do.
fn put(app: &Path, name: &str, text: impl AsRef<[u8]>) -> Tested {
    let fresh = app.join(".fresh");
    fs::write(&fresh, text)?;
    Ok(fs::rename(fresh, app.join(name))?)
}

/// Result of the next reload. A file written in place may be read when it is incomplete: that is reported, and the next
/// reload fixes it. The number of reloads depends on the machine, and so does the generation's number: reloads without
/// a change print nothing.
fn reloaded(run: &mut Served) -> Tested<String> {
    loop {
        let line = run.said()?;
        if let Some(told) = line.strip_prefix("reloaded: generation ") {
            let (number, what) = told.split_once(": ").ok_or("what came of it")?;
            number.parse::<u64>()?;
            return Ok(what.to_owned());
        }
    }
}

/// Returns true for the last line of a report about a failed reload.
fn is_refusal(line: &str) -> bool {
    line.starts_with("not reloaded: still serving generation ")
}

/// Reads the output until the app on disk is refused.
fn refused(run: &mut Served) -> Tested<Vec<String>> {
    let mut said = Vec::new();
    while !said.last().is_some_and(|line: &String| is_refusal(line)) {
        said.push(run.said()?);
    }
    Ok(said)
}

/// Body of the response at a path.
fn body(served: &Served, path: &str) -> Tested<String> {
    let answer = served.post(path, "")?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(body.to_owned())
}

#[test]
fn edits_of_indexes_text_scripts_and_binaries_are_served() -> Tested {
    let dir = tempfile::tempdir()?;
    let app = dir.path();
    fs::create_dir(app.join("code"))?;
    write(app, "code/f.wat", number(1))?;
    write(app, "code/g.lua", script(1))?;
    let lua = "kind: function.lua, method: f, source: 'file://code/g.lua'";
    write(app, "_index.yaml", index(&(served("f", IN_A_FILE) + &served("g", lua))))?;
    let mut run = Served::start(app, &WATCH)?;
    assert_eq!((body(&run, "/f")?, body(&run, "/g")?), ("1".into(), "1".into()));

    write(app, "code/f.wat", number(2))?;
    assert_eq!(reloaded(&mut run)?, "replaced n:f");
    put(app, "code/g.lua", script(2))?;
    assert_eq!(reloaded(&mut run)?, "replaced n:g");
    assert_eq!((body(&run, "/f")?, body(&run, "/g")?), ("2".into(), "2".into()));

    // An index of its own, in a new folder.
    let more = |of: &str| {
        let hash = crisol_fixtures::sha256(of);
        format!(
            "{{namespace: m, entries: [{{name: wasm, kind: fs.directory, directory: ./more}}, {{name: c, kind: function.wasm, fs: wasm, path: /c.wasm, hash: 'sha256:{hash}', method: {of}, transport: wasi-http}}, {{name: c_e, kind: http.endpoint, method: POST, path: /c, func: c}}]}}"
        )
    };
    let fresh = tempfile::tempdir_in(app.parent().ok_or("no parent")?)?;
    write(fresh.path(), "c.wasm", crisol_fixtures::bytes("greet"))?;
    write(fresh.path(), "_index.yaml", more("greet"))?;
    fs::rename(fresh.keep(), app.join("more"))?;
    assert_eq!(reloaded(&mut run)?, "added m:c, m:c_e, m:wasm");
    assert!(run.post("/c", "Ana")?.ends_with("Hello, Ana!"));

    // Another binary first, and then its hash.
    put(app, "more/c.wasm", crisol_fixtures::bytes("compute"))?;
    let told = refused(&mut run)?;
    assert!(told[0].contains("hash"), "{told:?}");
    assert!(run.post("/c", "Ana")?.ends_with("Hello, Ana!"));
    put(app, "more/_index.yaml", more("compute"))?;
    assert_eq!(reloaded(&mut run)?, "replaced m:c");
    assert!(run.post("/c", "{\"a\": 6, \"b\": 7}")?.ends_with("42"));

    fs::remove_dir_all(app.join("more"))?;
    // It may be read when half of it is gone.
    let line = reloaded(&mut run)?;
    assert_eq!(line, "removed m:c, m:c_e, m:wasm");
    assert!(run.post("/c", "")?.starts_with("HTTP/1.1 404 "));
    Ok(())
}

#[test]
fn broken_app_is_reported_and_the_old_one_stays_served() -> Tested {
    let dir = folder(1)?;
    let app = dir.path();
    let mut run = Served::start(app, &WATCH)?;
    let broken = served("a", IN_A_FILE) + &served("b", "kind: function.wta, method: 3");
    put(app, "_index.yaml", index(&broken))?;
    let check = crisol(app, &["check"])?;
    assert_eq!(check.code, Some(2));
    assert!(check.stderr.contains("code/f.wat") && check.stderr.contains("function.wta"));
    for line in check.stderr.lines() {
        assert_eq!(run.said()?, line);
    }
    let line = run.said()?;
    assert!(is_refusal(&line), "{line}");
    assert_eq!(body(&run, "/a")?, "1");
    // The app needs a file of an unknown name.
    put(app, "_index.yaml", index(&served("a", &IN_A_FILE.replace("code/f.wat", "numbers.txt"))))?;
    refused(&mut run)?;
    write(app, "numbers.txt", number(2))?;
    assert_eq!(reloaded(&mut run)?, "replaced n:a");
    assert_eq!(body(&run, "/a")?, "2");
    // From now on it is one of the app's files.
    write(app, "numbers.txt", number(3))?;
    assert_eq!(reloaded(&mut run)?, "replaced n:a");

    // Back to the served state, which is reported after an error.
    put(app, "_index.yaml", "namespace: n\nentries: 3\n")?;
    refused(&mut run)?;
    put(app, "_index.yaml", index(&served("a", &IN_A_FILE.replace("code/f.wat", "numbers.txt"))))?;
    assert_eq!(reloaded(&mut run)?, "nothing has changed");
    // An app without anything to serve is refused, as at the start.
    put(app, "_index.yaml", "namespace: n\nentries: [{name: v, kind: env.storage.memory}]\n")?;
    assert!(run.said()?.starts_with("error: the app has nothing to serve"));
    assert_eq!(run.said()?, "not reloaded: still serving generation 4");
    assert_eq!(body(&run, "/a")?, "3");
    Ok(())
}

#[test]
fn a_hangup_reloads_and_tells_when_nothing_has_changed() -> Tested {
    let dir = folder(1)?;
    let mut run = Served::start(dir.path(), &["--listen", "127.0.0.1:0"])?;
    run.signal("-HUP")?;
    assert_eq!(reloaded(&mut run)?, "nothing has changed");
    write(dir.path(), "_index.yaml", index(&served("a", &inline(2))))?;
    run.signal("-HUP")?;
    assert_eq!(reloaded(&mut run)?, "replaced n:a");
    assert_eq!(body(&run, "/a")?, "2");
    for _ in 0..2 {
        // After a signal, the same mistake is reported again.
        write(dir.path(), "_index.yaml", "entries: []\n")?;
        run.signal("-HUP")?;
        refused(&mut run)?;
    }
    assert_eq!(body(&run, "/a")?, "2");
    Ok(())
}

#[test]
fn requests_go_on_while_the_app_is_reloaded() -> Tested {
    let dir = folder(0)?;
    let mut run = Served::start(dir.path(), &WATCH)?;
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let addr = run.addr.clone();
    std::thread::scope(|scope| {
        let one = || -> Tested {
            let mut stream = TcpStream::connect(&addr)?;
            let mut answers = BufReader::new(stream.try_clone()?);
            while !over.load(Ordering::Relaxed) {
                stream.write_all(b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")?;
                let answer = answer(&mut answers)?;
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
                asked.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let clients: Vec<_> = (0..64).map(|_| scope.spawn(one)).collect();
        let mut change = || -> Tested {
            for value in 1..=10 {
                let before = asked.load(Ordering::Relaxed);
                put(dir.path(), "_index.yaml", index(&served("a", &inline(value))))?;
                assert_eq!(reloaded(&mut run)?, "replaced n:a");
                while asked.load(Ordering::Relaxed) < before + 64 {
                    std::thread::yield_now();
                }
            }
            assert_eq!(body(&run, "/a")?, "10");
            Ok(())
        };
        let changed = change();
        over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| "a client failed")??;
        }
        changed
    })
}

/// Sends a request on an open connection, and reads the response.
fn ask(stream: &mut TcpStream, path: &str) -> Tested<String> {
    write!(stream, "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")?;
    answer(&mut BufReader::new(stream))
}

/// Reads one response with a content length.
fn answer(stream: &mut impl BufRead) -> Tested<String> {
    let (mut answer, mut length) = (String::new(), 0);
    while !answer.ends_with("\r\n\r\n") {
        let begun = answer.len();
        if stream.read_line(&mut answer)? == 0 {
            return Err(format!("it ends with {answer:?}").into());
        }
        if let Some(value) = answer[begun..].strip_prefix("content-length: ") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(answer + &String::from_utf8(body)?)
}

#[test]
fn unchanged_services_keep_their_connections() -> Tested {
    let service = |name: &str| {
        format!(
            "  - {{name: {name}, kind: http.service, addr: '127.0.0.1:0'}}\n  - {{name: {name}_r, kind: http.router, prefix: /{name}, meta: {{server: {name}}}}}\n  - {{name: {name}_e, kind: http.endpoint, method: POST, path: /, meta: {{router: {name}_r}}, func: f}}\n"
        )
    };
    let function = |value| format!("  - {{name: f, {}}}\n", inline(value));
    let dir = tempfile::tempdir()?;
    let put = |text: String| put(dir.path(), "_index.yaml", index(&text));
    put(function(1) + &service("one"))?;
    let mut run = Served::start(dir.path(), &["--watch"])?;
    let mut kept = TcpStream::connect(&run.addr)?;
    assert!(ask(&mut kept, "/one")?.ends_with("\r\n\r\n1"));

    put(function(2) + &service("one") + &service("two"))?;
    let second = run.printed()?;
    assert!(second.starts_with("serving n:two on http://127.0.0.1:"), "{second}");
    assert_eq!(reloaded(&mut run)?, "added n:two, n:two_e, n:two_r; replaced n:f");
    assert!(ask(&mut kept, "/one")?.ends_with("\r\n\r\n2"));
    let mut other = TcpStream::connect(address(&second)?)?;
    assert!(ask(&mut other, "/two")?.ends_with("\r\n\r\n2"));

    put(function(2) + &service("one"))?;
    assert_eq!(run.printed()?, format!("no longer {second}"));
    assert_eq!(reloaded(&mut run)?, "removed n:two, n:two_e, n:two_r");
    assert_eq!(read(other)?, "");
    assert!(ask(&mut kept, "/one")?.ends_with("\r\n\r\n2"));

    // A busy address: nothing changes until it is free. No other test listens there, so it is free afterwards.
    let taken = std::net::TcpListener::bind("127.0.0.3:0")?;
    let addr = taken.local_addr()?.to_string();
    put(function(3) + &service("one") + &service("two").replace("127.0.0.1:0", &addr))?;
    let said = run.said()?;
    assert!(said.starts_with(&format!("error: service `n:two` cannot listen on {addr}")), "{said}");
    let refusal = run.said()?;
    assert!(is_refusal(&refusal), "{refusal}");
    assert!(ask(&mut kept, "/one")?.ends_with("\r\n\r\n2"));
    drop(taken);
    run.signal("-HUP")?;
    assert_eq!(run.printed()?, format!("serving n:two on http://{addr}"));
    assert_eq!(reloaded(&mut run)?, "added n:two, n:two_e, n:two_r; replaced n:f");
    assert!(ask(&mut kept, "/one")?.ends_with("\r\n\r\n3"));
    Ok(())
}

#[test]
fn linked_app_follows_its_link_and_a_folder_may_reappear() -> Tested {
    let dir = tempfile::tempdir()?;
    for (release, value) in [("one", 1), ("two", 2)] {
        fs::create_dir(dir.path().join(release))?;
        let text = index(&served("a", &inline(value)));
        write(dir.path(), &format!("{release}/_index.yaml"), text)?;
    }
    let app = dir.path().join("current");
    let turn = |to: &str| -> Tested {
        let fresh = dir.path().join("fresh");
        std::os::unix::fs::symlink(to, &fresh)?;
        Ok(fs::rename(fresh, &app)?)
    };
    turn("one")?;
    let mut run = Served::start(&app, &WATCH)?;
    turn("two")?;
    assert_eq!(reloaded(&mut run)?, "replaced n:a");
    assert_eq!(body(&run, "/a")?, "2");
    // The link's new folder is watched, and the old one is not.
    write(dir.path(), "one/_index.yaml", "entries: 3")?;
    put(dir.path(), "two/_index.yaml", index(&served("a", &inline(3))))?;
    assert_eq!(reloaded(&mut run)?, "replaced n:a");
    fs::rename(dir.path().join("two"), dir.path().join("away"))?;
    let told = refused(&mut run)?;
    assert!(told[0].contains("cannot open the app"), "{told:?}");
    assert_eq!(body(&run, "/a")?, "3");
    fs::create_dir(dir.path().join("two"))?;
    refused(&mut run)?;
    write(dir.path(), "two/_index.yaml", index(&served("a", &inline(4))))?;
    assert_eq!(reloaded(&mut run)?, "replaced n:a");
    assert_eq!(body(&run, "/a")?, "4");
    Ok(())
}

#[test]
fn variables_and_mounts_follow() -> Tested {
    let hash = crisol_fixtures::sha256("probe");
    let guest = |name: &str, method: &str, wasi: &str| {
        let code = format!(
            "kind: function.wasm, fs: assets, path: /probe.wasm, hash: 'sha256:{hash}', method: {method}, transport: wasi-http, imports: ['wasi:cli', 'wasi:filesystem', 'wasi:io'], wasi: {wasi}"
        );
        served(name, &code)
    };
    let entries = |folder: &str| {
        guest("env", "env-var", "{env: [{id: level, name: LEVEL}]}")
            + &guest("file", "read-file", "{mounts: [{fs: data, guest: /data}]}")
            + &format!(
                "  - {{name: store, kind: env.storage.file, path: ./values.env}}\n  - {{name: level, kind: env.variable, storage: store, variable: LEVEL}}\n  - {{name: data, kind: fs.directory, directory: {folder}}}\n"
            )
    };
    let app = App::new(&entries("./one"), &["probe"])?;
    for folder in ["one", "two"] {
        fs::create_dir(app.path().join(folder))?;
        write(app.path(), &format!("{folder}/name"), folder)?;
    }
    write(app.path(), "values.env", "LEVEL=info\n")?;
    let mut run = Served::start(app.path(), &WATCH)?;
    let env = |run: &Served| run.post("/env", "LEVEL");
    let file = |run: &Served| run.post("/file", "/data/name");
    assert!(env(&run)?.contains("info"));
    assert!(file(&run)?.ends_with("one"));
    // A file of variables is read after a change, without a reload.
    write(app.path(), "values.env", "LEVEL=debug\n")?;
    assert!(env(&run)?.contains("debug"));
    let text = fs::read_to_string(app.path().join("_index.yaml"))?;
    put(app.path(), "_index.yaml", text.replace("directory: ./one", "directory: ./two"))?;
    assert_eq!(reloaded(&mut run)?, "replaced myns:data; rebuilt myns:file");
    assert!(file(&run)?.ends_with("two"));
    // The same name for another folder.
    fs::rename(app.path().join("two"), app.path().join("gone"))?;
    refused(&mut run)?;
    fs::create_dir(app.path().join("two"))?;
    write(app.path(), "two/name", "three")?;
    assert_eq!(reloaded(&mut run)?, "rebuilt myns:file");
    assert!(file(&run)?.ends_with("three"));
    Ok(())
}

#[test]
fn it_stops_at_once_while_it_reloads() -> Tested {
    let dir = folder(1)?;
    let mut run = Served::start(dir.path(), &WATCH)?;
    let endless = "local log = require('log')\nlog.warn('endless')\nwhile true do end\n";
    write(dir.path(), "endless.lua", endless)?;
    let lua = "kind: function.lua, method: f, modules: [log], source: 'file://endless.lua'";
    let entries = served("a", &inline(2)) + &served("b", lua);
    put(dir.path(), "_index.yaml", index(&entries))?;
    let said = run.said()?;
    assert!(said.contains("endless"), "{said}");
    run.signal("-TERM")?;
    assert_eq!(
        run.said()?,
        "stopping: running requests may finish; a second signal ends the program at once"
    );
    assert_eq!(run.child.wait()?.code(), Some(0));
    Ok(())
}
