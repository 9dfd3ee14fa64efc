//! Many connections at once: cost of an idle one, and of one whose request sleeps in its guest.
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::servers::{Running, Server};

/// Least time that a request sleeps.
const SLEEP: Duration = Duration::from_secs(1);

/// Time to set up a connection and its request, as a low estimate. The sleep grows by it for each connection, so that
/// all sleep at once on slow machines too.
const EACH: Duration = Duration::from_micros(500);

/// Open files beside the connections.
const OTHERS: u64 = 256;

/// Resources of a process.
struct Held {
    kib: f64,
    threads: f64,
}

/// Opens the connections, sends a request for a sleep on each, and prints the cost.
pub(super) fn run(server: &Server, connections: u32) -> Result<()> {
    allow_files(u64::from(connections) + OTHERS)?;
    let running = server.start().with_context(|| format!("starting {}", server.name))?;
    // The first request creates the shared state.
    ask(&mut TcpStream::connect(&running.addr)?, server.path, Duration::from_millis(1))?;
    let before = held(&running)?;
    let open = || TcpStream::connect(&running.addr).context("connecting");
    let mut streams = (0..connections).map(|_| open()).collect::<Result<Vec<_>>>()?;
    // An open connection may not be accepted yet; the last one accepted answers.
    ask(&mut TcpStream::connect(&running.addr)?, server.path, Duration::from_millis(1))?;
    let idle = held(&running)?;

    let time = SLEEP + EACH * connections;
    let began = Instant::now();
    for stream in &mut streams {
        send(stream, server.path, time)?;
    }
    sleep((time - began.elapsed().min(time)) / 2);
    let asleep = held(&running)?;
    let mut answered = 0_u32;
    for stream in &mut streams {
        let answer = read(stream)?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "after {answered} answers: {answer}");
        answered += 1;
    }
    let taken = began.elapsed();
    let after = held(&running)?;

    let each = |more: &Held, less: &Held| (more.kib - less.kib) / f64::from(connections);
    println!("| {connections} connections | memory of each | threads |");
    println!("|---|---|---|");
    println!("| none yet | | {} |", before.threads);
    println!("| idle | {:.1} KiB | {} |", each(&idle, &before), idle.threads);
    println!("| asleep for {time:?} | {:.1} KiB more | {} |", each(&asleep, &idle), asleep.threads);
    println!("| all {answered} answered in {taken:.2?} | | {} |", after.threads);
    Ok(())
}

fn held(running: &Running) -> Result<Held> {
    let status = fs::read_to_string(format!("/proc/{}/status", running.id()))?;
    let number = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let word = line.and_then(|line| line.split_whitespace().next());
        Ok(word.with_context(|| format!("no `{name}`"))?.parse()?)
    };
    Ok(Held { kib: number("VmRSS:")?, threads: number("Threads:")? })
}

fn send(stream: &mut TcpStream, path: &str, time: Duration) -> Result<()> {
    let ms = time.as_millis();
    let head = format!("POST {path}?ms={ms} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).context("asking")
}

fn read(stream: &mut TcpStream) -> Result<String> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("reading an answer")?;
    Ok(answer)
}

fn ask(stream: &mut TcpStream, path: &str, time: Duration) -> Result<()> {
    send(stream, path, time)?;
    let answer = read(stream)?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(())
}

/// Raises this process's limit of open files.
fn allow_files(files: u64) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|now| now >= files) {
        return Ok(());
    }
    let maximum = limit.maximum;
    ensure!(
        maximum.is_none_or(|most| most >= files),
        "{files} open files are needed and {} are allowed: raise the hard limit (`ulimit -Hn`)",
        maximum.unwrap_or_default()
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum })?;
    Ok(())
}
