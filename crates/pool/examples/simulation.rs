//! Prints the results of the adaptive pool on a simulated machine, compared with every fixed size and with the
//! simple rule "add one when the queue is not empty". `--why` also prints each decision with its reason; a number
//! is the seed of the load.
#![expect(clippy::print_stdout, reason = "it is what the program is for")]

#[path = "../tests/it/simulation/loads.rs"]
mod loads;
#[path = "../tests/it/simulation/machine.rs"]
mod machine;

use machine::{Outcome, Rule};

fn main() {
    let seed = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(1);
    let why = std::env::args().any(|arg| arg == "--why");
    println!(
        "| calls | load | best fixed: calls/s, p99 | adaptive: calls/s, p99, mean workers | add one: calls/s, p99 |"
    );
    println!("|---|---|---|---|---|");
    for kind in loads::KINDS {
        for shape in loads::SHAPES {
            let calls = loads::calls(kind, shape, 40_000, seed);
            let fixed: Vec<(usize, Outcome)> = [1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64, 100]
                .into_iter()
                .map(|workers| (workers, machine::run(&calls, Rule::Fixed(workers))))
                .collect();
            let most = fixed.iter().map(|(_, one)| one.throughput).fold(0.0, f64::max);
            let best = fixed.iter().min_by(|(_, a), (_, b)| a.p99.total_cmp(&b.p99));
            let adaptive = machine::run(&calls, Rule::adaptive());
            let add_one = machine::run(&calls, Rule::add_one());
            let cell = |one: &Outcome| {
                let best = best.map_or(1.0, |(_, best)| best.p99);
                format!(
                    "{:.0} ({:.2}×), {:.1} ms ({:.2}×)",
                    one.throughput,
                    one.throughput / most,
                    one.p99 * 1e3,
                    one.p99 / best
                )
            };
            if let Some((workers, best)) = best {
                println!(
                    "| {} | {} | {most:.0}, {:.1} ms ({workers} workers) | {}, {:.0} | {} |",
                    kind.name,
                    shape.name,
                    best.p99 * 1e3,
                    cell(&adaptive),
                    adaptive.workers,
                    cell(&add_one),
                );
            }
            if why {
                for decision in &adaptive.decisions {
                    println!("    {decision}");
                }
            }
        }
    }
}
