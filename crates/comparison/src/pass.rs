//! One pass over both snapshots of a vBucket. Changes come in the order of their seqnos; a pair of
//! one seqno and one key is decided at once. The others wait by key for that of the other side, in
//! bounded memory: where that is full, the pass goes on with fewer hashes of keys, and another
//! pass has to follow for the others.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use mcbp::Seqno;
use xxhash_rust::xxh3::Xxh3;

use crate::change::fields;
use crate::{Change, Facts, Judgement, Key, Side, Version};

/// What the map takes for an entry, besides the bytes of the key.
const ENTRY_BYTES: usize = 160;
/// What a candidate is counted as: what it takes in the map of the pass that confirms it.
const CANDIDATE_BYTES: usize = 320;

/// Which of the two changes was compared, and is to be replaced by the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advance {
    /// The one of A.
    pub a: bool,
    /// The one of B.
    pub b: bool,
}

/// What a pass looks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Aim {
    /// Keys that seem to differ, among those whose hash is in this range, ends included.
    Search { first: u64, last: u64 },
    /// Whether keys with these hashes still differ.
    Confirm(BTreeSet<u64>),
}

/// What both sides have had of a key so far.
#[derive(Clone, Copy, Debug, Default)]
struct Versions {
    a: Option<Version>,
    b: Option<Version>,
}

/// A key that differs, in a pass that confirms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) hash: u64,
    pub(crate) key: Key,
    pub(crate) a: Option<Version>,
    pub(crate) b: Option<Version>,
    pub(crate) fields: Vec<crate::Class>,
    /// The fields of two changes of one seqno, in words; empty for other differences.
    pub(crate) words: Vec<String>,
}

/// How many keys were compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Keys.
    pub rows: u64,
    /// Keys whose newest change is a deletion.
    pub deletions: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pass {
    aim: Aim,
    names: [String; 2],
    facts: Facts,
    /// Keys that one side alone has had so far, and those that both have at different seqnos and
    /// that may be differences; by hash and key.
    open: BTreeMap<(u64, Key), Versions>,
    open_bytes: usize,
    bytes_max: usize,
    /// What seems to differ, in a pass that searches.
    candidates: BTreeSet<u64>,
    found: Vec<Found>,
    counts: Counts,
    unknown: bool,
    last: [Seqno; 2],
    disorder: Option<Side>,
}

/// The result of a pass.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) aim: Aim,
    pub(crate) candidates: BTreeSet<u64>,
    pub(crate) found: Vec<Found>,
    pub(crate) counts: Counts,
    /// Whether a key could not be judged: both snapshots are too far apart.
    pub(crate) unknown: bool,
    /// The side whose changes were not in the order of their seqnos.
    pub(crate) disorder: Option<Side>,
}

impl Pass {
    pub(crate) fn new(aim: Aim, names: [String; 2], bytes_max: usize) -> Self {
        Self {
            aim,
            names,
            facts: Facts::default(),
            open: BTreeMap::new(),
            open_bytes: 0,
            bytes_max,
            candidates: BTreeSet::new(),
            found: Vec::new(),
            counts: Counts::default(),
            unknown: false,
            last: [Seqno::ZERO; 2],
            disorder: None,
        }
    }

    /// What is known before the first change; the purge seqnos come at the end.
    pub(crate) const fn facts(&mut self) -> &mut Facts {
        &mut self.facts
    }

    /// Compares the next change of each side; `None` for a side that has no more. Returns what to
    /// read next.
    pub(crate) fn step(&mut self, a: Option<&Change<'_>>, b: Option<&Change<'_>>) -> Advance {
        match (a, b) {
            (None, None) => Advance { a: false, b: false },
            (Some(a), None) => self.only(Side::A, a),
            (None, Some(b)) => self.only(Side::B, b),
            (Some(a), Some(b)) => match a.seqno.cmp(&b.seqno) {
                Ordering::Less => self.only(Side::A, a),
                Ordering::Greater => self.only(Side::B, b),
                Ordering::Equal => self.both(a, b),
            },
        }
    }

    fn both(&mut self, a: &Change<'_>, b: &Change<'_>) -> Advance {
        if a.key != b.key || a.collection != b.collection {
            self.only(Side::A, a);
            self.only(Side::B, b);
            return Advance { a: true, b: true };
        }
        self.ordered(Side::A, a.seqno);
        self.ordered(Side::B, b.seqno);
        // Every pass meets it; the first one counts it.
        if matches!(self.aim, Aim::Search { first: 0, .. }) {
            self.count(a.is_document() || b.is_document());
        }
        if a != b {
            self.differ(a, b);
        }
        Advance { a: true, b: true }
    }

    /// Two changes of one seqno and one key that are not equal.
    fn differ(&mut self, a: &Change<'_>, b: &Change<'_>) {
        let hash = hash(a);
        match &mut self.aim {
            Aim::Search { first, last } => {
                if (*first..=*last).contains(&hash) {
                    self.candidates.insert(hash);
                    self.fit();
                }
            }
            Aim::Confirm(candidates) => {
                if candidates.contains(&hash) {
                    let fields = fields(a, b);
                    let [here, there] = &self.names;
                    let words = fields.iter().map(|field| field.say(here, there)).collect();
                    let fields = fields.iter().map(|field| field.class).collect();
                    let (key, a, b) = (a.owned_key(), Some(a.version()), Some(b.version()));
                    self.found.push(Found { hash, key, a, b, fields, words });
                }
            }
        }
    }

    fn only(&mut self, side: Side, change: &Change<'_>) -> Advance {
        self.ordered(side, change.seqno);
        let hash = hash(change);
        if self.is_wanted(hash) {
            let (key, version) = ((hash, change.owned_key()), change.version());
            let bytes = ENTRY_BYTES + key.1.key.len();
            let versions = match self.open.entry(key) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    self.open_bytes += bytes;
                    entry.insert(Versions::default())
                }
            };
            match side {
                Side::A => versions.a = Some(version),
                Side::B => versions.b = Some(version),
            }
            self.settle(hash, change);
            self.fit();
        }
        Advance { a: side == Side::A, b: side == Side::B }
    }

    /// Forgets a key that both sides have and that is no difference. The snapshots can only turn
    /// out to end before what their markers say, which makes no difference of it.
    fn settle(&mut self, hash: u64, change: &Change<'_>) {
        let key = (hash, change.owned_key());
        if let Some(&Versions { a: a @ Some(_), b: b @ Some(_) }) = self.open.get(&key)
            && self.facts.judge(a, b) == Judgement::Fine
        {
            self.open.remove(&key);
            self.open_bytes -= ENTRY_BYTES + key.1.key.len();
            self.count([a, b].into_iter().flatten().any(|version| !version.deleted));
        }
    }

    fn is_wanted(&self, hash: u64) -> bool {
        match &self.aim {
            Aim::Search { first, last } => (*first..=*last).contains(&hash),
            Aim::Confirm(candidates) => candidates.contains(&hash),
        }
    }

    /// Seqnos of a snapshot ascend, and the merge depends on it.
    fn ordered(&mut self, side: Side, seqno: Seqno) {
        let [a, b] = &mut self.last;
        let last = if side == Side::A { a } else { b };
        if seqno <= *last {
            self.disorder = self.disorder.or(Some(side));
        }
        *last = seqno;
    }

    const fn count(&mut self, is_document: bool) {
        self.counts.rows += 1;
        self.counts.deletions += !is_document as u64;
    }

    fn decide(&mut self, key: (u64, Key), a: Option<Version>, b: Option<Version>) {
        self.count([a, b].into_iter().flatten().any(|version| !version.deleted));
        match (self.facts.judge(a, b), &mut self.aim) {
            (Judgement::Fine, _) => {}
            (Judgement::Unknown, _) => self.unknown = true,
            (Judgement::Differs(_), Aim::Search { .. }) => {
                self.candidates.insert(key.0);
            }
            (Judgement::Differs(class), Aim::Confirm(_)) => {
                let words = Vec::new();
                let (hash, key) = key;
                self.found.push(Found { hash, key, a, b, fields: vec![class], words });
            }
        }
    }

    /// Halves the range of hashes until what is kept fits. Candidates of a pass that confirms are
    /// few enough by themselves.
    fn fit(&mut self) {
        while self.open_bytes + self.candidates.len() * CANDIDATE_BYTES > self.bytes_max {
            let Aim::Search { first, last } = &mut self.aim else { return };
            if first == last {
                return;
            }
            let middle = *first + (*last - *first) / 2;
            *last = middle;
            let Some(after) = middle.checked_add(1) else { return };
            drop(self.candidates.split_off(&after));
            let least = Key { collection: 0, key: Box::default() };
            let dropped = self.open.split_off(&(after, least));
            let bytes = |((_, key), _): (&(u64, Key), _)| ENTRY_BYTES + key.key.len();
            self.open_bytes -= dropped.iter().map(bytes).sum::<usize>();
        }
    }

    /// Takes what was found so far.
    pub(crate) fn take_found(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.found)
    }

    /// Both snapshots were read to their end.
    pub(crate) fn finish(mut self) -> Passed {
        for (key, Versions { a, b }) in std::mem::take(&mut self.open) {
            self.decide(key, a, b);
        }
        let Self { aim, candidates, found, counts, unknown, disorder, .. } = self;
        Passed { aim, candidates, found, counts, unknown, disorder }
    }

    /// Whether a purge seqno can make a difference.
    pub(crate) fn asks_for_purge(&self) -> bool {
        !self.open.is_empty()
    }
}

/// The same on every run, so that a range means the same in every pass.
fn hash(change: &Change<'_>) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&change.collection.to_be_bytes());
    hasher.update(change.key);
    hasher.digest()
}

#[cfg(test)]
mod tests;
