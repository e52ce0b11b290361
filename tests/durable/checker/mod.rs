//! Whether a recorded history of one key is linearizable: whether there is an order of its
//! operations, each at one moment between its start and its end, that a register explains.
//!
//! Pure. The search is that of Wing and Gong, with the memo of Lowe: what matters of a prefix is
//! which operations are in it and the state after it. An operation whose outcome nobody knows has
//! no end: it is in the order at any place after its start, or in none.

mod done;
mod tests;

use std::collections::HashSet;

use done::Done;

/// What the register holds: the number of a value, `None` where there is no document.
pub(crate) type State = Option<u64>;

/// What an operation says of the state before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Needs {
    Nothing,
    Is(State),
    Not(State),
}

/// One operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) start: u64,
    /// `None` where it is not known whether and when it took effect.
    pub(crate) end: Option<u64>,
    pub(crate) needs: Needs,
    /// The state after it, if it is a write.
    pub(crate) sets: Option<State>,
}

impl Step {
    fn fits(&self, state: State) -> bool {
        match self.needs {
            Needs::Nothing => true,
            Needs::Is(needed) => state == needed,
            Needs::Not(refused) => state != refused,
        }
    }
}

/// Why a history is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// There is no such order. The longest one ends in this state, and none of these operations,
    /// one of which had to be next, fits there.
    NoOrder { state: State, next: Vec<usize> },
    /// The search was given up: the history is too large.
    TooLarge,
}

/// So many prefixes are looked at.
const PREFIXES_MAX: usize = 300_000;

/// A prefix of an order.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Prefix {
    done: Done,
    state: State,
}

struct Search<'a> {
    /// In the order of their starts, with their place in what the caller gave.
    steps: Vec<(usize, &'a Step)>,
    seen: HashSet<Prefix>,
    longest: (usize, Refusal),
}

/// Checks the history of one key that began with `initial`.
pub(crate) fn check(initial: State, history: &[Step]) -> Result<(), Refusal> {
    let mut steps: Vec<_> = history.iter().enumerate().collect();
    let wanted: HashSet<State> = history.iter().filter_map(wanted).collect();
    // Whatever refuses a state may need any write before it.
    let refuses = history.iter().any(|step| matches!(step.needs, Needs::Not(_)));
    let matters = |step: &Step| {
        refuses || step.end.is_some() || step.sets.is_some_and(|state| wanted.contains(&state))
    };
    steps.retain(|(_, step)| matters(step));
    steps.sort_by_key(|(_, step)| step.start);
    let longest = (0, Refusal::NoOrder { state: initial, next: Vec::new() });
    let first = Prefix { done: Done::new(steps.len()), state: initial };
    Search { steps, seen: HashSet::new(), longest }.run(first)
}

fn wanted(step: &Step) -> Option<State> {
    match step.needs {
        Needs::Is(state) => Some(state),
        Needs::Nothing | Needs::Not(_) => None,
    }
}

impl Search<'_> {
    fn run(mut self, first: Prefix) -> Result<(), Refusal> {
        let mut waiting = vec![first];
        while let Some(mut prefix) = waiting.pop() {
            let open = self.read(&mut prefix);
            if !open.iter().any(|at| self.steps[*at].1.end.is_some()) {
                return Ok(());
            }
            if self.seen.len() >= PREFIXES_MAX {
                return Err(Refusal::TooLarge);
            }
            if self.seen.insert(prefix.clone()) {
                self.note(&prefix, &open);
                waiting.extend(self.after(&prefix, &open));
            }
        }
        Err(self.longest.1)
    }

    /// The operations that can be next: those that began before any other one has ended.
    fn open(&self, done: &Done) -> Vec<usize> {
        let (mut open, mut first_end) = (Vec::new(), u64::MAX);
        for (at, (_, step)) in self.steps.iter().enumerate().skip(done.whole()) {
            if step.start > first_end {
                break;
            }
            if !done.has(at) {
                first_end = first_end.min(step.end.unwrap_or(u64::MAX));
                open.push(at);
            }
        }
        open.retain(|at| self.steps[*at].1.start < first_end);
        open
    }

    /// Takes every read that fits: it changes nothing, so no order is lost. Returns what can be
    /// next then.
    fn read(&self, prefix: &mut Prefix) -> Vec<usize> {
        loop {
            let open = self.open(&prefix.done);
            let fits = |at: &&usize| {
                let step = self.steps[**at].1;
                step.sets.is_none() && step.fits(prefix.state)
            };
            let Some(at) = open.iter().find(fits) else { return open };
            prefix.done.add(*at);
        }
    }

    /// The prefixes with one more write. Last those with one that is known to have taken effect:
    /// they are looked at first.
    fn after(&self, prefix: &Prefix, open: &[usize]) -> Vec<Prefix> {
        let mut next: Vec<usize> =
            open.iter().copied().filter(|at| self.steps[*at].1.fits(prefix.state)).collect();
        next.sort_by_key(|at| std::cmp::Reverse(self.steps[*at].1.end.unwrap_or(u64::MAX)));
        let with = |at: usize| {
            let mut done = prefix.done.clone();
            done.add(at);
            Some(Prefix { done, state: self.steps[at].1.sets? })
        };
        next.into_iter().filter_map(with).collect()
    }

    /// Remembers the longest order, to show it.
    fn note(&mut self, prefix: &Prefix, open: &[usize]) {
        if prefix.done.count() >= self.longest.0 {
            let next = open.iter().map(|at| self.steps[*at].0).collect();
            let refusal = Refusal::NoOrder { state: prefix.state, next };
            self.longest = (prefix.done.count(), refusal);
        }
    }
}
