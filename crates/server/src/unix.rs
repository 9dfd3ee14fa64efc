//! Files of Unix sockets: taken over from servers that have ended, and removed with our own.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Type};

/// The file of our Unix socket. Dropping it removes the file.
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode: a file that has replaced ours is not removed.
    identity: (u64, u64),
}

impl SocketFile {
    /// Binds a socket to a path. The file of a server that has ended is replaced; the file of a running server, or
    /// of another kind, is an error.
    pub(crate) fn bind(path: &Path) -> io::Result<(socket2::Socket, Self)> {
        let addr = SockAddr::unix(path)?;
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.bind(&addr) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path, &addr)? => {
                fs::remove_file(path)?;
                socket.bind(&addr)?;
            }
            done => done?,
        }
        let identity = identity(path)?;
        Ok((socket, Self { path: path.to_owned(), identity }))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Removes the file if it is still ours.
    pub(crate) fn remove(&self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // If this fails, the next server finds a stale file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// True if a path is the socket of a server that has ended: connections are refused.
fn is_stale(path: &Path, addr: &SockAddr) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        let why = "there is a file that is not a socket: remove it or use another path";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let client = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    client.set_nonblocking(true)?;
    // A server with a full queue answers that it would block.
    Ok(client.connect(addr).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}
