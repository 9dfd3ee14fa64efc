//! What the same calls as in `values` allocate: not a measure of time, printed as a table.

#[path = "values/routes.rs"]
#[expect(dead_code, reason = "the routes' halves are timed in `values`")]
mod routes;

use routes::{Guest, Route, users};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() -> wasmtime::Result<()> {
    println!("| users | route | allocations | bytes allocated | peak bytes | peak / JSON text |");
    println!("|---|---|---|---|---|---|");
    for count in [3, 100, 10_000] {
        let text = users(count);
        for route in [Route::Structs, Route::Mapping, Route::Tree] {
            let mut guest = Guest::echo()?;
            guest.call(route, &text)?;
            let profiler = dhat::Profiler::builder().testing().build();
            let answer = guest.call(route, &text)?;
            let stats = dhat::HeapStats::get();
            drop(profiler);
            println!(
                "| {count} | {route:?} | {} | {} | {} | {:.1} |",
                stats.total_blocks,
                stats.total_bytes,
                stats.max_bytes,
                stats.max_bytes as f64 / text.len() as f64
            );
            drop(answer);
        }
    }
    Ok(())
}
