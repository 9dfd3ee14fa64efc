//! Load generator and its results.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Result of one round.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) requests: f64,
    pub(super) rate: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// CPU time of the server for each request, in microseconds.
    pub(super) cpu_micros: f64,
}

/// Runs `wrk` at full speed, on this number of connections.
pub(super) fn wrk(url: &str, connections: u32, seconds: u32) -> Result<Sample> {
    let run = Command::new("wrk")
        .args(["-t1", "--latency"])
        .arg(format!("-c{connections}"))
        .arg(format!("-d{seconds}s"))
        .arg(url)
        .output()
        .context("running `wrk` (Debian has it as a package)")?;
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    if !run.status.success() {
        bail!("wrk failed: {}{text}", String::from_utf8_lossy(&run.stderr));
    }
    parse(&text).with_context(|| format!("reading what wrk says:\n{text}"))
}

fn parse(text: &str) -> Result<Sample> {
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx")) {
        bail!("the server fails: {}", line.trim());
    }
    let after = |name: &str| {
        let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut values = words.filter_map(|words| match words.as_slice() {
            [first, value, ..] if *first == name => Some((*value).to_owned()),
            _ => None,
        });
        values.next().with_context(|| format!("missing line `{name}`"))
    };
    let line = text.lines().find(|line| line.contains(" requests in ")).context("no total")?;
    Ok(Sample {
        requests: line.split_whitespace().next().unwrap_or_default().parse()?,
        rate: after("Requests/sec:")?.parse()?,
        p50_ms: millis(&after("50%")?)?,
        p99_ms: millis(&after("99%")?)?,
        cpu_micros: 0.0,
    })
}

fn millis(text: &str) -> Result<f64> {
    for (unit, factor) in [("us", 1e-3), ("ms", 1.0), ("s", 1e3)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(number.parse::<f64>()? * factor);
        }
    }
    bail!("`{text}` is not a time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_wrk_is_parsed() -> Result<()> {
        let text = "\
Running 1s test @ http://127.0.0.1:1/
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   247.32us  345.05us   6.33ms   94.61%
    Req/Sec    73.45k     5.44k   82.27k    70.00%
  Latency Distribution
     50%  187.00us
     75%  272.00us
     90%  402.00us
     99%    1.84ms
  73062 requests in 1.00s, 8.64MB read
Requests/sec:  73001.50
Transfer/sec:      8.63MB
";
        let sample = parse(text)?;
        assert_eq!((sample.requests, sample.rate), (73_062.0, 73_001.5));
        assert_eq!((sample.p50_ms, sample.p99_ms), (0.187, 1.84));
        let failing = format!("{text}  Non-2xx or 3xx responses: 5\n");
        assert!(parse(&failing).is_err());
        Ok(())
    }
}
