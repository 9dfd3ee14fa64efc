//! Measures load time and peak memory of apps with 1 000, 10 000 and 100 000 entries, right and wrong: `cargo
//! run --release -p crisol-schema --example curve`. Constant time and memory per entry mean linear cost. Time
//! is CPU time on Linux, and wall-clock time elsewhere.
//!
//! Each figure comes from a process of its own. `curve load 10000` runs one of them, for a profiler or for
//! counting instructions (`valgrind --tool=callgrind target/release/examples/curve load 10000`).

#![expect(clippy::print_stdout, reason = "an example for a terminal")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::Instant;

use crisol_schema::{Loader, Problems};

/// Builds an app of functions over one folder, each with an environment, a mount and a route.
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

/// Names of the operations on an app.
const WORK: [&str; 5] = ["nothing", "load", "wrong", "dangling", "check"];

/// Number of processes for each operation.
const RUNS: usize = 5;

/// Runs one operation once, and prints its time in seconds and the peak memory in KiB.
fn one(work: &str, entries: usize) -> Result<(), Box<dyn Error>> {
    let text = app(entries)?;
    let text = match work {
        "wrong" | "check" => text.replace("method: run", "metod: run"),
        "dangling" => text.replace("fs: d", "fs: e"),
        _ => text,
    };
    let loader = Loader::new().file("_index.yaml", text);
    let (start, before) = (Instant::now(), on_cpu());
    let shown = |problems: Problems| problems.to_string().len();
    let size = match work {
        "nothing" => 0,
        "check" => {
            let checked = loader.check_files();
            checked.registry.len() + shown(checked.problems)
        }
        _ => loader.load_files().map_or_else(shown, |app| app.registry.len()),
    };
    // CPU time excludes other load on the machine.
    let seconds = match (before, on_cpu()) {
        (Some(before), Some(after)) => (after - before) / 1e9,
        _ => start.elapsed().as_secs_f64(),
    };
    println!("{seconds} {} {size}", peak().unwrap_or_default());
    Ok(())
}

/// Returns this thread's time on a CPU in nanoseconds, on systems that report it.
fn on_cpu() -> Option<f64> {
    fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_whitespace().next()?.parse().ok()
}

/// Returns the peak memory of this process in KiB, on systems that report it.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Runs five processes. Returns the seconds of the fastest and the slowest, and the smallest peak memory.
fn measure(work: &str, entries: usize) -> Result<(f64, f64, u64), Box<dyn Error>> {
    let (mut least, mut most, mut memory) = (f64::MAX, 0.0_f64, u64::MAX);
    for _ in 0..RUNS {
        let run = Command::new(env::current_exe()?).args([work, &entries.to_string()]).output()?;
        let text = String::from_utf8(run.stdout)?;
        let mut words = text.split_whitespace();
        let seconds: f64 = words.next().ok_or("no time")?.parse()?;
        least = least.min(seconds);
        most = most.max(seconds);
        memory = memory.min(words.next().ok_or("no memory")?.parse()?);
    }
    Ok((least, most, memory))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    if let (Some(work), Some(entries)) = (arguments.next(), arguments.next()) {
        return one(&work, entries.parse()?);
    }
    println!("| work | entries | text | fastest | slowest | per entry | peak memory |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for work in WORK {
        for entries in [1_000, 10_000, 100_000] {
            let (least, most, memory) = measure(work, entries)?;
            println!(
                "| {work} | {entries} | {:.1} MiB | {:.1} ms | {:.1} ms | {:.2} µs | {} MiB |",
                app(entries)?.len() as f64 / f64::from(1 << 20),
                least * 1e3,
                most * 1e3,
                least * 1e6 / entries as f64,
                memory >> 10,
            );
        }
    }
    Ok(())
}
