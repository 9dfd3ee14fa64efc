//! `bench-http`: requests a second, latency and CPU time of one proxy component under several servers, in
//! alternating rounds, with `wrk` as the load.

mod load;
#[cfg(unix)]
mod many;
mod servers;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use load::Sample;
use servers::Server;

const CONNECTIONS: [u32; 2] = [16, 64];

/// Options of the measurement.
struct Options {
    profile: String,
    seconds: u32,
    rounds: usize,
    wasmtime: Option<PathBuf>,
    /// Second build of `crisol`, to compare two commits in the same rounds.
    beside: Option<PathBuf>,
    /// Connections at once in the last part; 0 skips it.
    many: u32,
}

impl Options {
    fn parse(args: &[&str]) -> Result<Self> {
        let mut options = Self {
            profile: "dist".to_owned(),
            seconds: 4,
            rounds: 3,
            wasmtime: None,
            beside: None,
            many: 10_000,
        };
        for pair in args.chunks(2) {
            match pair {
                ["--profile", profile] => options.profile = (*profile).to_owned(),
                ["--seconds", seconds] => options.seconds = seconds.parse().context("--seconds")?,
                ["--rounds", rounds] => options.rounds = rounds.parse().context("--rounds")?,
                ["--many", many] => options.many = many.parse().context("--many")?,
                ["--wasmtime", path] => options.wasmtime = Some(PathBuf::from(path)),
                ["--beside", path] => options.beside = Some(PathBuf::from(path)),
                other => bail!(
                    "`{}`: the options are --profile NAME (dist), --seconds N (4), --rounds N (3), \
                     --wasmtime PATH, --beside PATH, --many N (10000)",
                    other.join(" ")
                ),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let options = Options::parse(args)?;
    let app = servers::App::new()?;
    let others = (options.wasmtime.as_deref(), options.beside.as_deref());
    let servers = servers::all(&options.profile, others, &app)?;
    if options.wasmtime.is_none() {
        println!("without --wasmtime PATH, `wasmtime serve` is not among what is measured");
    }
    println!(
        "{} s a round, {} rounds, profile {}",
        options.seconds, options.rounds, options.profile
    );
    println!("| server | connections | requests/s | of hyper | p50 | p99 | CPU/request |");
    println!("|---|---|---|---|---|---|---|");
    for connections in CONNECTIONS {
        let mut samples = vec![Vec::new(); servers.len()];
        for _ in 0..options.rounds {
            for (server, samples) in servers.iter().zip(&mut samples) {
                samples.push(measure(server, connections, options.seconds)?);
            }
        }
        print_table(&servers, &samples, connections);
    }
    if options.many > 0 {
        #[cfg(unix)]
        many::run(&servers::sleeping(&options.profile, options.many, &app), options.many)?;
    }
    Ok(())
}

/// Measures one server, started for one round, so that earlier rounds have no effect.
fn measure(server: &Server, connections: u32, seconds: u32) -> Result<Sample> {
    let running = server.start().with_context(|| format!("starting {}", server.name))?;
    let url = format!("http://{}{}", running.addr, server.path);
    // The first second warms caches and pools up.
    load::wrk(&url, connections, 1)?;
    let before = running.cpu()?;
    let mut sample = load::wrk(&url, connections, seconds)?;
    sample.cpu_micros = (running.cpu()? - before) * 1e6 / sample.requests.max(1.0);
    Ok(sample)
}

fn print_table(servers: &[Server], samples: &[Vec<Sample>], connections: u32) {
    let rate = |sample: &Sample| sample.rate;
    let hyper = samples.first().map_or(f64::NAN, |samples| middle(samples, rate).0);
    for (server, samples) in servers.iter().zip(samples) {
        let (rate, least, most) = middle(samples, rate);
        let (p50, ..) = middle(samples, |sample| sample.p50_ms);
        let (p99, ..) = middle(samples, |sample| sample.p99_ms);
        let (cpu, ..) = middle(samples, |sample| sample.cpu_micros);
        println!(
            "| {} | {connections} | {rate:.0} [{least:.0} .. {most:.0}] | {:.3} | {p50:.2} ms | {p99:.2} ms | {cpu:.1} µs |",
            server.name,
            rate / hyper
        );
    }
}

/// Median, minimum and maximum.
fn middle(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> (f64, f64, f64) {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let last = values.len().saturating_sub(1);
    // For an even number, the mean of the two in the middle.
    (f64::midpoint(at(last / 2), at(values.len() / 2)), at(0), at(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_of_rounds_is_between_two() {
        let rates = |rates: &[f64]| {
            let sample = |rate: &f64| Sample { rate: *rate, ..Sample::default() };
            middle(&rates.iter().map(sample).collect::<Vec<_>>(), |sample| sample.rate)
        };
        assert_eq!(rates(&[4.0, 1.0]), (2.5, 1.0, 4.0));
        assert_eq!(rates(&[9.0, 1.0, 4.0]), (4.0, 1.0, 9.0));
        assert!(rates(&[]).0.is_nan());
    }
}
