//! How long an app of 1 000, 10 000 and 100 000 entries takes to load, right and wrong, and to print:
//! `cargo run --release -p crisol-schema --example curve`. Time for each entry that does not grow is linear.

#![expect(clippy::print_stdout, reason = "an example for a terminal")]

use std::fmt::Write;
use std::time::{Duration, Instant};

use crisol_schema::Loader;

/// An app of functions over one folder, each with an environment and a mount, and routes to them.
fn app(entries: usize) -> Result<String, std::fmt::Error> {
    let mut text =
        "namespace: n\nentries:\n  - {name: d, kind: fs.directory, directory: d}\n".to_owned();
    text.push_str("  - {name: v, kind: env.variable, default: x}\n");
    for n in 0..entries / 2 {
        write!(
            text,
            "  - name: f{n}
    kind: function.wasm
    fs: d
    path: /f{n}.wasm
    hash: sha256:292b796376f8b4cc360acf2ea6b82d1084871c3607a079f30b446da8e5c984a4
    method: run
    transport: wasi-http
    pool: {{type: lazy, max_size: 4}}
    imports: [wasi:io, wasi:clocks]
    wasi:
      env: [{{id: v, name: KEY}}]
      mounts: [{{fs: d, guest: /data, read_only: true}}]
  - name: e{n}
    kind: http.endpoint
    method: POST
    path: /api/{n}/{{id}}
    func: f{n}
"
        )?;
    }
    Ok(text)
}

/// The fastest of three runs: what else the machine does is not the loader's.
fn fastest<T>(run: impl Fn() -> T) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        drop(run());
        start.elapsed()
    };
    (0..3).map(timed).min().unwrap_or_default()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "entries  | bytes    | load      per entry | wrong     per entry | dangling  per entry"
    );
    for entries in [1_000, 10_000, 100_000] {
        let text = app(entries)?;
        let good = Loader::new().file("_index.yaml", text.as_str());
        let wrong = Loader::new().file("_index.yaml", text.replace("method: run", "metod: run"));
        let dangling = Loader::new().file("_index.yaml", text.replace("fs: d", "fs: e"));
        good.load_files()?;
        let load = fastest(|| good.load_files());
        let wrong = fastest(|| wrong.load_files().map_err(|problems| problems.to_string()));
        let dangling = fastest(|| dangling.load_files().map_err(|problems| problems.to_string()));
        let each = |time: Duration| time / u32::try_from(entries).unwrap_or(1);
        println!(
            "{entries:8} | {:8} | {load:9.1?} {:9.2?} | {wrong:9.1?} {:9.2?} | {dangling:9.1?} {:9.2?}",
            text.len(),
            each(load),
            each(wrong),
            each(dangling),
        );
    }
    Ok(())
}
