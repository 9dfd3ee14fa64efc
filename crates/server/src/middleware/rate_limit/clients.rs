//! Clients of a rate limit: a bounded table in which every step takes constant time.
//!
//! The table holds the time at which each client has its full burst again, and is independent of rates.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::time::Instant;

/// Number of time slots. Clients are ordered by slot only, which needs no search.
const SLOTS: usize = 64;

/// List of the clients that have their full burst.
const IDLE: u32 = SLOTS as u32;

/// A client as a node in the circular list of its slot. The first `SLOTS + 1` nodes are the ends of the lists.
struct Node {
    client: IpAddr,
    until: Instant,
    before: u32,
    after: u32,
}

/// Clients with the time at which each has its full burst again.
///
/// A full table forgets the client that gains the least: one with its full burst, otherwise one of those that
/// regain it soonest. A refused client is furthest from it, and is forgotten last.
pub(super) struct Clients {
    capacity: usize,
    opened: Instant,
    /// Nanoseconds of one slot.
    width: u128,
    /// The current slot, counted from `opened`.
    current: u64,
    /// End of the current slot.
    turn: Instant,
    places: HashMap<IpAddr, u32>,
    nodes: Vec<Node>,
    /// Number of lists checked.
    #[cfg(test)]
    pub(super) steps: u64,
}

impl Clients {
    /// Creates an empty table. No client is ever further than `horizon` from its full burst.
    pub(super) fn new(capacity: usize, horizon: Duration, now: Instant) -> Self {
        // Two extra slots: one has already begun, and one is lost to rounding.
        let width = horizon.as_nanos().div_ceil(SLOTS as u128 - 2).max(1);
        let end = |at| Node {
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            until: now,
            before: at,
            after: at,
        };
        Self {
            capacity: capacity.max(1),
            opened: now,
            width,
            current: 0,
            turn: now + saturated(width),
            places: HashMap::new(),
            nodes: (0..=IDLE).map(end).collect(),
            #[cfg(test)]
            steps: 0,
        }
    }

    /// Time at which a client has its full burst again, if it is in the table.
    pub(super) fn until(&self, client: IpAddr) -> Option<Instant> {
        self.places.get(&client).map(|&at| self.node(at).until)
    }

    /// Sets the time at which a client has its full burst again.
    pub(super) fn set(&mut self, client: IpAddr, until: Instant, now: Instant) {
        self.advance(now);
        let at = match self.places.get(&client) {
            Some(&at) => {
                self.unlink(at);
                at
            }
            None => self.place(client),
        };
        let slot = self.slot(until);
        self.node_mut(at).until = until;
        self.link(at, slot);
    }

    /// Adds a client, in a new node or in that of the client forgotten for it.
    fn place(&mut self, client: IpAddr) -> u32 {
        let fresh =
            u32::try_from(self.nodes.len()).ok().filter(|_| self.places.len() < self.capacity);
        let at = match fresh {
            Some(at) => {
                self.nodes.push(Node { client, until: self.opened, before: at, after: at });
                at
            }
            None => {
                let at = self.least();
                self.unlink(at);
                let forgotten = std::mem::replace(&mut self.node_mut(at).client, client);
                self.places.remove(&forgotten);
                at
            }
        };
        self.places.insert(client, at);
        at
    }

    /// The client that gains the least by being forgotten.
    fn least(&mut self) -> u32 {
        let current = self.current;
        let ahead = (0..SLOTS as u64).map(|n| list(current.wrapping_add(n)));
        for end in std::iter::once(IDLE).chain(ahead) {
            #[cfg(test)]
            {
                self.steps += 1;
            }
            let first = self.node(end).after;
            if first != end {
                return first;
            }
        }
        // A full table has clients, so some list has one.
        IDLE
    }

    /// Moves the clients of past slots to the idle ones.
    fn advance(&mut self, now: Instant) {
        if now < self.turn {
            return;
        }
        let elapsed = now.saturating_duration_since(self.opened).as_nanos();
        let number = u64::try_from(elapsed / self.width).unwrap_or(u64::MAX);
        let over = number.saturating_sub(self.current).min(SLOTS as u64);
        for n in 0..over {
            self.append(list(self.current.wrapping_add(n)), IDLE);
        }
        #[cfg(test)]
        {
            self.steps += over;
        }
        self.current = number;
        self.turn = now + saturated(self.width - elapsed % self.width);
    }

    fn slot(&self, until: Instant) -> u32 {
        let number = until.saturating_duration_since(self.opened).as_nanos() / self.width;
        // Two threads may read the clock in another order than they take the lock.
        list(u64::try_from(number).unwrap_or(u64::MAX).max(self.current))
    }

    fn link(&mut self, at: u32, end: u32) {
        let last = std::mem::replace(&mut self.node_mut(end).before, at);
        self.node_mut(last).after = at;
        let node = self.node_mut(at);
        (node.before, node.after) = (last, end);
    }

    fn unlink(&mut self, at: u32) {
        let (before, after) = (self.node(at).before, self.node(at).after);
        self.node_mut(before).after = after;
        self.node_mut(after).before = before;
    }

    /// Appends all nodes of one list to another.
    fn append(&mut self, from: u32, to: u32) {
        let (first, last) = (self.node(from).after, self.node(from).before);
        if first == from {
            return;
        }
        let tail = std::mem::replace(&mut self.node_mut(to).before, last);
        self.node_mut(tail).after = first;
        self.node_mut(first).before = tail;
        self.node_mut(last).after = to;
        let end = self.node_mut(from);
        (end.before, end.after) = (from, from);
    }

    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }
}

/// List of a slot.
fn list(number: u64) -> u32 {
    (number % SLOTS as u64) as u32
}

fn saturated(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Clients {
        /// Clients of one list, checked to be linked both ways.
        fn of(&self, end: u32) -> Vec<u32> {
            let (mut all, mut at) = (Vec::new(), end);
            loop {
                let next = self.node(at).after;
                assert_eq!(self.node(next).before, at);
                if next == end {
                    return all;
                }
                all.push(next);
                at = next;
            }
        }

        /// Checks that every client is in exactly one list, and that the clients of the idle list have their full
        /// burst.
        pub(in super::super) fn check(&self) {
            let mut all: Vec<u32> = (0..=IDLE).flat_map(|end| self.of(end)).collect();
            assert!(all.len() <= self.capacity, "{} clients", all.len());
            all.sort_unstable();
            let mut known: Vec<u32> = self.places.values().copied().collect();
            known.sort_unstable();
            assert_eq!(all, known);
            for at in self.of(IDLE) {
                assert!(self.node(at).until <= self.turn);
            }
        }
    }

    fn client(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(n))
    }

    #[test]
    fn full_table_evicts_the_client_nearest_to_full() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut clients = Clients::new(3, 60 * second, start);
        for (n, seconds) in [(1, 50), (2, 10), (3, 30)] {
            clients.set(client(n), start + seconds * second, start);
        }
        clients.set(client(4), start + 20 * second, start);
        assert_eq!(clients.until(client(2)), None);
        // At 25 s the fourth client has its full burst again, before all others.
        clients.set(client(5), start + 26 * second, start + 25 * second);
        assert_eq!(clients.until(client(4)), None);
        clients.set(client(6), start + 90 * second, start + 40 * second);
        clients.set(client(7), start + 90 * second, start + 40 * second);
        let known: Vec<u32> = (1..=7).filter(|&n| clients.until(client(n)).is_some()).collect();
        assert_eq!(known, [1, 6, 7]);
        clients.check();
    }

    #[test]
    fn long_pauses_and_horizons_work() {
        let start = Instant::now();
        let year = Duration::from_secs(365 * 86_400);
        let mut clients = Clients::new(2, 2000 * year, start);
        clients.set(client(1), start + 1000 * year, start);
        clients.set(client(2), start + year, start);
        clients.set(client(3), start + 3 * year, start + 2 * year);
        assert_eq!(clients.until(client(1)), Some(start + 1000 * year));
        let mut endless = Clients::new(1, Duration::MAX, start);
        endless.set(client(1), start + 1000 * year, start);
        endless.set(client(2), start + year, start + 1000 * year);
        assert_eq!(endless.until(client(1)), None);
        let mut brief = Clients::new(2, Duration::ZERO, start);
        brief.set(client(1), start, start);
        brief.set(client(2), start + year, start + year);
        brief.set(client(3), start + year, start + year);
        assert_eq!(brief.until(client(1)), None);
        for table in [clients, endless, brief] {
            table.check();
        }
    }
}
