//! Everything that clients asked for in one round and were answered, and what the checker makes of
//! it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mcbp::Status;

use crate::checker::{Needs, Refusal, State, Step, check};
use crate::keys::Key;

/// What a client asked for. Each value is written once, so that a read tells by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    Get,
    Set(u64),
    /// Only over this version of the document.
    Swap {
        old: u64,
        new: u64,
    },
    Add(u64),
    Delete,
    /// Of the collection.
    Drop,
}

/// What is known of its outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It was done. What a GET has found is in `found`.
    Done { found: State, cas: u64, seqno: u64 },
    /// It may have been done, or be done later.
    Ambiguous,
    /// It was not done, for this reason.
    Refused(Status),
}

/// One request. The times are those of the history's own clock, which orders all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) key: Key,
    pub(crate) request: Request,
    /// 0 for a plain one, else that of the durable write.
    pub(crate) level: u8,
    pub(crate) node: usize,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) outcome: Outcome,
}

impl Operation {
    /// What it says of the register; `None` for nothing.
    fn step(&self) -> Option<Step> {
        let (needs, sets) = match self.request {
            Request::Get => (Needs::Nothing, None),
            Request::Set(value) => (Needs::Nothing, Some(Some(value))),
            Request::Swap { old, new } => (Needs::Is(Some(old)), Some(Some(new))),
            Request::Add(value) => (Needs::Is(None), Some(Some(value))),
            Request::Delete => (Needs::Not(None), Some(None)),
            Request::Drop => (Needs::Nothing, Some(None)),
        };
        let (start, end) = (self.start, Some(self.end));
        let unchanged = |needs| Some(Step { start, end, needs, sets: None });
        match (self.outcome, self.request) {
            (Outcome::Done { found, .. }, Request::Get) => unchanged(Needs::Is(found)),
            (Outcome::Done { .. }, _) => Some(Step { start, end, needs, sets }),
            (Outcome::Ambiguous, Request::Get) => None,
            (Outcome::Ambiguous, _) => Some(Step { start, end: None, needs, sets }),
            (Outcome::Refused(status), request) => match (status, request) {
                (Status::KEY_ENOENT | Status::UNKNOWN_COLLECTION, _) => unchanged(Needs::Is(None)),
                (Status::KEY_EEXISTS, Request::Swap { old, .. }) => {
                    unchanged(Needs::Not(Some(old)))
                }
                (Status::KEY_EEXISTS, Request::Add(_)) => unchanged(Needs::Not(None)),
                _ => None,
            },
        }
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct History {
    clock: AtomicU64,
    operations: Mutex<Vec<Operation>>,
}

impl History {
    pub(crate) fn now(&self) -> u64 {
        self.clock.fetch_add(1, Relaxed)
    }

    pub(crate) fn add(&self, operation: Operation) {
        self.operations.lock().unwrap().push(operation);
    }

    /// How many of the requests ended in such a way.
    pub(crate) fn count(&self, is: impl Fn(&Operation) -> bool) -> usize {
        self.operations.lock().unwrap().iter().filter(|operation| is(operation)).count()
    }

    /// The operations of each key that `takes` has, in the order of their starts.
    fn by_key(&self, takes: impl Fn(Key) -> bool) -> BTreeMap<Key, Vec<Operation>> {
        let mut keys: BTreeMap<Key, Vec<Operation>> = BTreeMap::new();
        for operation in self.operations.lock().unwrap().iter().filter(|it| takes(it.key)) {
            keys.entry(operation.key).or_default().push(*operation);
        }
        keys.values_mut().for_each(|operations| operations.sort_by_key(|it| it.start));
        keys
    }

    /// Checks each key that `takes` has, which began the round as `initial` says.
    pub(crate) fn check(
        &self,
        initial: impl Fn(Key) -> State,
        takes: impl Fn(Key) -> bool,
    ) -> Result<(), String> {
        for (key, operations) in self.by_key(takes) {
            one_cas_each(&operations).map_err(|flaw| explain(key, &flaw, &operations))?;
            let known: Vec<_> = operations.iter().filter_map(|it| Some((it, it.step()?))).collect();
            let steps: Vec<Step> = known.iter().map(|(_, step)| *step).collect();
            let flaw = match check(initial(key), &steps) {
                Ok(()) => continue,
                Err(Refusal::TooLarge) => "the search is too large".to_owned(),
                Err(Refusal::NoOrder { state, next }) => {
                    let next: Vec<_> = next.into_iter().map(|at| line(known[at].0)).collect();
                    format!("at {state:?} none of these can be next:\n{}", next.join("\n"))
                }
            };
            let begin = format!("it began as {:?}; {flaw}", initial(key));
            return Err(explain(key, &begin, &operations));
        }
        Ok(())
    }
}

/// Whoever writes or reads a value is told the same CAS: it is one version of the document.
fn one_cas_each(operations: &[Operation]) -> Result<(), String> {
    let mut known = BTreeMap::new();
    for operation in operations {
        let Outcome::Done { found, cas, .. } = operation.outcome else { continue };
        let value = match operation.request {
            Request::Get => found,
            Request::Set(value) | Request::Add(value) | Request::Swap { new: value, .. } => {
                Some(value)
            }
            Request::Delete | Request::Drop => None,
        };
        let Some(value) = value else { continue };
        let first = *known.entry(value).or_insert(cas);
        if first != cas {
            return Err(format!("value {value} has CAS {first:x} and {cas:x}"));
        }
    }
    Ok(())
}

fn explain(key: Key, flaw: &str, operations: &[Operation]) -> String {
    let lines: Vec<_> = operations.iter().map(line).collect();
    format!("{key:?}: {flaw}\nIts history:\n{}", lines.join("\n"))
}

fn line(operation: &Operation) -> String {
    let Operation { request, level, node, start, end, outcome, .. } = operation;
    let outcome = match outcome {
        Outcome::Done { found, cas, seqno } => match request {
            Request::Get => format!("found {found:?} with CAS {cas:x}"),
            _ => format!("done at seqno {seqno} with CAS {cas:x}"),
        },
        other => format!("{other:?}"),
    };
    format!("{start:>6}-{end:<6} node {node} {request:?} level {level}: {outcome}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Kind;

    fn history(requests: &[(Request, Outcome)]) -> History {
        let history = History::default();
        let key = Key::all(Kind::Hot).next().unwrap();
        for (request, outcome) in requests.iter().copied() {
            let (start, end) = (history.now(), history.now());
            history.add(Operation { key, request, level: 1, node: 0, start, end, outcome });
        }
        history
    }

    const fn done(found: State, cas: u64) -> Outcome {
        Outcome::Done { found, cas, seqno: 1 }
    }

    #[test]
    fn what_clients_were_told_is_checked_by_key() {
        let (first, second) = ((Request::Set(1), done(None, 7)), (Request::Set(2), done(None, 8)));
        let reads = |value, cas| (Request::Get, done(value, cas));
        let check = |requests: &[_]| history(requests).check(|_| None, |_| true);
        assert_eq!(check(&[first, reads(Some(1), 7), second, reads(Some(2), 8)]), Ok(()));
        let ambiguous = (Request::Set(2), Outcome::Ambiguous);
        assert_eq!(check(&[first, ambiguous, reads(Some(1), 7), reads(Some(2), 8)]), Ok(()));
        let blocked = Outcome::Refused(Status::SYNC_WRITE_IN_PROGRESS);
        assert_eq!(check(&[first, (Request::Set(2), blocked), reads(Some(1), 7)]), Ok(()));
        for (flaw, requests) in [
            ("at Some(2) none", vec![first, second, reads(Some(1), 7)]),
            ("at Some(1) none", vec![first, reads(None, 0)]),
            ("at Some(1) none", vec![first, (Request::Add(2), done(None, 8))]),
            ("at Some(1) none", vec![first, (Request::Set(2), blocked), reads(Some(2), 8)]),
            ("value 1 has CAS 7 and 9", vec![first, reads(Some(1), 9)]),
        ] {
            let refused = check(&requests).unwrap_err();
            assert!(refused.contains(flaw), "{flaw}: {refused}");
        }
    }
}
