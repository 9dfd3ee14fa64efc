//! Servers to measure: their build and their start.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::root;

/// Server that can be started.
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    program: PathBuf,
    args: Vec<String>,
}

/// Running server; dropping it stops it.
pub(super) struct Running {
    child: Child,
    pub(super) addr: String,
}

/// App with the measured functions, in a folder below `target`.
pub(super) struct App(PathBuf);

impl App {
    pub(super) fn new() -> Result<Self> {
        let dir = root().join("target/bench-http");
        fs::create_dir_all(dir.join("wasm"))?;
        for guest in ["hello-http", "greet", "sleep-test"] {
            let to = dir.join("wasm").join(format!("{guest}.wasm"));
            fs::write(to, crisol_fixtures::bytes(guest))?;
        }
        fs::write(dir.join("_index.yaml"), index())?;
        Ok(Self(dir))
    }

    fn guest(&self, name: &str) -> String {
        self.0.join("wasm").join(format!("{name}.wasm")).display().to_string()
    }
}

fn index() -> String {
    let function = |name: &str, guest: &str, method: &str, reuse: u32| {
        let hash = crisol_fixtures::sha256(guest);
        format!(
            "  - name: {name}\n    kind: function.wasm\n    fs: assets\n    path: /{guest}.wasm\n    \
             hash: sha256:{hash}\n    method: {method}\n    transport: wasi-http\n    \
             pool: {{type: lazy, max_size: 64, max_instance_reuse: {reuse}}}\n  - name: {name}_route\n    \
             kind: http.endpoint\n    path: /{name}\n    func: {name}\n"
        )
    };
    let proxy = "wasi:http/incoming-handler";
    [
        "namespace: bench\nentries:\n  - name: assets\n    kind: fs.directory\n    directory: ./wasm\n".to_owned(),
        function("fresh", "hello-http", proxy, 1),
        function("reused", "hello-http", proxy, 1_000_000),
        function("greet", "greet", "greet", 1),
        function("greet_reused", "greet", "greet", 1_000_000),
        sleeping_function(),
    ]
    .concat()
}

/// Function that sleeps, with as many instances as the engine has.
fn sleeping_function() -> String {
    let hash = crisol_fixtures::sha256("sleep-test");
    format!(
        "  - name: sleep\n    kind: function.wasm\n    fs: assets\n    path: /sleep-test.wasm\n    hash: sha256:{hash}\n    \
         method: test-sleep#sleep-ms\n    transport: wasi-http\n    imports: [\"wasi:io\", \"wasi:clocks\"]\n    \
         limits: {{max_execution_ms: 600000}}\n    pool: {{type: lazy, max_size: 100000}}\n  - name: sleep_route\n    \
         kind: http.endpoint\n    method: POST\n    path: /sleep\n    func: sleep\n"
    )
}

/// Server whose requests sleep, with a few more instances than `many`. [`all`] has built it.
#[cfg(unix)]
pub(super) fn sleeping(profile: &str, many: u32, app: &App) -> Server {
    let instances = many.saturating_add(100).to_string();
    let dir = app.0.display().to_string();
    let args = ["--app", &dir, "serve", "--listen", "127.0.0.1:0", "--instances", &instances];
    Server {
        name: "crisol, sleeping",
        path: "/sleep",
        program: built(profile).join("crisol"),
        args: args.map(str::to_owned).to_vec(),
    }
}

fn built(profile: &str) -> PathBuf {
    root().join("target").join(if profile == "dev" { "debug" } else { profile })
}

/// All servers, the baseline first. Builds our own.
pub(super) fn all(
    profile: &str,
    (wasmtime, beside): (Option<&Path>, Option<&Path>),
    app: &App,
) -> Result<Vec<Server>> {
    build(profile, &["--package", "crisol-cli", "--bin", "crisol"])?;
    build(profile, &["--package", "crisol-server", "--example", "bare_hyper"])?;
    let built = built(profile);
    let server = |name, path, program: PathBuf, args: &[&str]| Server {
        name,
        path,
        program,
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
    };
    let dir = app.0.display().to_string();
    let serve = ["--app", dir.as_str(), "serve", "--listen", "127.0.0.1:0"];
    let mut all = vec![server("bare hyper", "/", built.join("examples/bare_hyper"), &[])];
    for (name, other, path) in [
        ("crisol, fresh instances", "the other, fresh instances", "/fresh"),
        ("crisol, reused instances", "the other, reused instances", "/reused"),
        ("crisol, greet, fresh", "the other, greet, fresh", "/greet"),
        ("crisol, greet, reused", "the other, greet, reused", "/greet_reused"),
    ] {
        all.push(server(name, path, built.join("crisol"), &serve));
        if let Some(program) = beside {
            all.push(server(other, path, program.to_owned(), &serve));
        }
    }
    let guest = app.guest("hello-http");
    let scan = "-Opooling-pagemap-scan=y,pooling-memory-keep-resident=2097152,pooling-table-keep-resident=65536";
    let variants: [(&str, &[&str]); 3] = [
        ("wasmtime serve", &[]),
        ("wasmtime serve, page-map scan", &[scan]),
        ("wasmtime serve, reuse", &["--max-instance-reuse-count", "1000000"]),
    ];
    for (name, more) in variants {
        let Some(program) = wasmtime else { continue };
        let head = ["serve", "-Scli", "--addr", "127.0.0.1:0"];
        let args = [&head, more, &[guest.as_str()]].concat();
        all.push(server(name, "/", program.to_owned(), &args));
    }
    Ok(all)
}

fn build(profile: &str, what: &[&str]) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--profile", profile])
        .args(what)
        .current_dir(root())
        .status()?;
    anyhow::ensure!(status.success(), "building {} failed", what.join(" "));
    Ok(())
}

impl Server {
    /// Starts the server and waits until it prints its address, on either stream.
    pub(super) fn start(&self) -> Result<Running> {
        let mut child = Command::new("sh")
            // Both streams in one, because servers differ in the stream that they print it on.
            .args(["-c", "exec \"$0\" \"$@\" 2>&1"])
            .arg(&self.program)
            .args(&self.args)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut running = Running { child, addr: String::new() };
        let mut lines = BufReader::new(stdout);
        let mut line = String::new();
        while running.addr.is_empty() {
            line.clear();
            anyhow::ensure!(lines.read_line(&mut line)? > 0, "it ended before it listened");
            let said = line.split_once("http://").map_or("", |(_, addr)| addr);
            running.addr = said.trim().trim_end_matches('/').to_owned();
        }
        // Later output must be read, or the server would block.
        std::thread::spawn(move || lines.lines().for_each(drop));
        Ok(running)
    }
}

impl Running {
    /// The process.
    #[cfg(unix)]
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Seconds of CPU time used so far.
    pub(super) fn cpu(&self) -> Result<f64> {
        /// Ticks a second in `/proc`, fixed by Linux.
        const TICKS: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field, in parentheses, may contain spaces.
        let (_, fields) = stat.rsplit_once(')').context("no process")?;
        let ticks: Vec<f64> =
            fields.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
        Ok(ticks.iter().sum::<f64>() / TICKS)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
