//! One listening socket: accept within the limit, stop, let what runs finish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::connection::{self, Shared};
use crate::permits::resize;
use crate::site::Site;

/// Pause after an accept that failed for want of something (file descriptors, memory) which other
/// connections give back.
const BREATH: Duration = Duration::from_millis(50);

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stopped {
    /// Connections that were open and ended by themselves.
    pub finished: usize,
    /// Connections that were cut when the grace period was over.
    pub aborted: usize,
}

/// A socket that is being served. Dropping it cuts every connection.
pub(crate) struct Listening {
    pub(crate) name: String,
    /// As configured: with port 0 where any port will do.
    pub(crate) wanted: SocketAddr,
    pub(crate) addr: SocketAddr,
    site: Arc<ArcSwap<Site>>,
    slots: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    stop: watch::Sender<bool>,
    task: JoinHandle<JoinSet<()>>,
}

impl Listening {
    /// Begins to serve a bound socket.
    pub(crate) fn start(
        name: String,
        wanted: SocketAddr,
        listener: TcpListener,
        site: Site,
    ) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let limits = site.limits;
        let site = Arc::new(ArcSwap::from_pointee(site));
        let (stop, stopped) = watch::channel(false);
        let requests = Arc::new(Semaphore::new(limits.max_requests));
        let slots = Arc::new(Semaphore::new(limits.max_connections));
        let shared =
            Shared { site: Arc::clone(&site), requests: Arc::clone(&requests), stop: stopped };
        info!(service = name, %addr, "listening");
        let task = tokio::spawn(accept(listener, Arc::clone(&slots), shared));
        Ok(Self { name, wanted, addr, site, slots, requests, stop, task })
    }

    /// Serves another site from now on, within its limits.
    pub(crate) fn replace(&self, site: Site) {
        let (old, new) = (self.site.load().limits, site.limits);
        resize(&self.slots, old.max_connections, new.max_connections);
        resize(&self.requests, old.max_requests, new.max_requests);
        self.site.store(Arc::new(site));
    }

    /// Stops accepting, waits up to `grace` for what runs, and cuts the rest.
    pub(crate) async fn stop(mut self, grace: Duration) -> Stopped {
        self.stop.send_replace(true);
        // The loop ends at once when told to; it cannot fail other than by a defect of its own.
        let Ok(mut connections) = (&mut self.task).await else { return Stopped::default() };
        let mut finished = 0;
        let all = async {
            while connections.join_next().await.is_some() {
                finished += 1;
            }
        };
        let _ = timeout(grace, all).await;
        let aborted = connections.len();
        connections.shutdown().await;
        Stopped { finished, aborted }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts connections, never more at once than there are slots, and hands back those that are open
/// when it is told to stop.
async fn accept(listener: TcpListener, slots: Arc<Semaphore>, shared: Shared) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let mut stop = shared.stop.clone();
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    tokio::pin!(stopped);
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            slot.ok().zip(Some(next_stream(&listener, &shared.site).await))
        };
        let (slot, (stream, peer)) = tokio::select! {
            accepted = next => match accepted {
                Some(accepted) => accepted,
                None => return connections,
            },
            () = &mut stopped => return connections,
        };
        while connections.try_join_next().is_some() {}
        let shared = shared.clone();
        connections.spawn(async move {
            connection::serve(stream, peer, shared).await;
            drop(slot);
        });
    }
}

/// The next connection, however long it takes. Errors of a connection that is gone before it was
/// accepted concern nobody; others pass when connections close.
async fn next_stream(listener: &TcpListener, site: &ArcSwap<Site>) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if site.load().failures.admits(None, "accept") {
                    warn!(%error, "cannot accept connections just now");
                }
                sleep(BREATH).await;
            }
        }
    }
}
