//! Support for HTTP tests: apps served on a free port, and raw HTTP/1.1 connections.

use std::net::SocketAddr;
use std::time::Duration;

use crisol::engine::Allocation;
use crisol::http::{ServeOptions, Serving};
use crisol::pool::Stats;
use crisol::{Builder, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::AppBuilder;
pub(crate) use crate::support::Tested;

/// Time limit of a step, long enough for any machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Advances the clock of the test's runtime by half an hour, for all its deadlines and timers.
pub(crate) async fn skip_half_an_hour() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1800)).await;
    tokio::time::resume();
}

/// A served app.
pub(crate) struct Served {
    pub(crate) runtime: Runtime,
    pub(crate) addr: SocketAddr,
    serving: Serving,
}

impl Served {
    /// Serves the entries, which may name the folder of all built guests as `guests`.
    pub(crate) async fn start(entries: &str) -> Tested<Self> {
        Self::start_with(Allocation::OnDemand, entries).await
    }

    /// Like `start`, with an allocation strategy for instances.
    pub(crate) async fn start_with(allocation: Allocation, entries: &str) -> Tested<Self> {
        Self::built(allocation, entries, |builder| builder).await
    }

    /// Like `start`, with additions to the builder.
    pub(crate) async fn embedded(
        entries: &str,
        with: impl FnOnce(Builder) -> Builder,
    ) -> Tested<Self> {
        Self::built(Allocation::OnDemand, entries, with).await
    }

    async fn built(
        allocation: Allocation,
        entries: &str,
        with: impl FnOnce(Builder) -> Builder,
    ) -> Tested<Self> {
        let app = AppBuilder::new("a").guests("guests").entries(entries).allocation(allocation);
        let runtime = with(app.builder()).load()?;
        let options = ServeOptions::default().with_listen(Some("127.0.0.1:0".parse()?));
        let serving = runtime.serve(options).await?;
        let listening = serving.listening();
        let addr = listening.first().and_then(|one| one.addr.tcp()).ok_or("nothing listens")?;
        Ok(Self { runtime, addr, serving })
    }

    /// Serves an HTTP handler as the function `p`, behind every method and path, with `fields` in flow style.
    pub(crate) async fn proxy(guest: &str, fields: &str) -> Tested<Self> {
        Self::proxy_beside(guest, fields, "").await
    }

    /// Like `proxy`, beside further entries, one per line.
    pub(crate) async fn proxy_beside(guest: &str, fields: &str, others: &str) -> Tested<Self> {
        let hash = crisol_fixtures::sha256(guest);
        let method = if guest.ends_with("p3") { "handler" } else { "incoming-handler" };
        let entries = format!(
            "  - {{name: p, kind: function.wasm, fs: guests, path: /{guest}.wasm, hash: \"sha256:{hash}\", method: \"wasi:http/{method}\", transport: wasi-http, imports: [\"wasi:clocks\", \"wasi:io\"]{fields}}}\n  - {{name: e, kind: http.endpoint, method: ANY, path: \"/{{rest...}}\", func: p}}\n{others}"
        );
        Self::start(&entries).await
    }

    /// Serves the current generation of the app.
    pub(crate) async fn refresh(&mut self) -> Tested {
        Ok(self.serving.refresh(PATIENCE).await?)
    }

    /// Waits until the pool of `a:p` is as wanted, and fails after a time limit. Pools send no notifications, so it
    /// polls.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Stats) -> bool) -> Tested {
        let reached = async {
            while !self.runtime.stats("a:p").is_some_and(|stats| wanted(&stats)) {
                tokio::task::yield_now().await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        Ok(reached.map_err(|_| format!("{what}: {:?}", self.runtime.stats("a:p")))?)
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Tested<Connection> {
        Ok(Connection { stream: TcpStream::connect(self.addr).await?, unread: Vec::new() })
    }

    /// Sends one request on its own connection and reads the whole response.
    pub(crate) async fn ask(&self, line: &str, headers: &str, body: &[u8]) -> Tested<String> {
        let mut connection = self.connect().await?;
        let length = body.len();
        let head = format!(
            "{line} HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        connection.send(head.as_bytes()).await?;
        connection.send(body).await?;
        connection.rest().await
    }
}

/// A connection with its received, unread bytes.
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Tested {
        Ok(self.stream.write_all(bytes.as_ref()).await?)
    }

    /// Reads up to and including `end`, and returns the text.
    pub(crate) async fn read_to(&mut self, end: &str) -> Tested<String> {
        let read = async {
            loop {
                let found = self.unread.windows(end.len()).position(|part| part == end.as_bytes());
                if let Some(at) = found {
                    let rest = self.unread.split_off(at + end.len());
                    let read = std::mem::replace(&mut self.unread, rest);
                    return Ok(String::from_utf8_lossy(&read).into_owned());
                }
                if self.stream.read_buf(&mut self.unread).await? == 0 {
                    let so_far = String::from_utf8_lossy(&self.unread);
                    return Err(format!("closed before {end:?}: {so_far:?}").into());
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await?
    }

    /// Reads one chunk of a chunked body.
    pub(crate) async fn chunk(&mut self) -> Tested<String> {
        let size = self.read_to("\r\n").await?;
        let size = usize::from_str_radix(size.trim_end(), 16)?;
        let chunk = self.read_to("\r\n").await?;
        let chunk = chunk.strip_suffix("\r\n").unwrap_or_default().to_owned();
        if chunk.len() == size { Ok(chunk) } else { Err(format!("{size}: {chunk:?}").into()) }
    }

    /// Reads until the server closes.
    pub(crate) async fn rest(mut self) -> Tested<String> {
        let read = self.stream.read_to_end(&mut self.unread);
        tokio::time::timeout(PATIENCE, read).await??;
        Ok(String::from_utf8_lossy(&self.unread).into_owned())
    }
}
