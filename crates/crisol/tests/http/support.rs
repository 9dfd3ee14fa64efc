//! An app that is served on a free port, and connections that speak HTTP/1.1 as they are told.

use std::net::SocketAddr;
use std::time::Duration;

use crisol::{Allocation, EngineConfig, Runtime, ServeOptions, Serving};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) type Tested<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Long enough for any machine: what takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// An app, served.
pub(crate) struct Served {
    pub(crate) runtime: Runtime,
    pub(crate) addr: SocketAddr,
    _serving: Serving,
}

impl Served {
    /// Serves the entries, which may name the folder of all built guests as `guests`.
    pub(crate) async fn start(entries: &str) -> Tested<Self> {
        let guests = crisol_fixtures::dir();
        let header = format!(
            "namespace: a\nentries:\n  - {{name: guests, kind: fs.directory, directory: {:?}}}\n",
            guests.display().to_string()
        );
        let engine = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
        let runtime =
            Runtime::builder().file("_index.yaml", header + entries).engine(engine).load()?;
        let options = ServeOptions::default().with_listen(Some("127.0.0.1:0".parse()?));
        let serving = runtime.serve(options).await?;
        let addr = serving.listening().first().ok_or("nothing listens")?.addr;
        Ok(Self { runtime, addr, _serving: serving })
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Tested<Connection> {
        Ok(Connection { stream: TcpStream::connect(self.addr).await?, unread: Vec::new() })
    }

    /// Sends one request on a connection of its own, and reads everything that comes back.
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

/// A connection, and what has come and not been read.
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Tested {
        Ok(self.stream.write_all(bytes.as_ref()).await?)
    }

    /// Reads until the server closes.
    pub(crate) async fn rest(mut self) -> Tested<String> {
        let read = self.stream.read_to_end(&mut self.unread);
        tokio::time::timeout(PATIENCE, read).await??;
        Ok(String::from_utf8_lossy(&self.unread).into_owned())
    }
}
