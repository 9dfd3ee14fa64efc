//! Listening sockets: bound, shared with one that is about to close, sealed, closed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, SockRef, Type};
use tokio::net::TcpListener;

use crate::address::Address;
use crate::client::Peer;
use crate::stream::Stream;
#[cfg(unix)]
use crate::unix::SocketFile;

/// Maximum number of connections that the system holds until they are accepted.
const BACKLOG: i32 = 1024;

/// A socket that has its address and does not listen yet.
pub(crate) struct BoundSocket {
    socket: socket2::Socket,
    #[cfg(unix)]
    file: Option<SocketFile>,
    sharing: Option<PortSharing>,
}

/// A listening socket. Dropping it closes it, and removes the file of a Unix socket.
pub(crate) struct Socket {
    pub(crate) addr: Address,
    kind: SocketKind,
}

enum SocketKind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, SocketFile),
}

/// Lets a new socket share a port with our own sockets that are about to close.
///
/// `SO_REUSEPORT` is set only for this moment. If it were always set, any program of the same user could take a
/// share of the connections, and a second server would start without an error.
pub(crate) struct PortSharing(Vec<Arc<Socket>>);

impl PortSharing {
    fn begin(sockets: Vec<Arc<Socket>>) -> io::Result<Self> {
        let this = Self(sockets);
        this.set(true)?;
        Ok(this)
    }

    #[cfg(unix)]
    fn set(&self, shared: bool) -> io::Result<()> {
        self.0.iter().try_for_each(|socket| socket.sock().set_reuse_port(shared))
    }

    #[cfg(not(unix))]
    fn set(&self, _: bool) -> io::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(io::ErrorKind::AddrInUse.into()) }
    }
}

impl Drop for PortSharing {
    fn drop(&mut self) {
        // Cannot fail, since setting the option succeeded before.
        let _ = self.set(false);
    }
}

impl BoundSocket {
    /// Binds an address, which may overlap with those of `leaving` sockets.
    pub(crate) fn new(addr: &Address, leaving: &[Arc<Socket>]) -> io::Result<Self> {
        let addr = match addr {
            Address::Tcp(addr) => *addr,
            #[cfg(unix)]
            Address::Unix(path) => {
                let (socket, file) = SocketFile::bind(path)?;
                return Ok(Self { socket, file: Some(file), sharing: None });
            }
            #[cfg(not(unix))]
            Address::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let taken = match Self::tcp(addr, None) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => error,
            done => return done,
        };
        let wanted = Address::Tcp(addr);
        let overlapping = |socket: &&Arc<Socket>| socket.addr.overlaps(&wanted);
        let shared: Vec<_> = leaving.iter().filter(overlapping).cloned().collect();
        if shared.is_empty() {
            return Err(taken);
        }
        Self::tcp(addr, Some(PortSharing::begin(shared)?))
    }

    fn tcp(addr: SocketAddr, sharing: Option<PortSharing>) -> io::Result<Self> {
        let socket =
            socket2::Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        #[cfg(unix)]
        {
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(sharing.is_some())?;
        }
        socket.bind(&addr.into())?;
        Ok(Self {
            socket,
            #[cfg(unix)]
            file: None,
            sharing,
        })
    }

    /// True if clients of another socket would arrive here once it listens.
    pub(crate) fn is_sharing(&self) -> bool {
        self.sharing.is_some()
    }

    /// Starts to listen; the system holds connections until they are accepted. Shared sockets stay shared until the
    /// returned [`PortSharing`] is dropped.
    pub(crate) fn listen(self) -> io::Result<(Socket, Option<PortSharing>)> {
        self.socket.listen(BACKLOG)?;
        #[cfg(unix)]
        if self.is_sharing() {
            self.socket.set_reuse_port(false)?;
        }
        #[cfg(unix)]
        if let Some(file) = self.file {
            let listener = tokio::net::UnixListener::from_std(self.socket.into())?;
            let socket =
                Socket { addr: file.path().into(), kind: SocketKind::Unix(listener, file) };
            return Ok((socket, None));
        }
        let listener = TcpListener::from_std(self.socket.into())?;
        let addr = listener.local_addr()?.into();
        Ok((Socket { addr, kind: SocketKind::Tcp(listener) }, self.sharing))
    }
}

impl Socket {
    fn sock(&self) -> SockRef<'_> {
        match &self.kind {
            SocketKind::Tcp(listener) => SockRef::from(listener),
            #[cfg(unix)]
            SocketKind::Unix(listener, _) => SockRef::from(listener),
        }
    }

    /// Waits for the next connection.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.kind {
            SocketKind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), peer.into()))
            }
            #[cfg(unix)]
            SocketKind::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::Unix))
            }
        }
    }

    /// Keeps new connections away while pending ones are accepted, so that closing the socket resets none. TCP
    /// clients retry for a while, and then find it closed or another socket in its place.
    pub(crate) fn seal(&self) {
        match &self.kind {
            SocketKind::Tcp(_) => {
                #[cfg(any(target_os = "linux", target_os = "android"))]
                {
                    // The filter sees a segment from its TCP header on. It drops a segment that requests a
                    // connection (RFC 9293, section 3.1: `SYN`), but not the last one of a handshake that has
                    // begun.
                    const LOAD_BYTE: u16 = 0x30;
                    const JUMP_IF_SET: u16 = 0x45;
                    const RETURN: u16 = 0x06;
                    let new_ones = [
                        socket2::SockFilter::new(LOAD_BYTE, 0, 0, 13),
                        socket2::SockFilter::new(JUMP_IF_SET, 0, 1, 0x02),
                        socket2::SockFilter::new(RETURN, 0, 0, 0),
                        socket2::SockFilter::new(RETURN, 0, 0, u32::MAX),
                    ];
                    // On other systems, or if this fails, a connection of the last microseconds is reset.
                    let _ = self.sock().attach_filter(&new_ones);
                }
            }
            #[cfg(unix)]
            SocketKind::Unix(_, file) => file.remove(),
        }
    }

    /// Accepts the next pending connection, without waiting.
    pub(crate) fn accept_pending(&self) -> io::Result<(Stream, Peer)> {
        // Not tokio's `accept`, which only tries after the system has reported a connection.
        let (socket, peer) = self.sock().accept()?;
        socket.set_nonblocking(true)?;
        match &self.kind {
            SocketKind::Tcp(_) => {
                let peer = peer.as_socket().ok_or(io::ErrorKind::InvalidData)?;
                Ok((Stream::Tcp(tokio::net::TcpStream::from_std(socket.into())?), peer.into()))
            }
            #[cfg(unix)]
            SocketKind::Unix(..) => {
                Ok((Stream::Unix(tokio::net::UnixStream::from_std(socket.into())?), Peer::Unix))
            }
        }
    }
}
