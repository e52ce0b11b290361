//! Who holds how many bytes, and who waits for some. Pure.
//!
//! First come, first served. What is more than there is at all is given to somebody who holds it
//! alone: a document may be larger than the whole account.

use std::collections::VecDeque;

/// Names somebody who waits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct WaiterId(pub(super) u64);

/// What becomes of a request for bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    Granted,
    Waits(WaiterId),
}

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Ledger {
    held: usize,
    next: u64,
    waiting: VecDeque<(WaiterId, usize)>,
}

impl Ledger {
    /// The bytes that are held.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Whether others wait, or more is held than the account has now.
    pub(super) fn is_short(&self, capacity: usize) -> bool {
        !self.waiting.is_empty() || self.held > capacity
    }

    /// Takes `bytes` if nobody waits and they are there.
    pub(super) fn try_take(&mut self, bytes: usize, capacity: usize) -> bool {
        let granted = self.waiting.is_empty() && self.fits(bytes, capacity);
        if granted {
            self.held += bytes;
        }
        granted
    }

    /// Takes `bytes`, or waits for them.
    pub(super) fn ask(&mut self, bytes: usize, capacity: usize) -> Answer {
        if self.try_take(bytes, capacity) {
            return Answer::Granted;
        }
        let id = WaiterId(self.next);
        self.next += 1;
        self.waiting.push_back((id, bytes));
        Answer::Waits(id)
    }

    /// Gives `bytes` back. Call [`Ledger::next`] afterwards.
    pub(super) const fn give_back(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// Somebody waits no more. Call [`Ledger::next`] afterwards.
    pub(super) fn give_up(&mut self, id: WaiterId) {
        self.waiting.retain(|(waiter, _)| *waiter != id);
    }

    /// The next one whose turn has come, who holds the bytes from now on. Call it until it returns
    /// `None`, whenever bytes or places in the queue became free or the capacity changed.
    pub(super) fn next(&mut self, capacity: usize) -> Option<(WaiterId, usize)> {
        let (id, bytes) = *self.waiting.front()?;
        if !self.fits(bytes, capacity) {
            return None;
        }
        self.waiting.pop_front();
        self.held += bytes;
        Some((id, bytes))
    }

    const fn fits(&self, bytes: usize, capacity: usize) -> bool {
        self.held == 0 || self.held.saturating_add(bytes) <= capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Step {
        /// Asks for bytes and gets them.
        Takes(usize),
        /// Asks for bytes and waits.
        Waits(usize),
        GivesBack(usize),
        GivesUp(u64),
        /// The capacity from now on.
        Capacity(usize),
        /// Who gets bytes next, in order.
        Next(&'static [u64]),
        Held(usize, bool),
    }

    use Step::{Capacity, GivesBack, GivesUp, Held, Next, Takes, Waits};

    fn play(steps: &[Step]) {
        let (mut ledger, mut capacity) = (Ledger::default(), 10);
        for (at, step) in steps.iter().enumerate() {
            match *step {
                Takes(bytes) => assert_eq!(ledger.ask(bytes, capacity), Answer::Granted, "{at}"),
                Waits(bytes) => {
                    let id = WaiterId(ledger.next);
                    assert_eq!(ledger.ask(bytes, capacity), Answer::Waits(id), "{at}");
                    assert!(!ledger.try_take(0, capacity), "{at}: nobody overtakes");
                }
                GivesBack(bytes) => ledger.give_back(bytes),
                GivesUp(id) => ledger.give_up(WaiterId(id)),
                Capacity(bytes) => capacity = bytes,
                Next(expected) => {
                    let next: Vec<_> = std::iter::from_fn(|| ledger.next(capacity)).collect();
                    let next: Vec<_> = next.iter().map(|(id, _)| id.0).collect();
                    assert_eq!(next, expected, "{at}");
                }
                Held(bytes, short) => {
                    assert_eq!((ledger.held(), ledger.is_short(capacity)), (bytes, short), "{at}");
                }
            }
        }
    }

    #[test]
    fn those_who_wait_are_served_in_their_order() {
        play(&[
            Takes(6),
            Takes(4),
            Waits(8),
            Waits(1),
            Held(10, true),
            GivesBack(4),
            // One byte would fit, but the first in the queue needs eight.
            Next(&[]),
            GivesBack(6),
            Next(&[0, 1]),
            Held(9, false),
        ]);
    }

    #[test]
    fn what_is_larger_than_the_account_is_held_alone() {
        play(&[Takes(25), Held(25, true), Waits(1), Next(&[]), GivesBack(25), Next(&[0])]);
        play(&[Takes(1), Waits(25), GivesBack(1), Next(&[0]), Held(25, true)]);
    }

    #[test]
    fn whoever_gives_up_makes_room_for_the_next() {
        play(&[Takes(6), Waits(20), Waits(2), GivesUp(0), Next(&[1]), Held(8, false)]);
    }

    #[test]
    fn the_capacity_may_change_at_any_time() {
        play(&[Takes(6), Waits(6), Next(&[]), Capacity(12), Next(&[0]), Held(12, false)]);
        play(&[Takes(6), Capacity(2), Held(6, true), GivesBack(6), Takes(2), Waits(1)]);
    }
}
