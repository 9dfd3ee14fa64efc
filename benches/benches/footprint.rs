//! Memory of an app, instances beside those of bare wasmtime, and the time of its start: printed as a table.
//!
//! `cargo bench -p crisol-benches --bench footprint`
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

#[path = "calls/bare.rs"]
#[allow(dead_code, reason = "the bench of calls calls them too")]
mod bare;

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use crisol::Runtime;
use crisol::engine::CodeCache;
use crisol_engine::Digest;
use crisol_fixtures as fixtures;

use bare::Bare;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// Environment variable with the part to measure in this process.
const PART: &str = "CRISOL_FOOTPRINT_PART";

const READY: usize = 500;
const WAITING: usize = 1_000;
const ENTRIES: usize = 1_000;
const MODULES: usize = 20;

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() -> Result<(), Problem> {
    if let Ok(part) = std::env::var(PART) {
        let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let bytes = match part.as_str() {
            "compute" => tokio.block_on(ready("compute", "compute"))?,
            "mapper" => tokio.block_on(ready("mapper", "transform-users"))?,
            "bare compute" => tokio.block_on(instances("compute", "compute"))?,
            "bare mapper" => tokio.block_on(instances("mapper", "transform-users"))?,
            _ => tokio.block_on(waiting())?,
        };
        println!("{bytes}");
        return Ok(());
    }
    println!("| what | how much |");
    println!("|---|---|");
    for guest in ["compute", "mapper"] {
        let bytes = in_a_process_of_its_own(guest)?;
        println!("| a ready instance of `{guest}` ({READY} of them) | {} B |", bytes / READY);
        let bytes = in_a_process_of_its_own(&format!("bare {guest}"))?;
        println!("| the same on bare wasmtime | {} B |", bytes / READY);
    }
    let bytes = in_a_process_of_its_own("waiting")?;
    println!("| {WAITING} calls that wait in a queue | {} kB |", bytes / 1_000);
    let [cold, warm] = starts()?;
    let what = format!("an app of {ENTRIES} entries over {MODULES} modules loads");
    println!("| {what}, nothing kept on disk | {} ms |", cold.as_millis());
    println!("| {what}, code kept on disk | {} ms |", warm.as_millis());
    Ok(())
}

/// Measures one part in a new process, without memory left from another.
fn in_a_process_of_its_own(part: &str) -> Result<usize, Problem> {
    let output = Command::new(std::env::current_exe()?).env(PART, part).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Resident memory of this process in bytes.
fn resident() -> Result<usize, Problem> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
}

/// App of one function.
fn app(guest: &str, method: &str, pool: &str, more: &str) -> Result<Runtime, Problem> {
    let text = format!(
        "namespace: b\nentries:\n  - {{name: assets, kind: fs.directory, directory: {:?}}}\n  \
         - {{name: f, kind: function.wasm, fs: assets, path: /{guest}.wasm, hash: \"sha256:{}\", \
         method: \"{method}\", pool: {pool}{more}}}\n",
        fixtures::dir().display().to_string(),
        fixtures::sha256(guest),
    );
    Ok(Runtime::builder().file("_index.yaml", text).load()?)
}

async fn ready(guest: &str, method: &str) -> Result<usize, Problem> {
    let pool = format!("{{type: static, workers: {READY}, size: {READY}, warm_start: true}}");
    let runtime = app(guest, method, &pool, "")?;
    let before = resident()?;
    runtime.warm().await?;
    let taken = resident()?.saturating_sub(before);
    let made = runtime.stats("b:f").map_or(0, |stats| stats.created);
    if made != READY as u64 {
        return Err(format!("{made} instances were made").into());
    }
    Ok(taken)
}

/// Baseline of [`ready`]: as many instances on wasmtime itself.
async fn instances(guest: &str, method: &str) -> Result<usize, Problem> {
    let bare = Bare::new(&fixtures::bytes(guest), method)?;
    let mut instances = Vec::with_capacity(READY);
    let before = resident()?;
    for _ in 0..READY {
        instances.push(bare.instance().await?);
    }
    Ok(resident()?.saturating_sub(before))
}

/// One call sleeps in the only worker, and all others wait for it.
async fn waiting() -> Result<usize, Problem> {
    let pool = format!("{{type: inline, buffer: {WAITING}}}");
    let more = ", imports: ['wasi:clocks', 'wasi:io'], limits: {max_execution_ms: 600000}";
    let runtime = app("sleep-test", "test-sleep#sleep-ms", &pool, more)?;
    let call = || {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.call::<()>("b:f", (600_000_u32,)).await })
    };
    let queued = || runtime.stats("b:f").map_or(0, |stats| stats.queued);
    let mut calls = vec![call()];
    // The first has its instance before the others arrive.
    while runtime.stats("b:f").is_none_or(|stats| stats.busy == 0) {
        tokio::task::yield_now().await;
    }
    let before = resident()?;
    calls.extend((0..WAITING).map(|_| call()));
    while queued() < WAITING as u64 {
        tokio::task::yield_now().await;
    }
    let taken = resident()?.saturating_sub(before);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(taken)
}

/// Time that the app takes to load with an empty cache on disk, and with a full one.
fn starts() -> Result<[Duration; 2], Problem> {
    let dir = std::env::temp_dir().join(format!("crisol-footprint-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let mut text = String::from(
        "namespace: b\nentries:\n  - {name: assets, kind: fs.directory, directory: .}\n",
    );
    let mut hashes = Vec::new();
    for number in 0..MODULES {
        // A large module: a hundred functions each.
        let mut module = String::from("(module ");
        for function in 0..100 {
            let n = number * 1_000 + function;
            write!(module, "(func (export \"f{function}\") (result i32) (i32.const {n}))")?;
        }
        module.push(')');
        let bytes = crisol_wit::parse_text(&module, None)?;
        hashes.push(Digest::of(&bytes).to_string());
        std::fs::write(dir.join(format!("m{number}.wasm")), bytes)?;
    }
    for at in 0..ENTRIES {
        let (number, method) = (at % MODULES, at % 100);
        writeln!(
            text,
            "  - {{name: e{at}, kind: function.wasm, fs: assets, path: /m{number}.wasm, \
             hash: \"sha256:{}\", method: f{method}}}",
            hashes[number]
        )?;
    }
    std::fs::write(dir.join("_index.yaml"), text)?;
    let cache = dir.join("cache");
    let load = || -> Result<Duration, Problem> {
        let builder = Runtime::builder().app(&dir).code_cache(CodeCache::new(&cache));
        let started = Instant::now();
        let runtime = builder.load()?;
        let taken = started.elapsed();
        if runtime.functions().len() != ENTRIES {
            return Err("entries are missing".into());
        }
        Ok(taken)
    };
    let times = [load()?, load()?];
    std::fs::remove_dir_all(&dir)?;
    Ok(times)
}
