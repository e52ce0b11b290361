//! Changes at run time: what may be asked, and how each changes the overlay of a bucket.

use std::collections::BTreeMap;
use std::fmt;

use mcbp::VbId;
use replica::plan::{Connections, Desired, VBUCKETS_MAX, VbSet};

use crate::maps::BucketMaps;
use crate::overlay::{self, Assigned, CountSet, Mark, Paused};

/// A change of what is replicated of one bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// These vBuckets and no others.
    Replace(Desired),
    /// These vBuckets, in place of their present producers; all others stay.
    Add(Desired),
    /// Not these vBuckets, which come from these producers; all others stay.
    Remove(Desired),
    /// One vBucket, from this producer or from none; all others stay.
    One {
        /// The vBucket.
        vb: VbId,
        /// Its producer.
        from: Option<String>,
    },
    /// So many connections to each producer.
    Connections(Connections),
    /// Not these vBuckets, until they are resumed.
    Pause(Selection),
    /// These vBuckets again.
    Resume(Selection),
}

/// vBuckets by producer, by number, or both; a field that is `None` limits nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Those that are wanted from this producer.
    pub producer: Option<String>,
    /// Those of this set.
    pub vbuckets: Option<VbSet>,
}

/// Why a change is refused; nothing has changed then.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// A vBucket that is to be removed does not come from this producer.
    #[error(
        "{vb} is not replicated from {producer}, but from {}: name its own producer",
        .actual.as_deref().unwrap_or("no producer")
    )]
    NotFrom {
        /// The vBucket.
        vb: VbId,
        /// The producer that was named.
        producer: String,
        /// The producer that it comes from.
        actual: Option<String>,
    },
    /// Nothing is meant: no vBucket is both in the set and from the producer.
    #[error(
        "no vBucket of the bucket is meant by {0}: see dcp-proxy streams for what comes from where"
    )]
    NothingMeant(Selection),
    /// The bucket was changed since the caller read it.
    #[error(
        "revision {expected} was changed in the meantime, the bucket is at {actual}: read again"
    )]
    Revision {
        /// What the caller had read.
        expected: u64,
        /// What is in force.
        actual: u64,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replace(desired) => write!(f, "replicate only {}", Words(desired)),
            Self::Add(added) => write!(f, "add {}", Words(added)),
            Self::Remove(removed) => write!(f, "remove {}", Words(removed)),
            Self::One { vb, from: Some(producer) } => write!(f, "add {producer}={}", vb.0),
            Self::One { vb, from: None } => write!(f, "remove vb {}", vb.0),
            Self::Connections(connections) => write!(f, "connections {}", connections.count()),
            Self::Pause(which) => write!(f, "pause {which}"),
            Self::Resume(which) => write!(f, "resume {which}"),
        }
    }
}

/// A map in words.
struct Words<'a>(&'a Desired);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sets = self.0.producers();
        if sets.is_empty() {
            return f.write_str("nothing");
        }
        let words = sets.iter().map(|(producer, set)| format!("{producer}={set}"));
        f.write_str(&words.collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.producer, &self.vbuckets) {
            (None, None) => f.write_str("all"),
            (Some(producer), None) => write!(f, "all from {producer}"),
            (None, Some(vbs)) => write!(f, "{vbs}"),
            (Some(producer), Some(vbs)) => write!(f, "{vbs} from {producer}"),
        }
    }
}

impl BucketMaps {
    /// Applies a change. Returns whether it changed anything.
    ///
    /// # Errors
    /// A [`Refusal`].
    pub fn change(&mut self, change: &Change, mark: &Mark) -> Result<bool, Refusal> {
        let before = self.overlay().clone();
        match change {
            Change::Replace(desired) => {
                self.assign((0..VBUCKETS_MAX).map(|vb| (VbId(vb), desired.source(VbId(vb)))), mark);
            }
            Change::Add(added) => self.assign(each(added), mark),
            Change::Remove(removed) => {
                let wanted = self.wanted();
                if let Some((vb, producer)) =
                    each(removed).find(|&(vb, producer)| wanted.source(vb) != producer)
                {
                    let producer = producer.unwrap_or_default().to_owned();
                    let actual = wanted.source(vb).map(str::to_owned);
                    return Err(Refusal::NotFrom { vb, producer, actual });
                }
                self.assign(each(removed).map(|(vb, _)| (vb, None)), mark);
            }
            Change::One { vb, from } => self.assign([(*vb, from.as_deref())], mark),
            Change::Connections(connections) => self.set_connections(*connections, mark),
            Change::Pause(which) => self.pause(&self.meant(which)?, mark),
            Change::Resume(which) => {
                let vbs = self.meant(which)?;
                overlay::remove(&mut self.overlay_mut().paused, |vb| vbs.as_set().contains(&vb));
            }
        }
        let changed = *self.overlay() != before;
        if changed {
            self.next_revision();
        }
        Ok(changed)
    }

    /// Assigns vBuckets. Those that are as their source says leave the overlay. One that was taken
    /// over is replicated again: somebody asked for it by its number.
    fn assign<'a>(&mut self, vbs: impl IntoIterator<Item = (VbId, Option<&'a str>)>, mark: &Mark) {
        let wanted = self.wanted();
        let mut by_producer: BTreeMap<Option<&str>, VbSet> = BTreeMap::new();
        let (mut as_source, mut asked_for) = (VbSet::default(), VbSet::default());
        for (vb, from) in vbs {
            if from.is_some() {
                asked_for.insert(vb);
            }
            if self.source().replicate.source(vb) == from {
                as_source.insert(vb);
            } else if wanted.source(vb) != from {
                // One that stays as it is keeps the mark of who changed it.
                by_producer.entry(from).or_default().insert(vb);
            }
        }
        let overlay = self.overlay_mut();
        overlay::remove(&mut overlay.taken_over, |vb| asked_for.as_set().contains(&vb));
        overlay::remove(&mut overlay.assigned, |vb| as_source.as_set().contains(&vb));
        for (from, vbuckets) in by_producer {
            let from = from.map(str::to_owned);
            let assigned = Assigned { vbuckets, from, mark: mark.clone() };
            overlay::put(&mut overlay.assigned, assigned);
        }
    }

    fn set_connections(&mut self, connections: Connections, mark: &Mark) {
        let is_as_source = self.source().connections == connections;
        let present = &mut self.overlay_mut().connections;
        match present {
            _ if is_as_source => *present = None,
            Some(set) if set.connections == connections => {}
            _ => *present = Some(CountSet { connections, mark: mark.clone() }),
        }
    }

    fn pause(&mut self, chosen: &VbSet, mark: &Mark) {
        let overlay = self.overlay_mut();
        let is_paused =
            |vb: &VbId| overlay.paused.iter().any(|paused| paused.vbuckets.as_set().contains(vb));
        let vbuckets = chosen.iter().filter(|vb| !is_paused(vb)).collect();
        overlay::put(&mut overlay.paused, Paused { vbuckets, mark: mark.clone() });
    }

    /// The vBuckets of a selection; an error where there is none.
    fn meant(&self, which: &Selection) -> Result<VbSet, Refusal> {
        let chosen = self.select(which);
        if chosen.is_empty() { Err(Refusal::NothingMeant(which.clone())) } else { Ok(chosen) }
    }

    /// The vBuckets of a selection. All 1,024 where nothing limits it, so that what is added to a
    /// paused bucket is paused too.
    fn select(&self, which: &Selection) -> VbSet {
        let all = || (0..VBUCKETS_MAX).map(VbId).collect();
        let chosen: VbSet = which.vbuckets.clone().unwrap_or_else(all);
        match &which.producer {
            None => chosen,
            Some(producer) => {
                let wanted = self.wanted();
                chosen.iter().filter(|&vb| wanted.source(vb) == Some(producer)).collect()
            }
        }
    }
}

/// Each vBucket of a map and its producer.
fn each(map: &Desired) -> impl Iterator<Item = (VbId, Option<&str>)> {
    map.producers()
        .iter()
        .flat_map(|(producer, vbs)| vbs.iter().map(move |vb| (vb, Some(producer.as_str()))))
}
