//! Allocations of the calls in `values`: no measure of time, printed as tables.
//!
//! `cargo bench -p crisol-benches --bench values_memory`

#[path = "values/routes.rs"]
#[expect(dead_code, reason = "the routes' halves are timed in `values`")]
mod routes;

use dhat::{HeapStats, Profiler};
use routes::{Guest, Route, users};

/// Counts every allocation of this program.
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Runs `of`; returns its result and its allocations.
fn measured<T>(of: impl FnOnce() -> wasmtime::Result<T>) -> wasmtime::Result<(T, HeapStats)> {
    let profiler = Profiler::builder().testing().build();
    let value = of()?;
    let stats = HeapStats::get();
    drop(profiler);
    Ok((value, stats))
}

#[expect(clippy::print_stdout, reason = "the tables are what this program is for")]
fn main() -> wasmtime::Result<()> {
    println!("| users | route | allocations | bytes allocated | peak bytes | peak / JSON text |");
    println!("|---|---|---|---|---|---|");
    for count in [3, 100, 10_000] {
        let text = users(count);
        for route in [Route::Structs, Route::Mapping, Route::Core, Route::Tree] {
            let mut guest = Guest::echo()?;
            guest.call(route, &text)?;
            let (_, stats) = measured(|| guest.call(route, &text))?;
            println!(
                "| {count} | {route:?} | {} | {} | {} | {:.1} |",
                stats.total_blocks,
                stats.total_bytes,
                stats.max_bytes,
                stats.max_bytes as f64 / text.len() as f64
            );
        }
    }
    Ok(())
}
