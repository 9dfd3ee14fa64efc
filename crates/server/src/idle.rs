//! Queue of idle connections, from which the longest-idle one is closed to make room for a new one.
//!
//! A serving connection costs nothing here: its position in the queue is updated only when it is looked at. Idle
//! times only move forward, so the first connection with a current position is the longest-idle of all. A position
//! is updated at most once for each request. A connection that is found busy leaves the queue and returns when it
//! is idle again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::Instant;

use crate::connection_state::ConnectionState;

/// Position of a connection: the time at which it became idle, and its unique number.
type QueueKey = (Instant, u64);

/// Connections of one listener that may be idle.
#[derive(Default)]
pub(crate) struct IdleQueue {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    connections: BTreeMap<QueueKey, Arc<ConnectionState>>,
    opened: u64,
}

impl IdleQueue {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number for a new connection.
    pub(crate) fn number(&self) -> u64 {
        let mut queue = self.lock();
        queue.opened += 1;
        queue.opened
    }

    /// Queues a connection, unless it is queued.
    pub(crate) fn enter(&self, connection: &Arc<ConnectionState>) {
        let mut queue = self.lock();
        if connection.queued().is_none()
            && let Some(since) = connection.idle_since()
        {
            queue.put(since, Arc::clone(connection));
        }
    }

    /// Removes a connection that is over.
    pub(crate) fn leave(&self, connection: &ConnectionState) {
        let mut queue = self.lock();
        if let Some(since) = connection.queued() {
            queue.connections.remove(&(since, connection.number()));
        }
    }

    /// Asks the longest-idle connection to close; false if none is idle.
    pub(crate) fn close_longest_idle(&self) -> bool {
        // The lock is released between two looks: a first one may find many busy connections.
        loop {
            let mut queue = self.lock();
            let Some(((since, _), connection)) = queue.connections.pop_first() else {
                return false;
            };
            connection.set_queued(None);
            match connection.idle_since() {
                None => {}
                Some(now) if now == since => {
                    drop(queue);
                    connection.request_close();
                    return true;
                }
                Some(now) => queue.put(now, connection),
            }
        }
    }
}

impl Queue {
    fn put(&mut self, since: Instant, connection: Arc<ConnectionState>) {
        connection.set_queued(Some(since));
        self.connections.insert((since, connection.number()), connection);
    }
}

/// Idle connections of all listeners, for a resource of the whole process: file descriptors.
#[derive(Clone, Default)]
pub(crate) struct IdleQueues(Arc<Mutex<Vec<Weak<IdleQueue>>>>);

impl IdleQueues {
    /// Adds a listener's connections.
    pub(crate) fn add(&self, idle: &Arc<IdleQueue>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|idle| idle.strong_count() > 0);
        all.push(Arc::downgrade(idle));
    }

    /// Asks the longest-idle connection of a listener to close: of the first listener that has one.
    pub(crate) fn close_longest_idle(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.iter().filter_map(Weak::upgrade).any(|idle| idle.close_longest_idle())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::activity::Activity;
    use crate::config::Timeouts;

    fn connection(idle: &Arc<IdleQueue>) -> Arc<Activity> {
        let one = Arc::new(Activity::new(Timeouts::default(), Arc::clone(idle)));
        idle.enter(&one.state);
        one
    }

    async fn pass() {
        advance(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_goes_first_and_one_that_serves_never() {
        let idle = Arc::<IdleQueue>::default();
        let [a, b, c] = [(); 3].map(|()| connection(&idle));
        pass().await;
        let busy = b.begin();
        drop(a.begin());
        assert!(idle.close_longest_idle());
        assert!(c.state.is_closing(), "idle since it was opened");
        assert!(idle.close_longest_idle());
        assert!(a.state.is_closing(), "idle since its request");
        assert!(!idle.close_longest_idle(), "the third serves");
        drop(busy);
        assert!(idle.close_longest_idle());
        assert!(b.state.is_closing());
        assert!(!idle.close_longest_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_serve_are_looked_at_once() {
        let idle = Arc::<IdleQueue>::default();
        let all: Vec<_> = (0..100).map(|_| connection(&idle)).collect();
        let busy: Vec<_> = all.iter().map(Activity::begin).collect();
        assert!(!idle.close_longest_idle());
        assert!(idle.lock().connections.is_empty());
        drop(busy);
        assert_eq!(idle.lock().connections.len(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_over_leaves() {
        let idle = Arc::<IdleQueue>::default();
        let one = Arc::new(Activity::new(Timeouts::default(), Arc::clone(&idle)));
        let guard = one.enter_idle_queue();
        assert_eq!(idle.lock().connections.len(), 1);
        drop(guard);
        assert!(idle.lock().connections.is_empty());
        assert!(!idle.close_longest_idle());
    }
}
