//! The comparison of one vBucket: pass after pass until every key was looked at, and what seemed to
//! differ did so a second time.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbId};

use crate::pass::{Aim, Found, Pass, Passed};
use crate::{
    Advance, Change, Class, Counts, Difference, Facts, History, Side, Snapshot, compare_logs,
    log_text,
};

/// How often in succession a vBucket is read anew until it counts as unreadable or unsettled.
const TRIES: u32 = 5;

/// What follows a pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Another pass at once.
    Again,
    /// Another pass, once both nodes have what one of them has now. `rest` counts the failures in
    /// succession: the more, the later.
    Later {
        /// 0 where nothing failed.
        rest: u32,
    },
    /// The comparison of the vBucket is over.
    Done,
}

/// Why a side could not be read to the end of its snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The side.
    pub side: Side,
    /// Whether the node does not have the vBucket.
    pub absent: bool,
    /// What happened.
    pub what: String,
}

/// What both nodes must have at least, so that a pass says something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pin {
    /// The higher one of both high seqnos at a moment before the pass.
    pub seqno: Seqno,
    /// A node did not get there in time: no longer waited for.
    pub late: bool,
}

/// See the module. The shell opens both streams and calls, in this order, [`Vbucket::begin`],
/// [`Vbucket::ends`] for a side that has a marker, [`Vbucket::step`] until both sides have ended,
/// [`Vbucket::ends`] and [`Vbucket::finish`]; or [`Vbucket::failed`] at any moment.
#[derive(Debug)]
pub struct Vbucket {
    vb: VbId,
    names: [String; 2],
    bytes_max: usize,
    /// The least hash that was not searched yet.
    first: u64,
    /// What is to be confirmed: the hashes, and the failover logs of the search.
    doubt: Option<Doubt>,
    pass: Pass,
    logs: [Vec<FailoverEntry>; 2],
    /// The least pin since the last success.
    pin: Option<Seqno>,
    tries: u32,
    counts: Counts,
    history_told: bool,
}

#[derive(Debug)]
struct Doubt {
    candidates: BTreeSet<u64>,
    /// The last hash of the search.
    last: u64,
    counts: Counts,
    logs: [Vec<FailoverEntry>; 2],
}

impl Vbucket {
    /// Nothing was read yet. `bytes_max` bounds what is kept of keys.
    #[must_use]
    pub fn new(vb: VbId, a: &str, b: &str, bytes_max: usize) -> Self {
        let names = [a.to_owned(), b.to_owned()];
        let pass = Pass::new(Aim::Search { first: 0, last: u64::MAX }, names.clone(), bytes_max);
        Self {
            vb,
            names,
            bytes_max,
            first: 0,
            doubt: None,
            pass,
            logs: [Vec::new(), Vec::new()],
            pin: None,
            tries: 0,
            counts: Counts::default(),
            history_told: false,
        }
    }

    /// Both streams of a new pass are open.
    pub fn begin(&mut self, a_log: Vec<FailoverEntry>, b_log: Vec<FailoverEntry>) {
        let aim = match &self.doubt {
            Some(doubt) => Aim::Confirm(doubt.candidates.clone()),
            None => Aim::Search { first: self.first, last: u64::MAX },
        };
        self.pass = Pass::new(aim, self.names.clone(), self.bytes_max);
        if let History::Parted { at } = compare_logs(&a_log, &b_log) {
            self.pass.facts().parted_at = Some(at);
        }
        self.logs = [a_log, b_log];
    }

    /// The snapshot of a side ends here: as its marker says, and once it was read, its last seqno.
    pub const fn ends(&mut self, side: Side, end: Seqno) {
        self.snapshot(side).end = end;
    }

    /// The purge seqno of a side, read after the end of its snapshot; wanted where
    /// [`Vbucket::asks_for_purge`].
    pub const fn purge(&mut self, side: Side, seqno: Seqno) {
        self.snapshot(side).purge = seqno;
    }

    /// Whether the purge seqnos can make a difference.
    #[must_use]
    pub fn asks_for_purge(&self) -> bool {
        self.pass.asks_for_purge()
    }

    const fn snapshot(&mut self, side: Side) -> &mut Snapshot {
        let facts = self.pass.facts();
        match side {
            Side::A => &mut facts.a,
            Side::B => &mut facts.b,
        }
    }

    /// Compares the next change of each side; `None` for a side that has no more. Returns what to
    /// read next.
    pub fn step(&mut self, a: Option<&Change<'_>>, b: Option<&Change<'_>>) -> Advance {
        self.pass.step(a, b)
    }

    /// Keys that were compared so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// A side could not be read to its end. What was read is void.
    pub fn failed(&mut self, failure: &Failure, out: &mut Vec<Difference>) -> Verdict {
        let Failure { side, absent, what } = failure;
        let [a, b] = &self.names;
        let node = if *side == Side::A { a } else { b };
        let class = if *absent { Class::Absent } else { Class::Unreadable };
        self.retry(class, format!("could not be read from {node}: {what}"), out)
    }

    /// Both sides were read to their end.
    pub fn finish(&mut self, pin: Pin, out: &mut Vec<Difference>) -> Verdict {
        let next = Pass::new(Aim::Search { first: 0, last: 0 }, self.names.clone(), 0);
        let mut pass = std::mem::replace(&mut self.pass, next);
        let facts = *pass.facts();
        let Passed { aim, candidates, found, counts, unknown, disorder } = pass.finish();
        if let Some(side) = disorder {
            let what = "its seqnos do not ascend".to_owned();
            return self.failed(&Failure { side, absent: false, what }, out);
        }
        let least = *self.pin.get_or_insert(pin.seqno);
        let is_behind = facts.a.end.min(facts.b.end) < least && facts.parted_at.is_none();
        if is_behind && !pin.late {
            // The node has it, and not yet on its disk.
            return self.retry(Class::Behind, self.behind(&facts, least), out);
        }
        if unknown {
            let what = "deletions are purged faster than both nodes can be read, so keys that one \
                        of them lacks cannot be judged";
            return self.retry(Class::Unsettled, what.to_owned(), out);
        }
        let (last, counts) = match aim {
            Aim::Search { last, .. } => {
                let differs = !candidates.is_empty() || self.has_history_to_tell();
                if differs {
                    let logs = self.logs.clone();
                    self.doubt = Some(Doubt { candidates, last, counts, logs });
                    self.succeeded();
                    return if pin.late { Verdict::Again } else { Verdict::Later { rest: 0 } };
                }
                (last, counts)
            }
            Aim::Confirm(_) => match self.doubt.take() {
                Some(doubt) if doubt.logs == self.logs => {
                    self.tell(found, out);
                    (doubt.last, doubt.counts)
                }
                _ => {
                    let what = "its failover logs change while it is compared".to_owned();
                    return self.retry(Class::Unsettled, what, out);
                }
            },
        };
        self.succeeded();
        self.counts.rows += counts.rows;
        self.counts.deletions += counts.deletions;
        if let Some(first) = last.checked_add(1) {
            self.first = first;
            return Verdict::Again;
        }
        if is_behind {
            let what = self.behind(&facts, least);
            out.push(Difference::of_vbucket(self.vb, Class::Behind, what));
        }
        Verdict::Done
    }

    /// Takes the differences found so far by a pass that confirms. They hold unless the failover
    /// logs have changed since the search.
    pub fn take_found(&mut self, out: &mut Vec<Difference>) {
        let Some(doubt) = self.doubt.as_mut().filter(|doubt| doubt.logs == self.logs) else {
            return;
        };
        let found = self.pass.take_found();
        // If the pass fails, the next one must not find them again.
        for Found { hash, .. } in &found {
            doubt.candidates.remove(hash);
        }
        self.tell_keys(found, out);
    }

    const fn succeeded(&mut self) {
        self.tries = 0;
        self.pin = None;
    }

    fn retry(&mut self, class: Class, what: String, out: &mut Vec<Difference>) -> Verdict {
        self.tries += 1;
        if self.tries < TRIES {
            return Verdict::Later { rest: self.tries };
        }
        out.push(Difference::of_vbucket(self.vb, class, what));
        Verdict::Done
    }

    fn has_history_to_tell(&self) -> bool {
        let [a, b] = &self.logs;
        !self.history_told && compare_logs(a, b) != History::Same
    }

    fn tell(&mut self, found: Vec<Found>, out: &mut Vec<Difference>) {
        if self.has_history_to_tell() {
            self.history_told = true;
            let ([a, b], [here, there]) = (&self.logs, &self.names);
            let (a_text, b_text) = (log_text(a), log_text(b));
            let mut what = format!("failover log is {a_text} on {here} and {b_text} on {there}");
            if let History::Parted { at } = compare_logs(a, b) {
                // Writing to a string does not fail.
                _ = write!(what, "; the histories part after seqno {at}");
            }
            out.push(Difference::of_vbucket(self.vb, Class::History, what));
        }
        self.tell_keys(found, out);
    }

    fn tell_keys(&self, found: Vec<Found>, out: &mut Vec<Difference>) {
        out.extend(found.into_iter().filter_map(|found| self.difference(found)));
    }

    fn difference(&self, found: Found) -> Option<Difference> {
        let class = *found.fields.first()?;
        let what = in_words(&found, class, &self.names);
        let Found { key, a, b, fields, .. } = found;
        Some(Difference { vb: self.vb, class, fields, key: Some(key), a, b, what })
    }

    fn behind(&self, facts: &Facts, pin: Seqno) -> String {
        let [here, there] = &self.names;
        let (a, b) = (facts.a.end, facts.b.end);
        let (node, end) = if a < b { (here, a) } else { (there, b) };
        format!("{node} is behind: it has seqno {end}, and {pin} was reached on the other node")
    }
}

/// What was found of a key, with the names of the nodes.
fn in_words(found: &Found, class: Class, [here, there]: &[String; 2]) -> String {
    let Found { key, a, b, words, .. } = found;
    let title = |version: &crate::Version| {
        let deletion = if version.deleted { "deletion of " } else { "" };
        format!("seqno {}, {deletion}key {key:?}", version.seqno)
    };
    match (a, b) {
        (Some(a), Some(_)) if !words.is_empty() => format!("{}: {}", title(a), words.join("; ")),
        (Some(a), Some(b)) => {
            let kind = |version: &crate::Version| {
                if version.deleted { " (a deletion)" } else { "" }
            };
            let (a_kind, b_kind) = (kind(a), kind(b));
            format!(
                "key {key:?} is {class} on {there}: seqno {}{b_kind}, and {}{a_kind} on {here}",
                b.seqno, a.seqno
            )
        }
        (Some(only), None) => format!("{} is on {here} and not on {there}", title(only)),
        (None, Some(only)) => format!("{} is on {there} and not on {here}", title(only)),
        (None, None) => format!("key {key:?} differs"),
    }
}
