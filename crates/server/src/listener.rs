//! A listening socket: accepts within limits, stops, and lets open connections finish.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::address::Address;
use crate::checked_service::CheckedService;
use crate::client::Peer;
use crate::connection::{self, ListenerState};
use crate::idle::{IdleQueue, IdleQueues};
use crate::permits::resize;
use crate::socket::Socket;
use crate::stream::Stream;

/// Pause before a retry, in which connections may close.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Minimum time between two warnings that connections cannot be accepted.
const WARNING: Duration = Duration::from_secs(60);

/// Maximum number of failed attempts, a [`RETRY_PAUSE`] apart, to accept pending connections after a stop.
const LAST_ATTEMPTS: usize = 20;

/// Outcome of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stopped {
    /// Connections that were open and ended by themselves.
    pub finished: usize,
    /// Connections that were cut at the end of the grace period.
    pub aborted: usize,
}

/// State shared by the listeners of a server.
#[derive(Clone, Default)]
pub(crate) struct ServerState {
    pub(crate) everyone: IdleQueues,
    pub(crate) draining: Arc<AtomicBool>,
}

/// A socket that is being served. Dropping it cuts every connection.
pub(crate) struct Listener {
    pub(crate) name: String,
    /// The configured address, with port 0 if the system chooses the port.
    pub(crate) configured: Address,
    pub(crate) socket: Arc<Socket>,
    service: Arc<ArcSwap<CheckedService>>,
    slots: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    stop: watch::Sender<bool>,
    task: Task,
}

/// The accepting task. Dropping it ends the task and every connection.
struct Task(JoinHandle<JoinSet<()>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Listener {
    /// Starts to serve a socket.
    pub(crate) fn start(
        (name, configured): (String, Address),
        socket: Socket,
        service: CheckedService,
        common: &ServerState,
    ) -> Self {
        let limits = service.limits;
        let service = Arc::new(ArcSwap::from_pointee(service));
        let (stop, stopped) = watch::channel(false);
        let idle = Arc::<IdleQueue>::default();
        common.everyone.add(&idle);
        info!(service = name, addr = %socket.addr, "listening");
        let socket = Arc::new(socket);
        let requests = Arc::new(Semaphore::new(limits.max_requests));
        let slots = Arc::new(Semaphore::new(limits.max_connections));
        let acceptor = Acceptor {
            socket: Arc::clone(&socket),
            slots: Arc::clone(&slots),
            clients: Arc::default(),
            everyone: common.everyone.clone(),
            shared: ListenerState {
                service: Arc::clone(&service),
                requests: Arc::clone(&requests),
                idle,
                draining: Arc::clone(&common.draining),
                stop: stopped,
            },
            connections: JoinSet::new(),
            warned: None,
        };
        let task = Task(tokio::spawn(acceptor.run()));
        Self { name, configured, socket, service, slots, requests, stop, task }
    }

    /// Stops accepting. Connections pending in the system are still accepted, later ones are not.
    pub(crate) fn close(&self) {
        self.socket.seal();
        self.stop.send_replace(true);
    }

    /// Replaces the checked service, and its limits.
    pub(crate) fn replace(&self, service: CheckedService) {
        let (old, new) = (self.service.load().limits, service.limits);
        resize(&self.slots, old.max_connections, new.max_connections);
        resize(&self.requests, old.max_requests, new.max_requests);
        self.service.store(Arc::new(service));
    }

    /// Stops accepting, waits up to `grace` for open connections, and cuts the rest.
    pub(crate) async fn stop(self, grace: Duration) -> Stopped {
        self.close();
        let Self { socket, mut task, .. } = self;
        // Only the acceptor holds it now: the socket closes after the last connection is accepted.
        drop(socket);
        let until = Instant::now() + grace;
        // The loop ends soon after the stop; it fails only by a defect of its own.
        let Ok(mut connections) = (&mut task.0).await else { return Stopped::default() };
        let mut finished = 0;
        let all = async {
            while connections.join_next().await.is_some() {
                finished += 1;
            }
        };
        let _ = tokio::time::timeout_at(until, all).await;
        let aborted = connections.len();
        connections.shutdown().await;
        Stopped { finished, aborted }
    }
}

/// Accepts connections, and owns the open ones.
struct Acceptor {
    socket: Arc<Socket>,
    slots: Arc<Semaphore>,
    clients: Arc<Clients>,
    everyone: IdleQueues,
    shared: ListenerState,
    connections: JoinSet<()>,
    /// Time of the last warning that connections cannot be accepted.
    warned: Option<Instant>,
}

impl Acceptor {
    /// Accepts until the stop, and returns the connections that are open then.
    async fn run(mut self) -> JoinSet<()> {
        let mut stop = self.shared.stop.clone();
        loop {
            let (stream, peer) = tokio::select! {
                next = self.next() => next,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            while self.connections.try_join_next().is_some() {}
            let Some(counted) = self.admit(peer) else { continue };
            let slot = tokio::select! {
                slot = self.slot() => slot,
                // The connection was accepted before the stop, so it is served.
                _ = stop.wait_for(|stop| *stop) => None,
            };
            self.serve(stream, peer, (slot, counted));
        }
        self.accept_pending().await;
        self.connections
    }

    /// Counts a connection for its client; `None` if the client has reached its limit.
    fn admit(&self, peer: Peer) -> Option<ClientSlot> {
        self.clients.admit(peer, self.shared.service.load().limits.max_connections_per_client)
    }

    fn serve(&mut self, stream: Stream, peer: Peer, held: impl Send + 'static) {
        let shared = self.shared.clone();
        self.connections.spawn(async move {
            connection::serve(stream, peer, shared).await;
            drop(held);
        });
    }

    /// Waits for the next connection. An error of a connection that was aborted before it was accepted is ignored;
    /// other errors pass when connections close.
    async fn next(&mut self) -> (Stream, Peer) {
        loop {
            match self.socket.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => self.make_room(&error).await,
            }
        }
    }

    /// Acquires a connection slot; idle connections are closed while there is none.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                return Some(slot);
            }
            self.shared.idle.close_longest_idle();
            if let Ok(slot) = timeout(RETRY_PAUSE, Arc::clone(&self.slots).acquire_owned()).await {
                return slot.ok();
            }
        }
    }

    /// Handles a failed accept: waits a moment for resources of other connections.
    async fn make_room(&mut self, error: &io::Error) {
        if is_out_of_files(error) && !self.shared.idle.close_longest_idle() {
            self.everyone.close_longest_idle();
        }
        let now = Instant::now();
        if self.warned.is_none_or(|last| now.duration_since(last) >= WARNING) {
            self.warned = Some(now);
            warn!(%error, "cannot accept connections: closing idle ones and retrying");
        }
        if self.connections.is_empty() {
            sleep(RETRY_PAUSE).await;
        } else {
            let _ = timeout(RETRY_PAUSE, self.connections.join_next()).await;
        }
    }

    /// Accepts the connections pending in the system after a stop: their clients are connected and may have sent
    /// requests. The system bounds their number, so `max_connections` does not apply.
    async fn accept_pending(&mut self) {
        let mut attempts = 0..LAST_ATTEMPTS;
        let mut handshakes = 0..1;
        loop {
            match self.socket.accept_pending() {
                Ok((stream, peer)) => {
                    if let Some(counted) = self.admit(peer) {
                        self.serve(stream, peer, counted);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if handshakes.next().is_none() {
                        return;
                    }
                    // Handshakes that have begun complete meanwhile.
                    sleep(RETRY_PAUSE).await;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) if attempts.next().is_none() => return,
                Err(error) => self.make_room(&error).await,
            }
        }
    }
}

/// True if the process or the system has no file descriptor left.
fn is_out_of_files(error: &io::Error) -> bool {
    /// `ENFILE` and `EMFILE`, the same on every Unix.
    const CODES: [i32; 2] = [23, 24];
    cfg!(unix) && error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}

/// Number of open connections of each client.
#[derive(Default)]
struct Clients {
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that counts for its client until it is dropped.
struct ClientSlot {
    clients: Arc<Clients>,
    client: IpAddr,
}

impl Clients {
    /// Counts a connection, unless its client already has `most`.
    fn admit(self: &Arc<Self>, peer: Peer, most: usize) -> Option<ClientSlot> {
        let client = peer.client();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(client).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(ClientSlot { clients: Arc::clone(self), client })
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        let mut open = self.clients.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_count_and_gives_it_back() {
        let clients = Arc::<Clients>::default();
        let peer = |last: u8| Peer::Tcp(([10, 0, 0, last], 1).into());
        let one = clients.admit(peer(1), 1);
        assert!(one.is_some() && clients.admit(peer(1), 1).is_none());
        assert!(clients.admit(peer(1), 2).is_some(), "the limit was raised");
        assert!(clients.admit(peer(2), 1).is_some());
        drop(one);
        assert!(clients.admit(peer(1), 1).is_some());
        assert!(clients.open.lock().unwrap_or_else(PoisonError::into_inner).is_empty());
    }
}
