//! First-in, first-out queue of waiting callers. Pure: no lock, clock or worker; it returns wakers for its caller
//! to wake.
//!
//! A waiter stays in the queue until it is granted something or refused. It then leaves the queue but keeps its
//! slot until its owner has read the answer ([`Queue::poll`]) or given up ([`Queue::remove`]). Exactly one of the
//! two happens, so no grant is lost.

use std::task::{Context, Poll, Waker};

use slab::Slab;

/// Key of a waiter's slot. Not `Copy`: its holder owns the slot.
#[derive(Debug)]
pub(crate) struct Ticket(usize);

/// First-in, first-out queue; each waiter is eventually granted a `T` or refused.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    slots: Slab<Waiter<T>>,
    head: Option<usize>,
    tail: Option<usize>,
    waiting: usize,
    held: usize,
}

#[derive(Debug)]
struct Waiter<T> {
    answer: Answer<T>,
    waker: Option<Waker>,
    /// Workers of the same pool that are blocked until this waiter is served.
    held: usize,
    prev: Option<usize>,
    next: Option<usize>,
}

#[derive(Debug)]
enum Answer<T> {
    Pending,
    Granted(T),
    Refused,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Slab::new(), head: None, tail: None, waiting: 0, held: 0 }
    }

    /// Number of waiters.
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    /// Number of workers that are blocked until the waiters are served.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Joins the end of the queue; `waker` is returned with the grant.
    pub(crate) fn push(&mut self, held: usize, waker: Waker) -> Ticket {
        let waker = Some(waker);
        let waiter = Waiter { answer: Answer::Pending, waker, held, prev: self.tail, next: None };
        let key = self.slots.insert(waiter);
        match self.tail.and_then(|tail| self.slots.get_mut(tail)) {
            Some(last) => last.next = Some(key),
            None => self.head = Some(key),
        }
        self.tail = Some(key);
        self.waiting += 1;
        self.held += held;
        Ticket(key)
    }

    /// Grants to the first waiter. The caller wakes the returned waker after it released its lock.
    ///
    /// # Errors
    /// Returns the grant if there is no waiter.
    pub(crate) fn grant(&mut self, grant: T) -> Result<Option<Waker>, T> {
        let Some(key) = self.head else { return Err(grant) };
        self.unlink(key);
        match self.slots.get_mut(key) {
            Some(waiter) => {
                waiter.answer = Answer::Granted(grant);
                Ok(waiter.waker.take())
            }
            None => Err(grant),
        }
    }

    /// Refuses all waiters and returns their wakers.
    pub(crate) fn refuse_all(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(key) = self.head {
            self.unlink(key);
            if let Some(waiter) = self.slots.get_mut(key) {
                waiter.answer = Answer::Refused;
                wakers.extend(waiter.waker.take());
            }
        }
        wakers
    }

    /// The answer to `ticket`: `Some(grant)`, or `None` if the waiter was refused; either frees the slot. While
    /// pending, the task is registered to be woken, and a replaced waker goes to `old`.
    pub(crate) fn poll(
        &mut self,
        ticket: &Ticket,
        cx: &Context<'_>,
        old: &mut Option<Waker>,
    ) -> Poll<Option<T>> {
        let Some(waiter) = self.slots.get_mut(ticket.0) else { return Poll::Ready(None) };
        if matches!(waiter.answer, Answer::Pending) {
            if !waiter.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *old = waiter.waker.replace(cx.waker().clone());
            }
            return Poll::Pending;
        }
        match self.slots.remove(ticket.0).answer {
            Answer::Granted(grant) => Poll::Ready(Some(grant)),
            Answer::Pending | Answer::Refused => Poll::Ready(None),
        }
    }

    /// Removes a waiter, with a grant that it has not read yet. The caller drops the waker after it released its
    /// lock.
    pub(crate) fn remove(&mut self, ticket: &Ticket) -> (Option<T>, Option<Waker>) {
        let Some(waiter) = self.slots.get(ticket.0) else { return (None, None) };
        if matches!(waiter.answer, Answer::Pending) {
            self.unlink(ticket.0);
        }
        let waiter = self.slots.remove(ticket.0);
        match waiter.answer {
            Answer::Granted(grant) => (Some(grant), waiter.waker),
            Answer::Pending | Answer::Refused => (None, waiter.waker),
        }
    }

    fn unlink(&mut self, key: usize) {
        let Some(waiter) = self.slots.get_mut(key) else { return };
        let (prev, next) = (waiter.prev.take(), waiter.next.take());
        self.waiting -= 1;
        self.held -= waiter.held;
        match prev.and_then(|prev| self.slots.get_mut(prev)) {
            Some(waiter) => waiter.next = next,
            None => self.head = next,
        }
        match next.and_then(|next| self.slots.get_mut(next)) {
            Some(waiter) => waiter.prev = prev,
            None => self.tail = prev,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(queue: &mut Queue<u32>, ticket: &Ticket) -> Poll<Option<u32>> {
        queue.poll(ticket, &Context::from_waker(Waker::noop()), &mut None)
    }

    #[test]
    fn grants_skip_waiters_that_left() {
        let mut queue = Queue::new();
        let [a, b, c, d] = [0, 1, 2, 0].map(|held| queue.push(held, Waker::noop().clone()));
        assert_eq!((queue.len(), queue.held()), (4, 3));
        assert_eq!(queue.remove(&b).0, None);
        assert_eq!((queue.len(), queue.held()), (3, 2));
        assert!(queue.grant(1).is_ok() && queue.grant(2).is_ok());
        assert_eq!(look(&mut queue, &d), Poll::Pending);
        assert_eq!(look(&mut queue, &c), Poll::Ready(Some(2)));
        assert_eq!(look(&mut queue, &a), Poll::Ready(Some(1)));
        assert_eq!(queue.remove(&d).0, None);
        assert_eq!(queue.grant(3).err(), Some(3), "no waiter is left");
        assert!(queue.slots.is_empty());
    }

    #[test]
    fn leaving_after_the_grant_returns_it() {
        let mut queue = Queue::new();
        let ticket = queue.push(0, Waker::noop().clone());
        assert!(queue.grant(7).is_ok());
        assert_eq!(queue.remove(&ticket).0, Some(7));
        assert!(queue.slots.is_empty());
    }

    #[test]
    fn all_waiters_are_refused_once() {
        let mut queue = Queue::new();
        let [a, b] = [0, 5].map(|held| queue.push(held, Waker::noop().clone()));
        assert_eq!(queue.refuse_all().len(), 2);
        assert_eq!((queue.len(), queue.held()), (0, 0));
        assert_eq!(look(&mut queue, &a), Poll::Ready(None));
        assert_eq!(queue.remove(&b).0, None);
        assert!(queue.slots.is_empty());
    }
}
